// The executable under all its names, as it is installed: what it is called by decides, and nothing else of its
// surroundings does. Runs on the engine the run was asked for.
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildIdOf, buildMark } from "./bootstrap.mjs";
import { engine, ours, plugins } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";

const directory = mkdtempSync(join(tmpdir(), "weft-executable-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** A call that reads everything a plugin reads before it refuses: environment, configuration, the netns. */
const request = {
  CNI_COMMAND: "CHECK",
  CNI_CONTAINERID: "pod",
  CNI_NETNS: "/no/such/netns",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/no/such/directory",
};
const config = JSON.stringify({
  cniVersion: "1.0.0",
  name: "net",
  type: "bridge",
  ipam: { type: "host-local", subnet: "10.9.0.0/24" },
  prevResult: { cniVersion: "1.0.0", interfaces: [], ips: [] },
});

const run = (file: string, env: Record<string, string>, argv0?: string) =>
  execa(file, { env, extendEnv: false, input: config, reject: false, cwd: directory, ...(argv0 ? { argv0 } : {}) });

describe("names", () => {
  test("all are one file, and there are no others", () => {
    expect(readdirSync(ours).sort()).toEqual([...plugins, "weft"].sort());
    const inodes = new Set(readdirSync(ours).map((name) => statSync(join(ours, name)).ino));
    expect(inodes.size).toBe(1);
  });

  test("they say which sources they are made from, by what is in those and not by when", () => {
    const mark = buildMark(buildIdOf(engine));
    expect(readFileSync(join(ours, "weft")).subarray(-mark.length).toString()).toBe(mark);
  });

  test("they wait for nothing: a promise that nobody waits for would be lost without a word", () => {
    const script = join(ours, "..", engine === "node" ? "weft.js" : "embedded/js/main.js");
    expect(readFileSync(script, "utf8").match(/\b(async|await|Promise)\b.{0,50}/g)).toBeNull();
  });

  test("the notice beside them has the licence of each thing they carry", () => {
    const notice = readFileSync(join(ours, "../NOTICE"), "utf8");
    const carried = engine === "node" ? ["Node.js"] : ["musl", "QuickJS-ng", "rquickjs", "sha2", "libc"];
    for (const each of carried) expect(notice).toContain(`\n${each}`);
    if (engine === "embedded") expect(notice).toMatch(/Permission is hereby granted, free of charge/);
  });

  test.each(plugins)("%s answers VERSION, with nothing on standard error", async (name) => {
    const done = await run(join(ours, name), { CNI_COMMAND: "VERSION" });
    expect(done).toMatchObject({ exitCode: 0, stderr: "" });
    expect(JSON.parse(done.stdout)).toEqual({
      cniVersion: "1.1.0",
      supportedVersions: ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"].slice(
        name === "bandwidth" ? 2 : name === "firewall" ? 4 : 0,
      ),
    });
  });

  test("the name it is called by counts, not the file's", async () => {
    symlinkSync(join(ours, "bridge"), join(directory, "loopback"));
    const done = await run(join(directory, "loopback"), {});
    expect(done.stderr).toMatch(/^CNI loopback plugin v/);
    const renamed = await run(join(ours, "bridge"), {}, "/opt/cni/bin/flannel");
    expect(renamed.stderr).toMatch(
      /^CNI Plugin flannel version v\d+\.\d+\.\d+ \(linux\/(amd64|arm64)\) commit [\da-f]{16}\nCNI protocol versions/,
    );
  });

  test("an unknown name gets one CNI error that says what to call it by", async () => {
    const done = await run(join(ours, "bridge"), request, "macvlan");
    expect(done.exitCode).toBe(1);
    const error = JSON.parse(done.stdout);
    expect(error).toMatchObject({ cniVersion: "1.1.0", code: 4 });
    expect(error.msg).toContain('"macvlan"');
    for (const name of plugins) expect(error.details).toContain(name);
  });
});

/** Variables that change what Node, its libraries, the C library or the dynamic linker do. Each path is its own. */
function unsettling(at: string): Record<string, string> {
  const file = (name: string, text: string): string => {
    writeFileSync(join(at, name), text);
    return join(at, name);
  };
  const script = file("script.js", `require("node:fs").writeFileSync(${JSON.stringify(join(at, "ran"))}, "");`);
  const settings =
    "nodejs_conf = all\nopenssl_conf = all\n[all]\nproviders = p\n[p]\nx = x\n[x]\nmodule = /x.so\nactivate = 1\n";
  return {
    CTLOG_FILE: join(at, "ctlog"),
    FORCE_COLOR: "3",
    GCONV_PATH: join(at, "gconv"),
    HTTPS_PROXY: "http://192.0.2.1",
    ICU_TIMEZONE_FILES_DIR: join(at, "timezones"),
    LANG: "xx_XX.UTF-8",
    LC_ALL: "xx_XX.UTF-8",
    LOCPATH: join(at, "locales"),
    MALLOC_PERTURB_: "85",
    NODE_CHANNEL_FD: "0",
    NODE_COMPILE_CACHE: join(at, "compile-cache"),
    NODE_DEBUG: "*",
    NODE_DEBUG_NATIVE: "*",
    NODE_DISABLE_COLORS: "1",
    NODE_EXTRA_CA_CERTS: file("extra.pem", "no certificate"),
    NODE_ICU_DATA: join(at, "icu"),
    NODE_INSPECT_RESUME_ON_START: "1",
    NODE_OPTIONS: `--require=${script} --inspect=127.0.0.1:0 --trace-exit`,
    NODE_PATH: at,
    NODE_PENDING_DEPRECATION: "1",
    NODE_PRESERVE_SYMLINKS: "1",
    NODE_REDIRECT_WARNINGS: join(at, "warnings"),
    NODE_REPL_EXTERNAL_MODULE: script,
    NODE_TEST_CONTEXT: "child-v8",
    NODE_TLS_REJECT_UNAUTHORIZED: "0",
    NODE_UNIQUE_ID: "1",
    NODE_USE_ENV_PROXY: "1",
    NODE_USE_SYSTEM_CA: "1",
    NODE_V8_COVERAGE: join(at, "coverage"),
    OPENSSL_CONF: file("openssl.cnf", settings),
    OPENSSL_ENGINES: join(at, "engines"),
    OPENSSL_MODULES: join(at, "modules"),
    QLOGDIR: join(at, "qlog"),
    RUST_BACKTRACE: "full",
    RUST_LOG: "trace",
    RUST_MIN_STACK: "1",
    SSLKEYLOGFILE: join(at, "keys"),
    SSL_CERT_DIR: join(at, "certificates"),
    SSL_CERT_FILE: join(at, "certificate.pem"),
    TMPDIR: join(at, "temporary"),
    TZ: `:${join(at, "timezone")}`,
    UV_THREADPOOL_SIZE: "128",
    UV_USE_IO_URING: "1",
    WATCH_REPORT_DEPENDENCIES: "1",
  };
}

/** The dynamic linker's: an executable that has none cannot be reached by them. */
const linkers = (at: string): Record<string, string> => ({
  LD_AUDIT: join(at, "audit.so"),
  LD_DEBUG: "all",
  LD_LIBRARY_PATH: join(at, "libraries"),
  LD_PRELOAD: join(at, "preload.so"),
});

/**
 * What Node reads by chance, whatever the environment says: the first of its threads that has to wait for a lock asks how many
 * processors there are and how fast their clock runs (Abseil's mutex, in V8), and whether one waits is the scheduler's doing.
 */
const readByChance =
  process.env.WEFT_TEST_ENGINE === "node"
    ? ["openat /sys/devices/system/cpu/online", "openat /sys/devices/system/cpu/cpu0/tsc_freq_khz"]
    : [];

describeWith(["strace"], "the environment", () => {
  const at = join(directory, "unsettling");
  let variables: Record<string, string> = {};
  beforeAll(() => {
    mkdirSync(at);
    variables = { ...unsettling(at), ...(process.env.WEFT_TEST_ENGINE === "node" ? {} : linkers(at)) };
  });

  /** What a call answers, and every path its process touches on the way. */
  async function trace(env: Record<string, string>, name: string) {
    const log = join(directory, "trace");
    const set = Object.entries({ ...request, ...env }).map(([key, value]) => `--env=${key}=${value}`);
    const args = ["-f", "-qq", "-e", "trace=%file,connect,recvmsg", "-o", log, ...set, join(ours, name)];
    const done = await execa("strace", args, {
      env: {},
      extendEnv: false,
      input: config,
      reject: false,
      cwd: directory,
    });
    const touched = readFileSync(log, "utf8").matchAll(/^\d+ +(\w+)\(.*?"([^"]*)"/gm);
    return {
      answer: { status: done.exitCode, stdout: done.stdout, stderr: done.stderr },
      paths: new Set([...touched].map(([, call, path]) => `${call} ${path}`)),
    };
  }

  test.each(["bridge", "host-local"])("%s reads nothing of it but CNI's own", async (name) => {
    const plain = await trace({}, name);
    expect(plain.answer).toMatchObject({ status: 1, stderr: "" });
    expect(plain.paths.size).toBeGreaterThan(0);
    const files = readdirSync(at);
    const unsettled = await trace(variables, name);
    expect(unsettled.answer).toEqual(plain.answer);
    const expected = new Set([...plain.paths, ...readByChance]);
    expect([...unsettled.paths].filter((path) => !expected.has(path))).toEqual([]);
    expect(readdirSync(at)).toEqual(files);
  });
});
