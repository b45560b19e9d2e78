import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { systemError } from "../host/errno.ts";
import { sys } from "../host/node.ts";
import type { Sys } from "../host/sys.ts";
import { openContainer, openIfThere } from "./netns.ts";

let root = "";
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "weft-netns-"));
  writeFileSync(join(root, "file"), "");
  symlinkSync("/nowhere", join(root, "dangling"));
});
afterAll(() => rmSync(root, { recursive: true }));

const own = "/proc/self/ns/net";
const host = (over: Partial<Sys> = {}) => testHost({ over }).host;
const refusing = (errno: number): Partial<Sys> => ({
  open: (path, flags, mode) => {
    if (path === own) throw systemError("open", errno, path);
    return sys.open(path, flags, mode);
  },
});

test("a netns is opened by either", () => {
  for (const open of [openContainer, openIfThere]) {
    const netns = open(own, host());
    expect(netns?.path).toBe(own);
    netns?.close();
  }
});

describe("for ADD and CHECK, what is no netns is an error", () => {
  const rows: [() => string, Partial<Sys>, string][] = [
    [() => "/run/netns/nowhere", {}, 'failed to Statfs "/run/netns/nowhere": no such file or directory'],
    [() => "", {}, 'failed to Statfs "": no such file or directory'],
    [() => `${root}/dangling`, {}, "no such file or directory"],
    [() => `${root}/file`, {}, "unknown FS magic on "],
    [() => root, {}, "unknown FS magic on "],
    [() => `${root}/file/x`, {}, "not a directory"],
    [() => own, refusing(13), `open ${own}: permission denied`],
  ];
  test.each(rows)("%s", async (path, over, reason) => {
    const error = await refusalOf(() => openContainer(path(), host(over)));
    expect(error.code).toBe(999);
    expect(error.message.startsWith(`failed to open netns "${path()}": `)).toBe(true);
    expect(error.message).toContain(reason);
    expect(error.details).toContain("the container has probably ended");
  });
});

describe("for DEL, what is gone is gone", () => {
  test.each([
    ["no path", () => ""],
    ["a path that is gone", () => "/run/netns/nowhere"],
    ["a link to what is gone", () => `${root}/dangling`],
    ["a plain file that a netns left behind", () => `${root}/file`],
    ["a directory", () => root],
    ["a path below a file", () => `${root}/file/x`],
  ])("%s", (_what, path) => {
    expect(openIfThere(path(), host())).toBeUndefined();
  });

  test.each([
    [13, "permission denied"],
    [24, "too many open files"],
    [5, "input/output error"],
  ])("but errno %i says nothing of that", (errno, text) => {
    expect(() => openIfThere(own, host(refusing(errno)))).toThrow(text);
  });
});
