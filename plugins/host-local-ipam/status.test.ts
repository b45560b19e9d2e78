import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Sys } from "../../lib/host/sys.ts";
import { makeIpamStore, type TestIpamStore } from "../../testing/ipam.ts";
import { describeWith } from "../../testing/needs.ts";

const small = { subnet: "10.9.0.0/29" };
let store: TestIpamStore;
beforeEach(() => {
  store = makeIpamStore();
});
afterEach(() => store.close());

const hold = (from: number, to: number, text = "other\r\neth0") => {
  for (let host = from; host <= to; host++) store.put(`10.9.0.${host}`, text);
};

/** The system calls of a STATUS that is content, by name. */
async function callsOf(ipam: object): Promise<string[]> {
  const calls: string[] = [];
  const spied = Object.fromEntries(
    Object.entries(store.sys).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        if (!["argv", "getenv"].includes(name)) calls.push(name);
        return (call as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  );
  await store.call("STATUS", ipam, { over: spied as unknown as Sys });
  return calls;
}

describe("an ADD could succeed", () => {
  test("before the first one, and STATUS leaves no trace", async () => {
    await store.call("STATUS", small);
    expect(fs.readdirSync(store.dataDir)).toEqual([]);
    fs.rmSync(store.dataDir, { recursive: true });
    await store.call("STATUS", small);
    expect(fs.existsSync(store.dataDir)).toBe(false);
  });

  test("it costs three looks: nothing is written, no content read, no lock taken", async () => {
    hold(2, 5);
    store.put("lock", "");
    const before = store.entries();
    expect(await callsOf(small)).toEqual(["access", "statfs", "readdir"]);
    expect(await callsOf({ ranges: [[{ subnet: "10.0.0.0/8" }], [{ subnet: "fd00::/64" }]] })).toHaveLength(3);
    expect(store.entries()).toEqual(before);
    expect(store.said).toEqual([]);
  });

  test("while another process has the lock", async () => {
    store.put("lock", "");
    const held = store.sys.open(join(store.directory, "lock"), 0, 0);
    store.sys.flock(held, 0);
    await store.call("STATUS", small);
    store.sys.close(held);
  });

  test("files that take none of its addresses do not count", async () => {
    hold(2, 5);
    store.put("10.9.0.1", "the gateway's\r\nown");
    store.put("10.8.0.6", "other\r\neth0");
    // Go and we write addresses in one way, and only that one is in the way.
    store.put("::ffff:10.9.0.6", "other\r\neth0");
    await store.call("STATUS", small);
    expect(await store.call("ADD", small)).toEqual(["10.9.0.6"]);
  });
});

test("a warning where a tenth is left, and none before", async () => {
  const range = { subnet: "10.9.0.0/24", rangeStart: "10.9.0.2", rangeEnd: "10.9.0.101" };
  hold(2, 90);
  await store.call("STATUS", range);
  expect(store.said).toEqual([]);
  hold(91, 91);
  await store.call("STATUS", range);
  expect(store.said).toEqual(["host-local: warning: 90 of 100 addresses of range set 10.9.0.2-10.9.0.101 are taken"]);
});

describe("a full set", () => {
  test("is 50, with counts", async () => {
    hold(2, 5);
    store.put("10.9.0.6", "c1\r\neth0");
    const { code, message, details } = await store.refusal("STATUS", { ranges: [[{ subnet: "fd00::/64" }], [small]] });
    expect([code, message]).toEqual([50, "no IP addresses available in range set: 10.9.0.1-10.9.0.6"]);
    expect(details).toContain(`5 addresses can be given; 5 files in ${store.directory} take them, for 2 containers`);
    expect(details).toMatch(/GC or removing the file frees the address$/);
  });

  test("is none while the next ADD would take back what a crash left", async () => {
    hold(2, 5);
    store.put("10.9.0.6", "");
    await store.call("STATUS", small);
    expect(store.said.join()).toMatch(/is taken; the next ADD reclaims 1 that nobody uses$/);
    expect(store.entries()["10.9.0.6"]).toBe("");
    expect(await store.call("ADD", small)).toEqual(["10.9.0.6"]);
  });

  test("a set that is nothing but its gateway is full from the start", async () => {
    const none = { subnet: "10.9.0.0/24", rangeStart: "10.9.0.1", rangeEnd: "10.9.0.1" };
    expect((await store.refusal("STATUS", none)).code).toBe(50);
    expect((await store.refusal("ADD", none)).code).toBe(999);
  });
});

test("a configuration that ADD would refuse is 7", async () => {
  const { code, message } = await store.refusal("STATUS", { subnet: "10.9.0.7/24" });
  expect([code, message.slice(0, 51)]).toEqual([7, "invalid range set 0: Network has host bits set. For"]);
});

test("a file where the directory would be is 50", async () => {
  fs.writeFileSync(store.directory, "");
  const { code, message } = await store.refusal("STATUS", small);
  expect([code, message]).toEqual([
    50,
    `no reservation can be written in ${store.directory}: access ${store.directory}/: not a directory`,
  ]);
});

describeWith(["cell"], "a store that cannot be written to", () => {
  let tiny: TestIpamStore;
  afterEach(() => tiny.close());

  test.each([true, false])("read-only is 50 (there was an ADD: %s)", async (used) => {
    tiny = makeIpamStore("size=1m");
    if (used) await tiny.call("ADD", small);
    execFileSync("mount", ["-o", "remount,ro", tiny.dataDir]);
    const { code, message, details } = await tiny.refusal("STATUS", small);
    expect([code, details]).toEqual([50, "this file system is mounted read-only"]);
    expect(message).toMatch(/^no reservation can be written in .*: read-only file system$/);
  });

  test.each([true, false])("full is 50 (there was an ADD: %s), until there is room", async (used) => {
    tiny = makeIpamStore("size=64k");
    if (used) await tiny.call("ADD", small);
    const filler = join(tiny.dataDir, "filler");
    fs.writeFileSync(filler, "x".repeat(65536 - (used ? 8192 : 0)));
    const { code, message, details } = await tiny.refusal("STATUS", small);
    expect([code, details]).toEqual([50, "make room on this file system"]);
    expect(message).toMatch(/no space left on device$/);
    fs.rmSync(filler);
    await tiny.call("STATUS", small);
  });

  test("without a free inode it is 50", async () => {
    tiny = makeIpamStore("size=1m,nr_inodes=3");
    tiny.put("10.9.0.2", "other\r\neth0");
    expect((await tiny.refusal("STATUS", small)).code).toBe(50);
  });
});
