// Verbs that only look, and GC, with each system call refused in turn; and a file that a broken disk does not give back.
// What ADD and DEL do then is beside their other tests.
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failing } from "../../testing/failing.ts";
import { makeIpamStore, type TestIpamStore } from "../../testing/ipam.ts";
import { describeWith } from "../../testing/needs.ts";

const EIO = 5;
const small = { subnet: "10.9.0.0/29" };
const mine = "c0\r\neth0";
const other = "c1\r\neth0";
let store: TestIpamStore;
beforeEach(() => {
  store = makeIpamStore();
});
afterEach(() => store.close());

const valid = (...ids: string[]) => ({
  "cni.dev/valid-attachments": ids.map((containerID) => ({ containerID, ifname: "eth0" })),
});

describe("each system call refused", () => {
  test("GC is done only when it says so, and the next one is", async () => {
    for (let at = 0; ; at++) {
      store.put("lock", "");
      store.put("10.9.0.2", mine);
      store.put("10.9.0.3", other);
      const faulty = failing(store.sys, at, EIO);
      const asked = { conf: valid("c1"), over: faulty.sys };
      const error: unknown = await store.call("GC", small, asked).then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (error === undefined) expect(store.taken(), faulty.failed()).toEqual(["10.9.0.3"]);
      await store.call("GC", small, { conf: valid("c1") });
      expect(store.taken(), faulty.failed()).toEqual(["10.9.0.3"]);
      if (faulty.failed() !== undefined) continue;
      expect(at).toBeGreaterThan(5);
      break;
    }
  });

  test.each(["CHECK", "STATUS"])("%s changes nothing, and is not content where it could not look", async (verb) => {
    // What each must not overlook: nothing is held, and nothing is free.
    const fill = () => {
      store.put("lock", "");
      for (const host of [2, 3, 4, 5, 6]) store.put(`10.9.0.${host}`, other);
    };
    fill();
    const before = store.entries();
    for (let at = 0, failed: string | undefined = ""; failed !== undefined; at++) {
      const faulty = failing(store.sys, at, EIO);
      expect((await store.refusal(verb, small, { over: faulty.sys })).code, faulty.failed()).toBeGreaterThan(0);
      expect(store.entries(), faulty.failed()).toEqual(before);
      failed = faulty.failed();
    }
  });
});

describeWith(["cell"], "a file that cannot be read", () => {
  const broken = () => join(store.directory, "10.9.0.3");
  beforeEach(() => {
    store.put("10.9.0.2", mine);
    store.put("10.9.0.3", "");
    // An ordinary file to look at, whose reading is EIO: nothing is at the address 0.
    execFileSync("mount", ["--bind", `/proc/${process.pid}/mem`, broken()]);
  });
  afterEach(() => execFileSync("umount", [broken()]));
  const names = () => readdirSync(store.directory).filter((name) => /^\d/.test(name) && name !== "10.9.0.3");

  test("takes its address, and holds up nobody: ADD, CHECK, DEL, STATUS and GC do their work", async () => {
    expect(await store.call("ADD", small, { containerId: "next" })).toEqual(["10.9.0.4"]);
    await store.call("CHECK", small);
    await store.call("DEL", small);
    await store.call("DEL", small);
    expect(names()).toEqual(["10.9.0.4"]);
    await store.call("STATUS", small);
    expect(store.said.join("\n")).toContain(
      `read ${broken()}: input/output error: for whom this file takes its address is not known`,
    );
    // GC alone is about this file, too, and goes on all the same.
    expect((await store.refusal("GC", small, { conf: valid() })).message).toBe(`read ${broken()}: input/output error`);
    expect(names()).toEqual([]);
  });

  test("is among those that fill a range", async () => {
    for (const id of ["a", "b", "c"]) await store.call("ADD", small, { containerId: id });
    const { message, details } = await store.refusal("ADD", small, { containerId: "d" });
    expect(message).toContain("no IP addresses available in range set");
    expect(details).toContain("1 files name no container: 10.9.0.3");
    expect(await store.refusal("STATUS", small)).toMatchObject({ code: 50 });
  });
});
