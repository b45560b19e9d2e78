// DEL, CHECK and GC over a real file system: what they free, what they leave alone, and that they make nothing.
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemError } from "../../lib/host/errno.ts";
import { failing } from "../../testing/failing.ts";
import { makeIpamStore, type TestIpamStore } from "../../testing/ipam.ts";
import { describeWith } from "../../testing/needs.ts";

const small = { subnet: "10.9.0.0/29" };
const EIO = 5;
let store: TestIpamStore;
beforeEach(() => {
  store = makeIpamStore();
});
afterEach(() => store.close());

const valid = (...attachments: [string, string][]) => ({
  conf: { "cni.dev/valid-attachments": attachments.map(([containerID, ifname]) => ({ containerID, ifname })) },
});
const result = (...addresses: string[]) => ({
  conf: { prevResult: { cniVersion: "1.1.0", ips: addresses.map((address) => ({ address })) } },
});

describe("where there is no store", () => {
  test("DEL and GC are done, and CHECK is not; none of them makes one", async () => {
    await store.call("DEL", small);
    await store.call("GC", small, valid());
    const { code, message } = await store.refusal("CHECK", small, result("10.9.0.2/29"));
    expect([code, message]).toEqual([999, "host-local: Failed to find address added by container c0"]);
    await store.call("STATUS", small);
    expect(fs.readdirSync(store.dataDir)).toEqual([]);
  });

  test("nor a lock in a directory without one", async () => {
    store.put("10.9.0.2", "c0\r\neth0");
    await store.call("CHECK", small, result("10.9.0.2/29"));
    await store.call("STATUS", small);
    await store.call("GC", small, valid(["c0", "eth0"]));
    await store.call("DEL", small);
    expect(store.entries()).toEqual({});
  });
});

describe("DEL", () => {
  test("frees what the attachment holds, whatever the ranges say by now", async () => {
    await store.call("ADD", { ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/64" }]] });
    store.put("10.8.0.7", "c0\neth0\n");
    store.put("10.8.0.8", "c0\r\nnet1");
    store.put("10.8.0.9", "c00\r\neth0");
    await store.call("DEL", { subnet: "192.0.2.7/33" });
    expect(store.taken()).toEqual(["10.8.0.8", "10.8.0.9"]);
    expect(store.entries()).toMatchObject({ lock: "", "last_reserved_ip.0": "10.9.0.2" });
  });

  test("takes the container id alone for its own only where nothing names the interface", async () => {
    store.put("10.9.0.2", "c0");
    store.put("10.9.0.3", "c0\r\neth0");
    await store.call("DEL", small);
    expect(store.taken()).toEqual(["10.9.0.2"]);
    await store.call("DEL", small);
    expect(store.taken()).toEqual([]);
  });

  test("leaves alone what is no address, and files that only mention the container", async () => {
    store.put("README", "c0\r\neth0");
    store.put("10.9.0.2", "c0\r\neth0\r\nc0");
    store.put("10.9.0.3", "notc0\r\neth0");
    const before = store.entries();
    await store.call("DEL", small);
    expect(store.entries()).toEqual(before);
  });

  test("says what it could not free, and frees the others", async () => {
    for (const host of [2, 3, 4]) store.put(`10.9.0.${host}`, "c0\r\neth0");
    const unlink = (path: string) => {
      if (/[24]$/.test(path)) throw systemError("unlink", EIO, path);
      store.sys.unlink(path);
    };
    const { code, message } = await store.refusal("DEL", small, { over: { unlink } });
    expect(code).toBe(5);
    expect(message.split("; ").sort()).toEqual(
      [2, 4].map((host) => `unlink ${store.directory}/10.9.0.${host}: input/output error`),
    );
    expect(store.taken()).toEqual(["10.9.0.2", "10.9.0.4"]);
  });

  test("never succeeds while an address stays, whichever system call fails", async () => {
    for (let at = 0; ; at++) {
      store.put("10.9.0.2", "c0\r\neth0");
      store.put("lock", "");
      const faulty = failing(store.sys, at, EIO);
      const error = await store.call("DEL", small, { over: faulty.sys }).catch((each: Error) => each);
      if (faulty.failed() === undefined) break;
      expect(error instanceof Error || store.taken().length === 0, faulty.failed()).toBe(true);
    }
    expect(store.taken()).toEqual([]);
  });
});

describe("CHECK", () => {
  test.each<[string, Record<string, string>, string[], RegExp | undefined]>([
    ["all is held", { "10.9.0.2": "c0\r\neth0" }, ["10.9.0.2/29"], undefined],
    ["held by the container id alone", { "10.9.0.2": "c0" }, ["10.9.0.2/29"], undefined],
    ["an address of another plugin's", { "10.9.0.2": "c0\r\neth0" }, ["10.9.0.2/29", "192.0.2.9/24"], undefined],
    ["nothing is held", {}, [], /Failed to find address added by container c0$/],
    ["another interface's", { "10.9.0.2": "c0\r\nnet1" }, ["10.9.0.2/29"], /Failed to find address added/],
    ["another address", { "10.9.0.3": "c0\r\neth0" }, ["10.9.0.2/29"], /^host-local: 10\.9\.0\.2 is not held by/],
    [
      "another container took it",
      { "10.9.0.2": "c1\r\neth0", "10.9.0.3": "c0\r\neth0" },
      ["10.9.0.3/29", "10.9.0.2/29"],
      /^host-local: 10\.9\.0\.2 is not held by container c0$/,
    ],
  ])("%s", async (_, files, addresses, message) => {
    for (const [name, text] of Object.entries(files)) store.put(name, text);
    const before = store.entries();
    if (message === undefined) await store.call("CHECK", small, result(...addresses));
    else expect((await store.refusal("CHECK", small, result(...addresses))).message).toMatch(message);
    expect(store.entries()).toEqual(before);
  });
});

describe("GC", () => {
  /** Everything that can lie in a store's directory. */
  const strew = () => {
    store.put("10.9.0.2", "c0\r\neth0");
    store.put("10.9.0.3", "c0\r\nnet1");
    store.put("10.9.0.4", "c1\neth0\n");
    store.put("10.9.0.5", "c2");
    store.put("10.9.0.6", "");
    store.put("10.8.0.1", "\0\0\0");
    store.put("10.8.0.2", "do not touch");
    store.put("10.8.0.3", "x".repeat(5000));
    store.put("fd00::5", "c9\r\neth0");
    store.put("fd00:0::6", "c9\r\neth0");
    store.put("lock", "");
    store.put("last_reserved_ip.0", "10.9.0.2");
    store.put("README", "c9\r\neth0");
    store.put("10.9.0", "c9\r\neth0");
    store.put("10.9.0.07", "c9\r\neth0");
    fs.mkdirSync(join(store.directory, "10.8.0.4"));
  };
  const others = ["10.8.0.4", "10.9.0", "10.9.0.07", "README", "last_reserved_ip.0", "lock"];

  test.each<[string, [string, string][], string[]]>([
    ["nobody", [], []],
    ["one attachment of a container", [["c0", "eth0"]], ["10.9.0.2"]],
    ["whoever wrote a plain newline", [["c1", "eth0"]], ["10.9.0.4"]],
    ["a container's id alone, by any interface", [["c2", "net7"]], ["10.9.0.5"]],
    ["somebody without an address", [["c7", "eth0"]], []],
    [
      "several",
      [
        ["c9", "eth0"],
        ["c0", "net1"],
      ],
      ["10.9.0.3", "fd00:0::6", "fd00::5"],
    ],
  ])("keeps what is held by %s, and nothing else", async (_, attachments, kept) => {
    strew();
    await store.call("GC", {}, valid(...attachments));
    expect(Object.keys(store.entries()).sort()).toEqual([...others, ...kept].sort());
  });

  test("does nothing where nobody says who is valid", async () => {
    strew();
    const before = store.entries();
    await store.call("GC", small);
    expect(store.entries()).toEqual(before);
    expect(store.said.join()).toMatch(/nothing is removed/);
  });

  test("tries all, and says all that it could not do", async () => {
    strew();
    const refuse = (call: string, path: string) => {
      throw systemError(call, EIO, path);
    };
    const { code, message } = await store.refusal("GC", small, {
      ...valid(["c0", "eth0"]),
      over: {
        unlink: (path) => (path.endsWith("10.9.0.3") ? refuse("unlink", path) : store.sys.unlink(path)),
        readFile: (path, max) => (path.endsWith("10.9.0.4") ? refuse("read", path) : store.sys.readFile(path, max)),
      },
    });
    expect(code).toBe(5);
    expect(message.split("; ").sort()).toEqual([
      `read ${store.directory}/10.9.0.4: input/output error`,
      `unlink ${store.directory}/10.9.0.3: input/output error`,
    ]);
    expect(store.taken().filter((name) => !others.includes(name))).toEqual(["10.9.0.2", "10.9.0.3", "10.9.0.4"]);
  });

  test("goes on where a file goes away under it", async () => {
    strew();
    const readFile = (path: string, max: number) => {
      if (path.endsWith("10.9.0.4")) fs.rmSync(path);
      return store.sys.readFile(path, max);
    };
    await store.call("GC", small, { ...valid(), over: { readFile } });
    expect(Object.keys(store.entries())).toEqual(others);
  });
});

describeWith(["cell"], "a read-only file system", () => {
  test("DEL and GC say what stays, CHECK works, nothing changes", async () => {
    const fixed = makeIpamStore("size=1m");
    try {
      await fixed.call("ADD", small);
      const before = fixed.entries();
      execFileSync("mount", ["-o", "remount,ro", fixed.dataDir]);
      const stays = `unlink ${fixed.directory}/10.9.0.2: read-only file system`;
      expect(await fixed.refusal("DEL", small)).toMatchObject({ code: 5, message: stays });
      expect(await fixed.refusal("GC", small, valid())).toMatchObject({ code: 5, message: stays });
      await fixed.call("CHECK", small, result("10.9.0.2/29"));
      expect(fixed.entries()).toEqual(before);
    } finally {
      fixed.close();
    }
  });
});
