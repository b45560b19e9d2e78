// Installing over plugins that are there, ended at every system call: each name is old or new, and nothing is lost.
import * as fs from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { systemError } from "../lib/host/errno.ts";
import { failing, Killed } from "../testing/failing.ts";
import { sys } from "../lib/host/node.ts";
import { hostOver } from "../lib/host/open.ts";
import type { Sys } from "../lib/host/sys.ts";
import { install, uninstall } from "./install.ts";

/** Bytes that are no text. */
const goFlannel = "Go's flannel\0\xff";
const names = ["flannel", "bridge", "loopback", "weft"];
let root = "";
let directory = "";
let executable = "";

beforeEach(() => {
  root = fs.mkdtempSync(join(tmpdir(), "weft-install-"));
  directory = join(root, "bin");
  executable = join(root, "executable");
  fs.mkdirSync(directory);
  build("1");
  // flannel a file of an unusual mode, bridge a symlink, loopback with a second name; weft is not there.
  fs.writeFileSync(at("flannel"), goFlannel, { encoding: "latin1" });
  fs.chmodSync(at("flannel"), 0o4751);
  fs.utimesSync(at("flannel"), 1e9, 1e9);
  fs.writeFileSync(join(root, "bridge-1.9"), "Go's bridge");
  fs.symlinkSync("../bridge-1.9", at("bridge"));
  fs.writeFileSync(at("loopback"), "Go's loopback", { mode: 0o755 });
  fs.linkSync(at("loopback"), at("lo"));
  fs.writeFileSync(at("portmap"), "Go's portmap");
});
afterEach(() => fs.rmSync(root, { recursive: true }));

const at = (name: string): string => join(directory, name);

/** What a build of Weft would be; its mark is how Weft is known. */
function build(id: string): void {
  fs.writeFileSync(executable, `the executable ${id}\nweft-build:${id}\n`);
}

/** The real system calls, for a process that is `executable`. */
const asExecutable = (over: Partial<Sys> = {}): Sys => {
  const real = { ...sys, ...over };
  return { ...real, open: (path, ...rest) => real.open(path === "/proc/self/exe" ? executable : path, ...rest) };
};

function act(what: typeof install, calls: Sys = asExecutable()): string[] {
  const lines: string[] = [];
  what(directory, names, hostOver(calls), (line) => lines.push(line));
  return lines;
}

/** Everything in the directory: what it is, whose it is, to the byte. */
function look(): Record<string, unknown> {
  const entries = fs.readdirSync(directory, { recursive: true, encoding: "utf8" }).sort();
  return Object.fromEntries(
    entries.map((name) => {
      const stat = fs.lstatSync(at(name));
      if (stat.isDirectory()) return [name, "directory"];
      if (stat.isSymbolicLink()) return [name, `to ${fs.readlinkSync(at(name))}`];
      const { mode, mtimeMs, ino } = stat;
      return [name, { text: fs.readFileSync(at(name), "latin1"), mode: mode & 0o7777, mtimeMs, ino }];
    }),
  );
}
const textOf = (name: string): string => fs.readFileSync(at(name), "latin1");

describe("install", () => {
  test("puts one file under all names but flannel, which has a copy, and says of each what became of it", () => {
    const kept = join(directory, ".weft-replaced");
    expect(act(install)).toEqual([
      `flannel: installed; what was there is kept as ${kept}/flannel`,
      `bridge: installed; what was there is kept as ${kept}/bridge`,
      `loopback: installed; what was there is kept as ${kept}/loopback`,
      "weft: installed; there was none before",
    ]);
    for (const name of names) {
      const shared = { ino: fs.statSync(at("weft")).ino, nlink: names.length - 1 };
      expect(fs.lstatSync(at(name))).toMatchObject(name === "flannel" ? { nlink: 1 } : shared);
      expect([fs.statSync(at(name)).mode & 0o7777, textOf(name)]).toEqual([
        0o755,
        fs.readFileSync(executable, "latin1"),
      ]);
    }
    expect(fs.readdirSync(directory).sort()).toEqual([".weft-replaced", "lo", "portmap", ...names].sort());
    expect(fs.readdirSync(kept).sort()).toEqual(["bridge", "flannel", "loopback"]);
  });

  test("and uninstall leaves all as it was, to the inode", () => {
    const before = look();
    act(install);
    expect(act(uninstall)).toEqual([
      "flannel: put back what was there before",
      "bridge: put back what was there before",
      "loopback: put back what was there before",
      "weft: removed; there was none before",
    ]);
    expect(look()).toEqual(before);
  });

  test("over an older Weft keeps what the first one replaced", () => {
    const before = look();
    act(install);
    build("2");
    expect(act(install)).toEqual(names.map((name) => `${name}: installed in place of the Weft that was there`));
    for (const name of names) expect(textOf(name)).toContain("executable 2");
    act(uninstall);
    expect(look()).toEqual(before);
  });

  test("over what somebody has put there since keeps that", () => {
    act(install);
    fs.rmSync(at("flannel"));
    fs.writeFileSync(at("flannel"), "Go's newer flannel");
    act(install);
    expect(textOf("flannel")).toContain("weft-build");
    act(uninstall);
    expect([textOf("flannel"), textOf("loopback")]).toEqual(["Go's newer flannel", "Go's loopback"]);
  });

  test("where a name of ours was removed meanwhile does not forget what it replaced", () => {
    const before = look();
    act(install);
    fs.rmSync(at("flannel"));
    act(install);
    act(uninstall);
    expect(look()).toEqual(before);
  });

  test("into an empty directory leaves nothing but the names", () => {
    for (const name of fs.readdirSync(directory)) fs.rmSync(at(name));
    act(install);
    expect(fs.readdirSync(directory).sort()).toEqual([...names].sort());
    act(uninstall);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test("keeps a symlink that leads nowhere", () => {
    fs.rmSync(join(root, "bridge-1.9"));
    act(install);
    expect(textOf("bridge")).toContain("weft-build");
    act(uninstall);
    expect(fs.readlinkSync(at("bridge"))).toBe("../bridge-1.9");
    expect(fs.existsSync(at(".weft-replaced"))).toBe(false);
  });
});

describe("uninstall", () => {
  test("leaves alone what is not Weft's any more", () => {
    act(install);
    fs.rmSync(at("flannel"));
    fs.writeFileSync(at("flannel"), "Go's newer flannel");
    expect(act(uninstall)[0]).toBe(
      `flannel: left alone: it is not Weft's any more. What Weft replaced is still ${at(".weft-replaced/flannel")}`,
    );
    expect([textOf("flannel"), textOf(".weft-replaced/flannel")]).toEqual(["Go's newer flannel", goFlannel]);
    expect(textOf("loopback")).toBe("Go's loopback");
  });

  test("of nothing says so", () => {
    const before = look();
    expect(() => act(uninstall)).toThrow(`nothing in ${directory} is Weft's`);
    expect(look()).toEqual(before);
  });
});

const olds: Record<string, string | undefined> = {
  flannel: goFlannel,
  bridge: "Go's bridge",
  loopback: "Go's loopback",
  weft: undefined,
};

/** The names that are neither what they were nor the whole of a Weft. */
function broken(): string[] {
  return names.filter((name) => {
    const text = fs.existsSync(at(name)) ? textOf(name) : undefined;
    return text !== olds[name] && !(text !== undefined && /^the executable [12]\nweft-build:[12]\n$/.test(text));
  });
}

describe.each([
  ["killed", "killed"],
  ["refused", 28],
] as const)("%s at each system call in turn", (_how, fault) => {
  /** Ends `what` at its call number n, for every n there is; `prepare` is done before each, `judge` after. */
  function atEach(prepare: () => void, what: typeof install, judge: (failed: string) => void): number {
    for (let n = 0; ; n++) {
      prepare();
      const faulty = failing(asExecutable(), n, fault);
      try {
        act(what, faulty.sys);
      } catch (error) {
        if (!(error instanceof Killed) && faulty.failed() === undefined) throw error;
      }
      if (faulty.failed() === undefined) return n;
      judge(`call ${n}, ${faulty.failed()}`);
    }
  }

  const plain = (seen: Record<string, unknown>) => JSON.parse(JSON.stringify(seen));

  test("install leaves every name old or new; again, or back, is whole", () => {
    const before = look();
    const reset = () => {
      if (fs.existsSync(at(".weft-replaced")) || fs.existsSync(at("weft"))) {
        try {
          act(uninstall);
        } catch {
          // It had not come so far that there was something to take back.
        }
      }
      expect(plain(look())).toEqual(plain(before));
    };
    const calls = atEach(reset, install, (failed) => {
      expect(broken(), failed).toEqual([]);
      act(install);
      expect(names.map(textOf), failed).toEqual(names.map(() => "the executable 1\nweft-build:1\n"));
      expect(fs.readdirSync(at(".weft-replaced")).sort(), failed).toEqual(["bridge", "flannel", "loopback"]);
    });
    expect(calls).toBeGreaterThan(30);
  });

  test("straight back from a broken install leaves all as it was", () => {
    const before = look();
    atEach(
      () => {},
      install,
      (failed) => {
        try {
          act(uninstall);
        } catch (error) {
          expect((error as Error).message, failed).toBe(`nothing in ${directory} is Weft's`);
        }
        expect(plain(look()), failed).toEqual(plain(before));
      },
    );
  });

  test("an upgrade and an uninstall leave every name old or new, and nothing is lost", () => {
    const before = look();
    act(install);
    build("2");
    atEach(
      () => {},
      install,
      (failed) => expect(broken(), failed).toEqual([]),
    );
    atEach(
      () => act(install),
      uninstall,
      (failed) => expect(broken(), failed).toEqual([]),
    );
    expect(plain(look())).toEqual(plain(before));
  });
});

describe("what cannot be done is said with what to try", () => {
  test.each([
    ["a directory that is not there", () => join(root, "none"), /none does not exist; make it first: mkdir -p/],
    ["a file", () => executable, /executable is no directory/],
  ])("%s", (_what, where, said) => {
    for (const what of [install, uninstall])
      expect(() => what(where(), names, hostOver(asExecutable()), () => {})).toThrow(said);
  });

  test("a directory that has a plugin's name", () => {
    fs.rmSync(at("bridge"));
    fs.mkdirSync(at("bridge"));
    const before = look();
    expect(() => act(install)).toThrow(`${at("bridge")} is a directory; move it away first`);
    expect(look()).toEqual(before);
  });

  test.each([
    ["mkdir", 13, "run it as root"],
    ["mkdir", 30, "mounted read-only"],
    ["write", 28, "make room there"],
    ["link", 1, "on a file system that has hard links"],
    ["link", 18, "unmount it first"],
  ] as const)("%s: errno %d", (call, errno, hint) => {
    const before = look();
    const refuse = (path: string) => {
      throw systemError(call, errno, path);
    };
    expect(() => act(install, asExecutable({ [call]: refuse }))).toThrow(hint);
    const { ".weft-replaced": _empty, ...after } = look();
    expect(after).toEqual(before);
  });
});
