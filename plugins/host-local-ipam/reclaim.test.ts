// What a reboot leaves: files older than this boot, whose containers are no more. The boot is faked by what /proc/stat
// says and by the age of files; libcni's cache and the namespaces it names are real.
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Sys } from "../../lib/host/sys.ts";
import { reference } from "../../testing/binaries.ts";
import { makeIpamStore, type TestIpamStore } from "../../testing/ipam.ts";
import { describeWith } from "../../testing/needs.ts";

const small = { subnet: "10.9.0.0/29" };
const pod = "weft-reclaim";
const results = "/var/lib/cni/results";
const firstAdd = "/run/cni/host-local-first-add";
const hour = 3600;

describeWith(["cell", "ip"], "after a reboot", () => {
  let store: TestIpamStore;
  beforeEach(() => {
    store = makeIpamStore();
    execFileSync("ip", ["netns", "add", pod]);
    fs.mkdirSync(results, { recursive: true });
    fs.mkdirSync("/run/cni", { recursive: true });
  });
  afterEach(() => {
    store.close();
    execFileSync("ip", ["netns", "del", pod]);
    fs.rmSync(results, { recursive: true });
    fs.rmSync(firstAdd, { force: true });
  });

  const ago = (seconds: number) => Date.now() / 1000 - seconds;
  /** A machine that was started so many seconds ago, by its clock of now; with a clock of another time. */
  const booted = (seconds: number, wallClockMs = () => Date.now()): Partial<Sys> => ({
    wallClockMs,
    readFile: startedAt(Math.floor(ago(seconds))),
  });
  const startedAt =
    (start: number): Sys["readFile"] =>
    (path, max) =>
      path === "/proc/stat"
        ? `cpu  1 2 3\nintr 7 8\nctxt 9\nbtime ${start}\nprocesses 5\n`
        : store.sys.readFile(path, max);
  /** The first ADD of this boot was so many seconds ago. */
  const added = (seconds: number) => {
    fs.writeFileSync(firstAdd, "");
    fs.utimesSync(firstAdd, ago(seconds), ago(seconds));
  };
  /** libcni's cache of an attachment. */
  const cached = (containerId: string, netns: string | undefined, ifName = "eth0", network = "net") =>
    fs.writeFileSync(
      join(results, `${network}-${containerId}-${ifName}`),
      JSON.stringify({ kind: "cniCacheV1", containerId, ifName, networkName: network, netns }),
    );
  /** The whole range, held by c2 to c6, so many seconds old. */
  const full = (seconds: number) => {
    for (const host of [2, 3, 4, 5, 6]) store.put(`10.9.0.${host}`, `c${host}\r\neth0`, seconds);
  };
  const add = (over: Partial<Sys>, more = {}) => store.call("ADD", small, { containerId: "new", over, ...more });
  const refused = (over: Partial<Sys>, more = {}) => store.refusal("ADD", small, { containerId: "new", over, ...more });

  test("what is older than the boot is free again where a range is exhausted, and is said", async () => {
    full(2 * hour);
    expect(await add(booted(hour))).toEqual(["10.9.0.2"]);
    expect(store.taken()).toEqual(["10.9.0.2"]);
    expect(store.said).toHaveLength(5);
    expect(store.said[0]).toMatch(/^host-local: 10\.9\.0\.2 is free again: container c2 had it before this boot/);
  });

  test("nothing is touched while there is a free address", async () => {
    full(2 * hour);
    fs.rmSync(join(store.directory, "10.9.0.5"));
    expect(await add(booted(hour))).toEqual(["10.9.0.5"]);
    expect(store.taken()).toHaveLength(5);
  });

  test("nor what was written in this boot, nor a file of nobody's, nor a directory", async () => {
    full(1800);
    store.put("10.9.0.3", "do not touch", 2 * hour);
    fs.rmSync(join(store.directory, "10.9.0.4"));
    fs.mkdirSync(join(store.directory, "10.9.0.4"));
    fs.utimesSync(join(store.directory, "10.9.0.4"), ago(2 * hour), ago(2 * hour));
    const before = store.entries();
    expect((await refused(booted(hour))).message).toMatch(/no IP addresses available/);
    expect(store.entries()).toEqual({ ...before, lock: "" });
  });

  test("nor what was written a moment before the kernel's clock says it started", async () => {
    full(hour);
    const start = Math.floor(ago(hour));
    for (const name of store.taken()) fs.utimesSync(join(store.directory, name), start - 0.5, start - 0.5);
    await refused({ ...booted(hour), readFile: startedAt(start) });
    expect(store.taken()).toHaveLength(5);
  });

  test("nor an owner whose namespace is there; one whose namespace is gone, or is a file, is no more", async () => {
    full(2 * hour);
    fs.writeFileSync(`/run/netns/${pod}-stale`, "");
    cached("c2", `/run/netns/${pod}`);
    cached("c3", `/run/netns/${pod}-gone`);
    cached("c4", `/run/netns/${pod}-stale`);
    cached("c5", "");
    cached("c6", undefined);
    await add(booted(hour));
    expect(store.taken()).toEqual(["10.9.0.2", "10.9.0.3", "10.9.0.6"]);
    expect(store.entries()["10.9.0.3"]).toBe("new\r\neth0");
    fs.rmSync(`/run/netns/${pod}-stale`);
  });

  test("a cache that cannot be read proves nothing", async () => {
    full(2 * hour);
    for (const host of [2, 3, 4, 5, 6]) cached(`c${host}`, `/run/netns/${pod}-gone`);
    fs.writeFileSync(join(results, "net-c2-eth0"), '{"netns":');
    fs.writeFileSync(join(results, "net-c3-eth0"), "[]");
    fs.rmSync(join(results, "net-c4-eth0"));
    fs.mkdirSync(join(results, "net-c4-eth0"));
    await add(booted(hour));
    expect(store.taken()).toEqual(["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5"]);
    expect(store.entries()["10.9.0.5"]).toBe("new\r\neth0");
  });

  test("the container id alone stands for any of its interfaces", async () => {
    full(1800);
    store.put("10.9.0.3", "old", 2 * hour);
    cached("old", `/run/netns/${pod}`, "net7");
    await refused(booted(hour));
    cached("old", `/run/netns/${pod}-gone`, "net7");
    expect(await add(booted(hour))).toEqual(["10.9.0.3"]);
  });

  test("another network's cache is another's", async () => {
    full(1800);
    store.put("10.9.0.3", "old\r\neth0", 2 * hour);
    cached("old", `/run/netns/${pod}`, "eth0", "other");
    expect(await add(booted(hour))).toEqual(["10.9.0.3"]);
  });

  test("a clock set forwards after the first ADD makes nothing of this boot old", async () => {
    // The pods came up by a clock three hours behind; then it was set, and with it what /proc/stat says of the start.
    added(3 * hour + 60);
    full(3 * hour);
    await refused(booted(hour));
    expect(store.taken()).toHaveLength(5);
    for (const host of [2, 3]) store.put(`10.9.0.${host}`, `c${host}\r\neth0`, 4 * hour);
    expect(await add(booted(hour))).toEqual(["10.9.0.2"]);
    expect(store.taken()).toHaveLength(4);
  });

  test("a clock set back and forth makes nothing of this boot old", async () => {
    // The first ADD was half an hour ago; then the clock was two hours behind for a while, and an ADD came.
    added(1800);
    const then = () => Date.now() - 2 * hour * 1000;
    const replaced: string[] = [];
    await add({
      ...booted(hour, then),
      rename: (from, to) => {
        fs.utimesSync(from, then() / 1000, then() / 1000);
        replaced.push(to);
        store.sys.rename(from, to);
      },
    });
    expect(replaced).toEqual([firstAdd]);
    full(2 * hour - 1);
    await refused(booted(hour));
    expect(store.taken()).toHaveLength(5);
  });

  test("the first ADD is noted once, before its reservation is written", async () => {
    await add(booted(hour));
    const { mtimeMs } = fs.statSync(firstAdd);
    expect(mtimeMs).toBeLessThanOrEqual(fs.statSync(join(store.directory, "10.9.0.2")).mtimeMs);
    await store.call("ADD", small, { containerId: "second" });
    expect(fs.statSync(firstAdd).mtimeMs).toBe(mtimeMs);
    expect(fs.readdirSync("/run/cni")).toContain("host-local-first-add");
  });

  test("where it cannot be noted, ADD goes on, and nothing counts as old", async () => {
    const openUnnamed = (directory: string, mode: number) => {
      if (directory === "/run/cni") throw Object.assign(new Error("open /run/cni: read-only"), { errno: 30 });
      return store.sys.openUnnamed(directory, mode);
    };
    expect(await add({ ...booted(hour), openUnnamed })).toEqual(["10.9.0.2"]);
    expect(store.said.join()).toMatch(/read-only: nothing an earlier boot left is reclaimed/);
    full(2 * hour);
    await refused({ ...booted(hour), openUnnamed }, { containerId: "c9" });
    expect(store.taken()).toHaveLength(5);
  });

  test("a full range says how many owners nobody knows, and nothing where the runtime keeps its results elsewhere", async () => {
    full(1800);
    cached("c2", `/run/netns/${pod}`);
    cached("c3", `/run/netns/${pod}-gone`);
    const { details } = await refused(booted(hour));
    expect(details).toContain(
      "4 have no live owner in libcni's cache (/var/lib/cni/results): 10.9.0.3,10.9.0.4,10.9.0.5, ...",
    );
    for (const name of fs.readdirSync(results)) fs.rmSync(join(results, name));
    expect((await refused(booted(hour))).details).not.toContain("libcni's cache");
    cached("c2", `/run/netns/${pod}`, "eth0", "another");
    expect((await refused(booted(hour))).details).not.toContain("libcni's cache");
  });

  test.each([true, false])("STATUS is content while the next ADD would reclaim (was there one? %s)", async (one) => {
    if (one) added(1800);
    full(2 * hour);
    await store.call("STATUS", small, { over: booted(hour) });
    expect(store.taken()).toHaveLength(5);
    expect(store.said).toEqual([
      "host-local: warning: every address of range set 10.9.0.1-10.9.0.6 is taken; the next ADD reclaims 5 that nobody uses",
    ]);
    for (const host of [2, 3, 4, 5, 6]) cached(`c${host}`, `/run/netns/${pod}`);
    expect(await store.refusal("STATUS", small, { over: booted(hour) })).toMatchObject({ code: 50 });
    expect(fs.existsSync(firstAdd)).toBe(one);
  });

  test("a requested address is reclaimed by the same rule", async () => {
    const asking = { conf: { runtimeConfig: { ips: ["10.9.0.4"] } } };
    store.put("10.9.0.4", "c4\r\neth0", 2 * hour);
    cached("c4", `/run/netns/${pod}`);
    expect((await refused(booted(hour), asking)).details).toMatch(/container c4 holds it/);
    cached("c4", `/run/netns/${pod}-gone`);
    expect(await add(booted(hour), asking)).toEqual(["10.9.0.4"]);
  });

  test("a container that is started anew gets an address for the one it had; in one boot it is refused", async () => {
    store.put("10.9.0.4", "new\r\neth0", 2 * hour);
    cached("new", `/run/netns/${pod}`);
    expect((await refused(booted(hour))).message).toMatch(/duplicate allocation is not allowed/);
    cached("new", `/run/netns/${pod}-gone`);
    expect(await add(booted(hour))).toEqual(["10.9.0.2"]);
    expect(store.taken()).toEqual(["10.9.0.2"]);
    expect((await refused(booted(hour))).message).toMatch(/10\.9\.0\.2 has been allocated to new, duplicate/);
  });
});

describeWith(["cell", "go"], "a store that Go wrote", () => {
  test("before and after the reboot", async () => {
    const store = makeIpamStore();
    try {
      const go = (id: string) =>
        execFileSync(join(reference, "host-local"), {
          env: { CNI_COMMAND: "ADD", CNI_CONTAINERID: id, CNI_IFNAME: "eth0", CNI_NETNS: "/none", CNI_PATH: "/none" },
          input: JSON.stringify({
            cniVersion: "1.0.0",
            name: "net",
            ipam: { type: "host-local", dataDir: store.dataDir, ...small },
          }),
        });
      for (const id of ["old1", "old2", "old3"]) go(id);
      const boot = Date.now() / 1000 - hour;
      for (const name of store.taken()) fs.utimesSync(join(store.directory, name), boot - 60, boot - 60);
      for (const id of ["new1", "new2"]) go(id);
      const over: Partial<Sys> = {
        readFile: (path, max) =>
          path === "/proc/stat" ? `btime ${Math.floor(boot)}\n` : store.sys.readFile(path, max),
      };
      const given = [];
      for (const id of ["a", "b", "c"]) given.push(...(await store.call("ADD", small, { containerId: id, over })));
      expect(given).toEqual(["10.9.0.2", "10.9.0.3", "10.9.0.4"]);
      expect((await store.refusal("ADD", small, { containerId: "d", over })).message).toMatch(/no IP addresses/);
      const { "10.9.0.5": five, "10.9.0.6": six } = store.entries();
      expect([five, six]).toEqual(["new1\r\neth0", "new2\r\neth0"]);
    } finally {
      store.close();
    }
  });
});
