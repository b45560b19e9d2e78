// Delegation: to executables that are shell scripts here, run by the real kernel, and to a plugin of this process.
import {
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { quietSpawn, type TestCall, testHost } from "../../testing/host.ts";
import { Recorder } from "../../testing/recorder.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { answer, prefix } from "../../testing/runtime.ts";
import type { Host } from "../host/host.ts";
import { sys } from "../host/node.ts";
import type { Sys } from "../host/sys.ts";
import { toCniError } from "./boundary.ts";
import { parseConfig } from "./config.ts";
import { delegateAdd, delegateVerb, findPlugin, isThisExecutable, resultOf } from "./delegate.ts";
import type { CallEnv, Request, Suite } from "./plugin.ts";
import { specVersions, type SpecVersion } from "./version.ts";

let root = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "weft-delegate-"));
});
afterEach(() => rmSync(root, { recursive: true }));

function script(name: string, body: string, mode = 0o755): string {
  const file = join(root, name);
  writeFileSync(file, `#!/bin/sh\n${body}\n`);
  chmodSync(file, mode);
  return file;
}

const text = '{"cniVersion":"1.0.0", "name":"net"}';
const config = parseConfig(text);

function request(suite: Suite = new Map(), over: Partial<Request<unknown>> = {}): Request<unknown> {
  return {
    network: "net",
    configVersion: "1.0.0",
    cniVersion: "1.0.0",
    conf: undefined,
    source: parseConfig(text),
    env: { command: "", containerId: "c0", netns: "/run/netns/nowhere", ifName: "eth0", args: "A=1", path: root },
    suite,
    ownNetns: false,
    ...over,
  };
}

const environment = (verb: string) => ({
  CNI_COMMAND: verb,
  CNI_CONTAINERID: "c0",
  CNI_NETNS: "/run/netns/nowhere",
  CNI_IFNAME: "eth0",
  CNI_ARGS: "A=1",
  CNI_PATH: root,
});

const hostOf = (verb: string, call: TestCall = {}) => testHost({ env: environment(verb), ...call }).host;

/** What a process would print of what `body` throws. */
function refusal(body: () => unknown, host: Host) {
  try {
    body();
  } catch (error) {
    return toCniError(error, host);
  }
  throw new Error("nothing was refused");
}

describe("the file of a plugin", () => {
  const place = (...files: string[]) => {
    for (const file of files) {
      mkdirSync(join(root, file, ".."), { recursive: true });
      writeFileSync(join(root, file), "");
    }
  };
  const find = (type: string, ...directories: string[]) =>
    findPlugin(type, directories.map((each) => (each === "" ? "" : join(root, each))).join(":"), hostOf("ADD")).file;

  test("is the first of that name along CNI_PATH", () => {
    place("b/x", "c/x");
    mkdirSync(join(root, "a"));
    expect(find("x", "a", "b", "c")).toBe(join(root, "b/x"));
    expect(find("x", "c", "b", "a")).toBe(join(root, "c/x"));
  });

  test("is a regular file, or a symbolic link to one, executable or not", () => {
    place("b/real", "d/x");
    mkdirSync(join(root, "a/x"), { recursive: true });
    symlinkSync("/nowhere", join(root, "b/x"));
    expect(find("x", "a", "b", "none", "d")).toBe(join(root, "d/x"));
    symlinkSync("real", join(root, "b/y"));
    expect(find("y", "a", "b", "d")).toBe(join(root, "b/y"));
  });

  test("is not looked for in the current directory, whatever an empty element means elsewhere", async () => {
    place("a/x");
    expect(find("x", "", "a", "")).toBe(join(root, "a/x"));
    // The test runs in the repository, which has a file of this name.
    expect(existsSync("package.json")).toBe(true);
    expect(await refusalOf(() => find("package.json", "", ""))).toMatchObject({
      message: 'failed to find plugin "package.json" in path []',
    });
  });

  test.each<[string, string, number, string]>([
    ["", "/a", 7, "no plugin name provided"],
    ["", "", 7, "no plugin name provided"],
    ["a/b", "/a", 7, "invalid plugin name: a/b"],
    ["../x", "/a", 7, "invalid plugin name: ../x"],
    ["x", "", 4, "no paths provided"],
    ["x", "/nowhere:/none", 7, 'failed to find plugin "x" in path [/nowhere /none]'],
    ["..", "/", 7, 'failed to find plugin ".." in path [/]'],
  ])("%j in %j: code %i, %s", async (type, path, code, message) => {
    const error = await refusalOf(() => findPlugin(type, path, hostOf("ADD")));
    expect(error).toMatchObject({ code, message });
    expect(error.details).not.toBe("");
  });
});

describe("an executable", () => {
  test("is given our environment but for the verb, the very bytes, and no argument", () => {
    script("x", `cat > ${root}/stdin; env > ${root}/env; echo "$0 $#" > ${root}/argv; echo garbage`);
    const bytes = '{"b":1.50,\t"a":"ä"} \n';
    delegateVerb(request(), hostOf("ADD"), "DEL", "x", parseConfig(bytes));
    expect(readFileSync(join(root, "stdin"), "utf8")).toBe(bytes);
    expect(readFileSync(join(root, "argv"), "utf8")).toBe(`${root}/x 0\n`);
    const env = readFileSync(join(root, "env"), "utf8").split("\n");
    for (const [name, value] of Object.entries(environment("DEL"))) expect(env).toContain(`${name}=${value}`);
    expect(env).toContain(`HOME=${process.env.HOME ?? ""}`);
  });

  test("is given another attachment, where it is called on its behalf", () => {
    script("x", `env > ${root}/env`);
    const behalf = { containerId: "c9", ifName: "eth9", netns: "" };
    delegateVerb(request(), hostOf("GC"), "DEL", "x", config, behalf);
    const env = readFileSync(join(root, "env"), "utf8").split("\n");
    const changed = ["CNI_COMMAND=DEL", "CNI_CONTAINERID=c9", "CNI_IFNAME=eth9", "CNI_NETNS=", `CNI_PATH=${root}`];
    for (const line of changed) expect(env).toContain(line);
  });

  test("is not given our own netns, in which it might delete what is the node's", () => {
    script("x", `env > ${root}/env`);
    const host = hostOf("DEL", { env: { ...environment("DEL"), CNI_NETNS: "/proc/self/ns/net" } });
    delegateVerb(request(new Map(), { ownNetns: true }), host, "DEL", "x", config);
    expect(readFileSync(join(root, "env"), "utf8").split("\n")).toContain("CNI_NETNS=");
  });

  const address = '{"ips":[{"address":"10.1.0.5/24"}]}';
  test.each([
    ["a result with its version", "1.0.0", '{"cniVersion":"1.1.0","ips":[{"address":"10.1.0.5/24"}]}'],
    ["a result without one, which is in ours", "1.0.0", address],
    ["a result with an empty one", "0.4.0", '{"cniVersion":"","ips":[{"version":"4","address":"10.1.0.5/24"}]}'],
    ["a result of the oldest kind", "0.1.0", '{"ip4":{"ip":"10.1.0.5/24"}}'],
    ["an older result", "1.0.0", '{"cniVersion":"0.2.0","ip4":{"ip":"10.1.0.5/24"}}'],
    ["a newer result", "0.2.0", '{"cniVersion":"1.1.0","ips":[{"address":"10.1.0.5/24"}]}'],
  ] as const)("whose ADD prints %s, for a request of %s", (_what, cniVersion, result) => {
    script("x", `cat >/dev/null; printf '%s' '${result}'`);
    expect(delegateAdd(request(new Map(), { cniVersion }), hostOf("ADD"), "x", config)).toEqual(
      answer(["10.1.0.5/24"]),
    );
  });

  const unreadable = "the delegate's result cannot be read: ";
  const undecodable = "netplugin failed but error parsing its diagnostic message ";
  test.each<[what: string, body: string, code: number, message: string, details: string]>([
    ["succeeds and prints nothing", "exit 0", 0, `${unreadable}unexpected end of JSON input`, ""],
    ["succeeds and prints no object", "echo []", 0, `${unreadable}it is no object`, "[]\n"],
    [
      "succeeds and prints a result of a version to come",
      `echo '{"cniVersion":"9.0.0"}'`,
      0,
      `${unreadable}unsupported CNI result version "9.0.0"`,
      '{"cniVersion":"9.0.0"}\n',
    ],
    ["fails and prints an error", `echo '{"code":11,"msg":"busy","details":"by 7"}'; exit 1`, 11, "busy", "by 7"],
    ["fails and prints an error, whatever its status", `echo '{"code":7,"msg":"m"}'; exit 77`, 7, "m", ""],
    [
      "fails and prints an error in other letters, with more in it",
      `echo '{"CODE":120,"Msg":"m","cniVersion":"1.0.0","x":{}}'; echo noise >&2; exit 1`,
      120,
      "m",
      "",
    ],
    ["fails and prints an empty object", "echo '{}'; exit 1", 0, "", ""],
    ["fails and prints no JSON", "echo oops; exit 1", 0, `${undecodable}"oops\\n": invalid character "o"`, ""],
    ["fails and prints no object", "echo null; exit 1", 0, `${undecodable}"null\\n": it is no object`, ""],
    [
      "fails and prints an error whose code is a text",
      `printf '{"code":"7"}'; exit 1`,
      0,
      `${undecodable}"{\\"code\\":\\"7\\"}": "code" must be an integer, got "7"`,
      "",
    ],
    ["fails and complains", "echo 'no \"x\"' >&2; exit 3", 0, 'netplugin failed: "no \\"x\\"\\n": exit status 3', ""],
    ["fails silently", "exit 3", 0, "netplugin failed with no error message: exit status 3", ""],
    ["panics as Go does", "echo panic: >&2; exit 2", 0, 'netplugin failed: "panic:\\n": exit status 2', ""],
    ["is killed", "kill -9 $$", 0, "netplugin failed with no error message: signal 9", ""],
    ["is killed and has printed a result", `echo '${address}'; kill -15 $$`, 0, "", ""],
  ])("whose ADD %s", async (_what, body, code, message, details) => {
    script("x", body);
    const error = await refusalOf(() => delegateAdd(request(), hostOf("ADD"), "x", config));
    expect(error.code).toBe(code);
    expect(error.message.startsWith(message)).toBe(true);
    if (message === "") expect(error.message).toBe("");
    expect(error.details.startsWith(details)).toBe(true);
  });

  test.each(["DEL", "CHECK", "STATUS", "GC"] as const)(
    "whose %s prints anything has succeeded by its status",
    async (verb) => {
      script("x", "echo garbage");
      expect(delegateVerb(request(), hostOf(verb), verb, "x", config)).toBeUndefined();
      script("x", `echo '{"code":50,"msg":"full"}'; exit 1`);
      expect(await refusalOf(() => delegateVerb(request(), hostOf(verb), verb, "x", config))).toMatchObject({
        code: 50,
      });
    },
  );

  test.each([
    [0o644, "#!/bin/sh\n", "permission denied"],
    [0o755, "\u007fELF", "exec format error"],
  ])("that the kernel does not run (mode %o, %j) is told by the kernel's reason", (mode, content, reason) => {
    writeFileSync(join(root, "x"), content);
    chmodSync(join(root, "x"), mode);
    const host = hostOf("ADD");
    expect(refusal(() => delegateAdd(request(), host, "x", config), host)).toMatchObject({
      code: 5,
      message: `exec ${root}/x: ${reason}`,
    });
  });

  test("that does not end is ended, and the runtime may try again: code 11", async () => {
    script("x", `echo $$ > ${root}/pid; exec sleep 600`);
    let passed = 0;
    const spawn: Sys["spawn"] = (path, argv, env, stdin, timeoutMs) => {
      const done = quietSpawn(path, argv, env, stdin, 4000);
      passed = timeoutMs;
      return done;
    };
    // It is ended after 4 s, in which a shell has said who it is even on a busy machine; the clock says that it was the whole time.
    const host = hostOf("ADD", { over: { spawn, monotonicMs: () => sys.monotonicMs() + passed } });
    expect(await refusalOf(() => delegateAdd(request(), host, "x", config))).toMatchObject({
      code: 11,
      message: `${root}/x did not finish within 110 s`,
    });
    const pid = readFileSync(join(root, "pid"), "utf8").trim();
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  });
});

describe("an executable that is being written", () => {
  test("is waited for", () => {
    const file = script("x", `cat >/dev/null; echo '{"ips":[{"address":"10.1.0.5/24"}]}'`);
    const writer = openSync(file, "r+");
    let sleeps = 0;
    const sleepMs = () => {
      if (++sleeps === 2) closeSync(writer);
    };
    const host = hostOf("ADD", { over: { sleepMs } });
    expect(delegateAdd(request(), host, "x", config)).toEqual(answer(["10.1.0.5/24"]));
    expect(sleeps).toBe(2);
  });

  test("is not waited for much longer than 6 s, and may be tried again: code 11", () => {
    const file = script("x", "exit 0");
    const writer = openSync(file, "r+");
    let slept = 0;
    const over: Partial<Sys> = {
      sleepMs: (durationMs) => {
        slept += durationMs;
      },
      monotonicMs: () => slept,
    };
    const host = hostOf("ADD", { over });
    expect(refusal(() => delegateAdd(request(), host, "x", config), host)).toMatchObject({
      code: 11,
      message: `exec ${file}: text file busy`,
    });
    expect(slept).toBeGreaterThan(4000);
    expect(slept).toBeLessThan(8000);
    closeSync(writer);
  });
});

describe("a delegate that is this very executable stays in this process", () => {
  const suiteOf = (recorder: Recorder): Suite => new Map([["x", recorder.plugin]]);
  const ours = () => symlinkSync(process.execPath, join(root, "x"));
  const no = { spawn: () => expect.fail("a process was started") };

  test("and is asked what a process of its own would be asked", () => {
    ours();
    const recorder = new Recorder();
    const host = hostOf("DEL", { over: no });
    const bytes = '{"cniVersion":"1.0.0","NAME":"other","a":1.0}';
    expect(delegateAdd(request(suiteOf(recorder)), host, "x", parseConfig(bytes))).toEqual(recorder.result);
    delegateVerb(request(suiteOf(recorder)), host, "CHECK", "x", parseConfig(bytes));
    expect(recorder.verbs).toEqual(["ADD", "CHECK"]);
    expect(recorder.requests[0]).toMatchObject({
      network: "other",
      cniVersion: "1.0.0",
      conf: { text: bytes, args: "A=1" },
      attachment: { containerId: "c0", ifName: "eth0" },
      netns: "/run/netns/nowhere",
      env: { path: root },
    });
  });

  test("and hands over what its version has a place for: of the oldest no more than addresses, gateways and their routes", async () => {
    ours();
    const recorder = new Recorder();
    const routes = ["fd00:8::/48", { dst: prefix("10.8.0.0/16"), priority: 7 }];
    recorder.result = answer(["10.1.0.5/24 10.1.0.1"], routes);
    const add = (cniVersion: "0.2.0" | "0.3.0") =>
      delegateAdd(
        request(suiteOf(recorder), { cniVersion }),
        hostOf("ADD", { over: no }),
        "x",
        parseConfig(JSON.stringify({ name: "net", cniVersion })),
      );
    expect(add("0.2.0")).toEqual(answer(["10.1.0.5/24 10.1.0.1"], ["10.8.0.0/16"]));
    expect(add("0.3.0")).toEqual(recorder.result);
    recorder.result = answer([]);
    expect(await refusalOf(() => add("0.2.0"))).toMatchObject({
      code: 1,
      message: "cannot convert: no valid IP addresses",
    });
  });

  test.each<[string, string, Partial<CallEnv>, number, string]>([
    ["a name that is none", '{"name":1}', {}, 6, 'error unmarshall network config: "name" must be a string, got 1'],
    ["a configuration without a name", '{"cniVersion":"1.0.0"}', {}, 7, "missing network name"],
    ["a version nobody speaks", '{"name":"net","cniVersion":"1.1"}', {}, 1, "incompatible CNI versions"],
    ["a link name that is none", text, { ifName: ".." }, 4, "interface name is . or .."],
    ["no container id", text, { containerId: "" }, 4, "required env variables [CNI_CONTAINERID] missing"],
    ["our own netns", text, { netns: "/proc/self/ns/net" }, 8, "plugin's netns and netns from CNI_NETNS should"],
  ])("and refuses what that would refuse: %s", async (_what, bytes, env, code, message) => {
    ours();
    const recorder = new Recorder();
    const asked = request(suiteOf(recorder));
    const from = { ...asked, env: { ...asked.env, ...env }, ownNetns: "netns" in env };
    const error = await refusalOf(() => delegateAdd(from, hostOf("ADD", { over: no }), "x", parseConfig(bytes)));
    expect(error).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(recorder.verbs).toEqual([]);
  });

  test("DEL with our own netns does its part without it, and is no error of the delegate's", () => {
    ours();
    const recorder = new Recorder();
    const host = hostOf("DEL", { over: no });
    const asked = request(suiteOf(recorder), { ownNetns: true });
    delegateVerb({ ...asked, env: { ...asked.env, netns: "/proc/self/ns/net" } }, host, "DEL", "x", config);
    expect(recorder.verbs).toEqual(["DEL"]);
    expect(recorder.requests[0]).toMatchObject({ netns: "", ownNetns: true });
  });

  test("its error is ours", () => {
    ours();
    const recorder = new Recorder();
    const thrown = new Error("as it is");
    recorder.during = () => {
      throw thrown;
    };
    expect(() => delegateVerb(request(suiteOf(recorder)), hostOf("ADD"), "DEL", "x", config)).toThrow(thrown);
  });

  test("a file before it in CNI_PATH has precedence, and runs by itself", async () => {
    ours();
    const recorder = new Recorder();
    mkdirSync(join(root, "first"));
    script("first/x", `echo '{"code":120,"msg":"the first"}'; exit 1`);
    const given = request(suiteOf(recorder));
    const asked = { ...given, env: { ...given.env, path: `${root}/first:${root}` } };
    expect(isThisExecutable(join(root, "first/x"), hostOf("ADD"))).toBe(false);
    expect(await refusalOf(() => delegateAdd(asked, hostOf("ADD"), "x", config))).toMatchObject({ code: 120 });
    expect(recorder.verbs).toEqual([]);
    expect(isThisExecutable(join(root, "x"), hostOf("ADD"))).toBe(true);
  });

  test("a plugin that this executable does not carry runs by itself", async () => {
    script("x", `echo '{"code":120,"msg":"by itself"}'; exit 1`);
    const host = hostOf("ADD", { over: { executable: () => join(root, "x") } });
    expect(isThisExecutable(join(root, "x"), host)).toBe(true);
    expect(await refusalOf(() => delegateAdd(request(), host, "x", config))).toMatchObject({ code: 120 });
  });
});

describe("a copy of this executable is this executable", () => {
  /** delegate.ts as a build makes it, which knows its own build. */
  function built(buildId: string): Promise<typeof import("./delegate.ts")> {
    vi.resetModules();
    vi.stubGlobal("WEFT_BUILD_ID", buildId);
    return import("./delegate.ts");
  }
  afterAll(() => {
    vi.unstubAllGlobals();
    vi.resetModules();
  });

  /** What the host takes for its own executable, in place of this test's interpreter. */
  const standingIn = (file: string): Partial<Sys> => ({ executable: () => file });
  test.each<[string, string, string, boolean]>([
    ["of the same size and build", "0123456789abcdef", "code...\nweft-build:0123456789abcdef\n", true],
    ["of another size", "0123456789abcdef", "code....\nweft-build:0123456789abcdef\n", false],
    ["of another build", "0123456789abcdef", "code...\nweft-build:fedcba9876543210\n", false],
    ["of no build", "0123456789abcdef", "code...............................\n", false],
    ["of source run as it is", "development", "code...\nweft-build:development\n", false],
  ])("where it is %s", async (_what, buildId, content, whether) => {
    const { isThisExecutable: isOurs } = await built(buildId);
    const self = join(root, "self");
    writeFileSync(self, `code...\nweft-build:${buildId}\n`);
    writeFileSync(join(root, "x"), content);
    expect(isOurs(join(root, "x"), hostOf("ADD", { over: standingIn(self) }))).toBe(whether);
  });

  test("whatever is copied is a copy", async () => {
    const { isThisExecutable: isOurs } = await built("0123456789abcdef");
    const self = join(root, "self");
    writeFileSync(self, `\u0000\nweft-build:0123456789abcdef\n`);
    copyFileSync(self, join(root, "x"));
    expect(isOurs(join(root, "x"), hostOf("ADD", { over: standingIn(self) }))).toBe(true);
  });
});

test.each(specVersions)("a printed result is read by the version of the configuration, %s", (version: SpecVersion) => {
  const old = version === "0.1.0" || version === "0.2.0";
  const printed = old ? { ip4: { ip: "10.1.0.5/24" } } : { ips: [{ address: "10.1.0.5/24" }] };
  expect(resultOf(JSON.stringify(printed), version)).toEqual(answer(["10.1.0.5/24"]));
  expect(resultOf(JSON.stringify({ ...printed, cniVersion: version }), version)).toEqual(answer(["10.1.0.5/24"]));
});
