import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { failing, Killed } from "./failing.ts";
import { filesOver } from "../lib/host/files.ts";
import { sys } from "../lib/host/node.ts";

const EIO = 5;
let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "weft-failing-"));
  writeFileSync(join(directory, "list"), "old");
});
afterEach(() => rmSync(directory, { recursive: true }));

const replaceOver = (over: typeof sys): void => filesOver(over).replace(join(directory, "list"), "new", 0o644);

test("every call of a replacement fails once: the old text or the new, and no temporary", () => {
  const failed: string[] = [];
  for (let at = 0; ; at++) {
    writeFileSync(join(directory, "list"), "old");
    const faulty = failing(sys, at, EIO);
    try {
      replaceOver(faulty.sys);
      expect(readFileSync(join(directory, "list"), "utf8")).toBe("new");
      // To look for what others left is no part of it.
      if (faulty.failed()?.startsWith("readdir")) continue;
      expect(faulty.failed()).toBeUndefined();
      break;
    } catch (error) {
      expect(error).toMatchObject({ errno: EIO });
      failed.push(faulty.failed()?.replace(/\(.*/, "") ?? "");
    }
    expect(["old", "new"]).toContain(readFileSync(join(directory, "list"), "utf8"));
    expect(readdirSync(directory)).toEqual(["list"]);
  }
  expect(failed).toEqual("open flock fchmod write fsync rename open fsync".split(" "));
});

test("a killed process does nothing more", () => {
  for (let at = 0; at < 7; at++) {
    const faulty = failing(sys, at, "killed");
    expect(() => replaceOver(faulty.sys)).toThrow(Killed);
    expect(readFileSync(join(directory, "list"), "utf8")).toBe("old");
  }
  // A name that a crash left: a dot keeps readers from it, and the next writer removes it.
  expect(readdirSync(directory).filter((name) => !name.startsWith("."))).toEqual(["list"]);
  expect(readdirSync(directory)).toHaveLength(2);
  replaceOver(sys);
  expect(readdirSync(directory)).toEqual(["list"]);
});

test("counts what could fail", () => {
  const faulty = failing(sys, 1000, EIO);
  replaceOver(faulty.sys);
  expect(faulty.count()).toBe(9);
});
