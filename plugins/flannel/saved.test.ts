import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { composeConfig } from "../../lib/cni/config.ts";
import { testHost } from "../../testing/host.ts";
import { findSaved, listSaved, save, type Saved } from "./saved.ts";

const { host } = testHost({});
const treeOf = (fields: Record<string, string>) => composeConfig(fields).tree;
const delegate = treeOf({ type: "bridge", name: "cbr0" });
const eth0 = { containerId: "c0ffee", ifName: "eth0" };
const net1 = { containerId: "c0ffee", ifName: "net1" };

let directory: string;
let dataDir: string;
beforeEach(() => {
  directory = mkdtempSync("/tmp/weft-saved-");
  dataDir = join(directory, "flannel");
});
afterEach(() => rmSync(directory, { recursive: true }));

const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);
const put = (name: string, text: string) => {
  mkdirSync(dataDir, { recursive: true });
  writeFileSync(join(dataDir, name), text);
};
const text = (saved: ReturnType<typeof findSaved>) => saved?.text;

describe("keeping", () => {
  test("under the container's name, for its owner's eyes, with no other file left", () => {
    save(dataDir, eth0, delegate, host);
    expect([readdirSync(dataDir), mode(dataDir), mode(join(dataDir, "c0ffee"))]).toEqual([["c0ffee"], "700", "600"]);
    expect(JSON.parse(readFileSync(join(dataDir, "c0ffee"), "utf8"))).toMatchObject({ type: "bridge", name: "cbr0" });
  });

  test("a second interface has a file of its own, and each finds its own", () => {
    save(dataDir, eth0, delegate, host);
    save(dataDir, net1, treeOf({ type: "ptp" }), host);
    expect(readdirSync(dataDir).sort()).toEqual(["c0ffee", "c0ffee-net1"]);
    expect((findSaved(dataDir, eth0, host) as Saved).type).toBe("bridge");
    expect((findSaved(dataDir, net1, host) as Saved).type).toBe("ptp");
  });

  test("the same again takes the same file", () => {
    for (const attachment of [eth0, net1, net1, eth0]) save(dataDir, attachment, delegate, host);
    expect(readdirSync(dataDir).sort()).toEqual(["c0ffee", "c0ffee-net1"]);
  });

  test("a second interface keeps its file when the first one is gone", () => {
    for (const attachment of [eth0, net1]) save(dataDir, attachment, delegate, host);
    rmSync(join(dataDir, "c0ffee"));
    save(dataDir, net1, delegate, host);
    expect(readdirSync(dataDir)).toEqual(["c0ffee-net1"]);
  });

  test("a container that is called like another's second interface keeps its own", () => {
    const namesake = { containerId: "c0ffee-net1", ifName: "eth0" };
    save(dataDir, eth0, delegate, host);
    save(dataDir, namesake, treeOf({ type: "ptp" }), host);
    expect(findSaved(dataDir, net1, host)).toBeUndefined();
    expect((findSaved(dataDir, namesake, host) as Saved).type).toBe("ptp");
  });
});

describe("finding", () => {
  test("the whole file, not the torn one of a container whose id is this one's name", () => {
    save(dataDir, net1, delegate, host);
    put("c0ffee-net1", "");
    expect(findSaved(dataDir, net1, host)?.path).toBe(join(dataDir, "c0ffee"));
  });

  test("nothing where there is no folder, and nothing is made", () => {
    expect(findSaved(dataDir, eth0, host)).toBeUndefined();
    expect(listSaved(dataDir, host)).toEqual([]);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("Go's file, which names no interface, is whichever is asked for", () => {
    put("c0ffee", '{"type":"bridge"}');
    expect(text(findSaved(dataDir, eth0, host))).toBe('{"type":"bridge"}');
    expect(text(findSaved(dataDir, net1, host))).toBe('{"type":"bridge"}');
  });

  test.for(["", "{", '"text"', "null", "[]", "{}", '{"type":1}'])(
    "a torn file is found, without a text: %s",
    (content) => {
      put("c0ffee", content);
      expect(findSaved(dataDir, eth0, host)).toEqual({ path: join(dataDir, "c0ffee"), text: undefined });
    },
  );

  test("all there are, but what is still being written", () => {
    save(dataDir, eth0, delegate, host);
    put(".0123.tmp", "{");
    put("f00d", '{"type":"bridge"}');
    expect(
      listSaved(dataDir, host).map((file) => ("containerId" in file ? [file.containerId, file.ifName] : [])),
    ).toEqual(
      expect.arrayContaining([
        ["c0ffee", "eth0"],
        ["f00d", undefined],
      ]),
    );
    expect(listSaved(dataDir, host)).toHaveLength(2);
  });
});
