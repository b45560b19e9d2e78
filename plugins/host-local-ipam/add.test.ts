// ADD over a real file system: which address comes next, and what stands on the disk then, byte for byte.
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failing } from "../../testing/failing.ts";
import { makeIpamStore, type TestIpamStore } from "../../testing/ipam.ts";
import { describeWith } from "../../testing/needs.ts";

const small = { subnet: "10.9.0.0/29" };
const dual = { ranges: [[{ subnet: "10.9.0.0/29" }], [{ subnet: "fd00:9::/126" }]] };
let store: TestIpamStore;
beforeEach(() => {
  store = makeIpamStore();
});
afterEach(() => store.close());

const add = (ipam: object, containerId = "c0ffee", more = {}) => store.call("ADD", ipam, { containerId, ...more });
const refused = (ipam: object, containerId = "c0ffee", more = {}) =>
  store.refusal("ADD", ipam, { containerId, ...more });
const asking = (...ips: string[]) => ({ conf: { runtimeConfig: { ips } } });

describe("on disk", () => {
  test("a directory, a lock, the address, and the round robin's place, whatever the umask", async () => {
    const umask = process.umask(0o077);
    expect(await add(dual)).toEqual(["10.9.0.2", "fd00:9::2"]);
    process.umask(umask);
    expect(store.entries()).toEqual({
      lock: "",
      "last_reserved_ip.0": "10.9.0.2",
      "last_reserved_ip.1": "fd00:9::2",
      "10.9.0.2": "c0ffee\r\neth0",
      "fd00:9::2": "c0ffee\r\neth0",
    });
    expect([store.mode(), store.mode("10.9.0.2"), store.mode("last_reserved_ip.0")]).toEqual([0o755, 0o600, 0o600]);
    // Go makes it under the umask, and so do we: nobody else has business there.
    expect(store.mode("lock")).toBe(0o750 & ~0o077);
    expect(fs.statSync(join(store.directory, "10.9.0.2")).nlink).toBe(1);
  });

  test("two interfaces of one container are two attachments", async () => {
    expect(await add(small)).toEqual(["10.9.0.2"]);
    expect(await add(small, "c0ffee", { ifName: "net1" })).toEqual(["10.9.0.3"]);
    expect(store.entries()).toMatchObject({ "10.9.0.2": "c0ffee\r\neth0", "10.9.0.3": "c0ffee\r\nnet1" });
  });
});

describe("the next address", () => {
  test.each<[string, object, string[], string, string[]]>([
    ["the first but the gateway", small, [], "", ["10.9.0.2"]],
    ["the first that is free", small, ["10.9.0.2"], "", ["10.9.0.3"]],
    ["after the last given", small, ["10.9.0.3", "10.9.0.4"], "10.9.0.2", ["10.9.0.5"]],
    ["round to the last given", small, ["10.9.0.2", "10.9.0.4", "10.9.0.5", "10.9.0.6"], "10.9.0.3", ["10.9.0.3"]],
    ["a last one from elsewhere counts for nothing", small, [], "10.9.7.7", ["10.9.0.2"]],
    ["nor does junk", small, [], "junk", ["10.9.0.2"]],
    [
      "the next range of the set",
      { ranges: [[{ subnet: "10.9.0.0/30" }, { subnet: "10.9.1.0/30" }]] },
      [],
      "10.9.0.2",
      ["10.9.1.2"],
    ],
    ["the first of an IPv6 /64", { subnet: "fd00:9::/64" }, [], "", ["fd00:9::2"]],
    ["a gateway of one's own", { subnet: "10.9.0.0/30", gateway: "10.9.0.2" }, [], "", ["10.9.0.1"]],
  ])("%s", async (_, ipam, held, last, expected) => {
    for (const address of held) store.put(address, "other\r\neth0");
    if (last !== "") store.put("last_reserved_ip.0", last);
    expect(await add(ipam)).toEqual(expected);
    expect(store.entries()["last_reserved_ip.0"]).toBe(expected[0]);
    for (const address of held) expect(store.entries()[address]).toBe("other\r\neth0");
  });

  test("a whole subnet, round robin, and the one that was given back last of all", async () => {
    const given = [];
    for (const id of ["a", "b", "c"]) given.push(...(await add(small, id)));
    await store.call("DEL", small, { containerId: "b" });
    for (const id of ["d", "e", "f"]) given.push(...(await add(small, id)));
    expect(given).toEqual(["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6", "10.9.0.3"]);
  });

  test("a place that cannot be read is said, and the range is begun anew", async () => {
    fs.mkdirSync(join(store.directory, "last_reserved_ip.0"), { recursive: true });
    const error = await refused(small);
    expect(store.said.join()).toMatch(/last_reserved_ip\.0: is a directory: starting at the beginning/);
    expect(error.message).toMatch(/^failed to allocate for range 0: open .*last_reserved_ip\.0: is a directory$/);
    expect(store.taken()).toEqual([]);
  });

  test("whatever has the name of an address takes it", async () => {
    store.put("10.9.0.2", "");
    store.put("10.9.0.3", "do not touch");
    fs.mkdirSync(join(store.directory, "10.9.0.4"));
    fs.symlinkSync("/nowhere", join(store.directory, "10.9.0.5"));
    expect(await add(small)).toEqual(["10.9.0.6"]);
    expect(store.entries()).toMatchObject({ "10.9.0.2": "", "10.9.0.3": "do not touch", "10.9.0.4": "directory" });
  });
});

describe("requested addresses", () => {
  test("are given, and leave the others to their order", async () => {
    expect(await add(dual, "a", asking("fd00:9::3"))).toEqual(["10.9.0.2", "fd00:9::3"]);
    expect(await add(small, "b", asking("10.9.0.5"))).toEqual(["10.9.0.5"]);
    expect(await add(small, "c")).toEqual(["10.9.0.6"]);
  });

  test.each<[string, string[], RegExp, RegExp]>([
    [
      "the gateway",
      ["10.9.0.1"],
      /^failed to allocate for range 0: requested ip 10\.9\.0\.1 is subnet's gateway$/,
      /another/,
    ],
    [
      "one that is held",
      ["10.9.0.4"],
      /^failed to allocate for range 0: requested IP address 10\.9\.0\.4 is not available in range set 10\.9\.0\.1-10\.9\.0\.6$/,
      /container other holds it/,
    ],
    ["one in no range", ["10.8.0.4"], /^failed to allocate all requested IPs: 10\.8\.0\.4$/, /range set of its own/],
    [
      "two in one set",
      ["10.9.0.5", "10.9.0.6"],
      /^failed to allocate all requested IPs: 10\.9\.0\.6$/,
      /range set of its own/,
    ],
  ])("%s is refused, and nothing is held", async (_, ips, message, details) => {
    store.put("10.9.0.4", "other\r\neth0");
    const error = await refused(dual, "c0ffee", asking(...ips));
    expect(error.message).toMatch(message);
    expect(error.details).toMatch(details);
    expect(store.taken()).toEqual(["10.9.0.4"]);
  });

  test("one whose file names nobody is said to be so; an empty one is given", async () => {
    store.put("10.9.0.4", "do not touch");
    store.put("10.9.0.5", "");
    expect((await refused(small, "a", asking("10.9.0.4"))).details).toMatch(/names no container: remove the file/);
    expect(await add(small, "a", asking("10.9.0.5"))).toEqual(["10.9.0.5"]);
    expect(store.said.join()).toMatch(/10\.9\.0\.5 is free again: its file was empty/);
  });
});

describe("an attachment that holds an address of the set", () => {
  test.each(["c0ffee\r\neth0", "c0ffee\neth0\n", "c0ffee"])("%j is refused another", async (text) => {
    store.put("10.9.0.4", text);
    const error = await refused(dual);
    expect(error.message).toBe(
      "failed to allocate for range 0: 10.9.0.4 has been allocated to c0ffee, duplicate allocation is not allowed",
    );
    expect(error.details).toMatch(/call DEL/);
    expect(store.taken()).toEqual(["10.9.0.4"]);
  });

  test.each(["c0ffee\r\nnet1", "c0ffee1\r\neth0", "x\r\nc0ffee", "c0ffee and others"])("not so %j", async (text) => {
    store.put("10.9.0.4", text);
    expect(await add(small)).toEqual(["10.9.0.2"]);
  });

  test("nor one outside of the set", async () => {
    store.put("10.8.0.4", "c0ffee\r\neth0");
    expect(await add(small)).toEqual(["10.9.0.2"]);
  });
});

describe("a set without a free address", () => {
  test("says how many there are, whose, and what to do", async () => {
    for (const host of [2, 3, 4]) store.put(`10.9.0.${host}`, `c${host % 2}\r\neth${host}`);
    store.put("10.9.0.5", "do not touch");
    fs.mkdirSync(join(store.directory, "10.9.0.6"));
    store.put("10.9.0.1", "the gateway's\r\nown");
    const error = await refused(small);
    expect(error.code).toBe(999);
    expect(error.message).toBe(
      "failed to allocate for range 0: no IP addresses available in range set: 10.9.0.1-10.9.0.6",
    );
    expect(error.details).toContain(
      `5 addresses can be given; 5 files in ${store.directory} take them, for 2 containers`,
    );
    expect(error.details).toContain("2 files name no container: 10.9.0.5,10.9.0.6");
    expect(error.details).toMatch(/removing the file frees the address$/);
  });

  test("takes back what a crash left empty", async () => {
    for (const host of [2, 3, 5, 6]) store.put(`10.9.0.${host}`, "other\r\neth0");
    store.put("10.9.0.4", "\0\0\0\0");
    store.put("last_reserved_ip.0", "10.9.0.5");
    expect(await add(small)).toEqual(["10.9.0.4"]);
    expect(store.entries()["10.9.0.4"]).toBe("c0ffee\r\neth0");
  });

  test("gives back what the sets before it gave", async () => {
    for (const host of [2, 3]) store.put(`fd00:9::${host}`, "other\r\neth0");
    expect((await refused(dual)).message).toMatch(/^failed to allocate for range 1: no IP addresses available/);
    expect(store.taken()).toEqual(["fd00:9::2", "fd00:9::3"]);
  });

  test("gives back nothing that the attachment held before", async () => {
    store.put("fd00:9::2", "c0ffee\r\neth0");
    expect((await refused(dual)).message).toMatch(/^failed to allocate for range 1: fd00:9::2 has been allocated/);
    expect(store.taken()).toEqual(["fd00:9::2"]);
  });
});

describe("whichever system call fails", () => {
  const EIO = 5;
  test("an ADD that fails leaves no address, and the next one works", async () => {
    for (let at = 0; ; at++) {
      const faulty = failing(store.sys, at, EIO);
      const answer = await store.call("ADD", dual, { over: faulty.sys }).catch((error: Error) => error);
      if (faulty.failed() === undefined) break;
      const names = store.taken();
      const expected = answer instanceof Error ? [] : answer;
      expect(names, `${faulty.failed()} was refused`).toEqual(expected);
      await store.call("DEL", dual, { containerId: "c0" });
      expect(await add(dual, "next"), `after ${faulty.failed()}`).toHaveLength(2);
      fs.rmSync(store.directory, { recursive: true });
    }
    expect(store.taken()).toHaveLength(2);
  });

  test("an ADD that is killed leaves nothing that DEL does not find", async () => {
    for (let at = 0; ; at++) {
      const faulty = failing(store.sys, at, "killed");
      await store.call("ADD", dual, { over: faulty.sys }).catch(() => undefined);
      if (faulty.failed() === undefined) break;
      const contents = store.entries();
      for (const name of store.taken()) expect(contents[name], `killed at ${faulty.failed()}`).toBe("c0\r\neth0");
      await store.call("DEL", dual);
      expect(store.taken(), `killed at ${faulty.failed()}`).toEqual([]);
      fs.rmSync(store.directory, { recursive: true, force: true });
    }
    expect(store.taken()).toHaveLength(2);
  });
});

describeWith(["cell"], "a file system that is full or read-only", () => {
  let tiny: TestIpamStore;
  afterEach(() => tiny.close());
  const fill = (bytes: number) => fs.writeFileSync(join(tiny.dataDir, "filler"), "x".repeat(bytes));
  const page = 4096;

  test.each([0, 1, 2, 3, 4])("%i pages free", async (free) => {
    tiny = makeIpamStore(`size=${8 * page}`);
    await tiny.call("ADD", dual, { containerId: "first" });
    await tiny.call("DEL", dual, { containerId: "first" });
    // The round robin's two places have a page each already.
    fill((6 - free) * page);
    if (free >= 2) expect(await tiny.call("ADD", dual)).toEqual(["10.9.0.3", "fd00:9::3"]);
    else {
      expect(await tiny.refusal("ADD", dual)).toMatchObject({
        code: 5,
        message: `write ${tiny.directory}: no space left on device`,
        details: "make room on this file system",
      });
      expect(tiny.taken()).toEqual([]);
      expect(Object.keys(tiny.entries()).filter((name) => name.startsWith("."))).toEqual([]);
      fs.rmSync(join(tiny.dataDir, "filler"));
      expect(await tiny.call("ADD", dual)).toHaveLength(2);
    }
  });

  test("no inode left", async () => {
    tiny = makeIpamStore("size=1m,nr_inodes=4");
    // The root, the network's directory, the lock: one more is too few for two addresses.
    expect(await tiny.refusal("ADD", dual)).toMatchObject({ code: 5, details: expect.stringMatching(/make room/) });
    expect(tiny.taken()).toEqual([]);
  });

  test("read-only", async () => {
    tiny = makeIpamStore("size=1m");
    await tiny.call("ADD", small, { containerId: "first" });
    const before = tiny.entries();
    execFileSync("mount", ["-o", "remount,ro", tiny.dataDir]);
    expect(await tiny.refusal("ADD", small)).toMatchObject({ code: 5, details: expect.stringMatching(/read-only/) });
    expect(tiny.entries()).toEqual(before);
  });
});
