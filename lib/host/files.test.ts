import { execFileSync, spawn } from "node:child_process";
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isErrno, systemError } from "./errno.ts";
import { filesOver } from "./files.ts";
import { sys } from "./node.ts";
import type { Sys } from "./sys.ts";

const EOPNOTSUPP = 95;
let directory = "";
let umask = 0;

beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "weft-files-"));
  // A runtime's own umask must not show in what we make.
  umask = process.umask(0o077);
});
afterEach(() => {
  process.umask(umask);
  fs.rmSync(directory, { recursive: true });
});

const files = filesOver(sys);
const at = (name: string): string => join(directory, name);
const modeOf = (name: string): number => fs.statSync(at(name)).mode & 0o7777;
const openDescriptors = (): number => fs.readdirSync("/proc/self/fd").length;

/** The names of the system calls that `body` makes, in order. */
function callsOf(body: (over: ReturnType<typeof filesOver>) => void, over: Partial<Sys> = {}): string[] {
  const calls: string[] = [];
  const spied = Object.fromEntries(
    Object.entries({ ...sys, ...over }).map(([name, call]) => [
      name,
      (...args: unknown[]) => {
        calls.push(name);
        return (call as (...args: unknown[]) => unknown)(...args);
      },
    ]),
  );
  body(filesOver(spied as unknown as Sys));
  return calls;
}

const withoutUnnamed: Partial<Sys> = {
  openUnnamed: (path) => {
    throw systemError("open", EOPNOTSUPP, path);
  },
};

/** As linkat(2) answers a process without CAP_DAC_READ_SEARCH. */
const withoutEmptyPaths: Partial<Sys> = {
  link(fd, from, to, flags) {
    if (from === "") throw systemError("link", 2, to);
    sys.link(fd, from, to, flags);
  },
};

describe("replace", () => {
  test("leaves a complete file of the mode asked for, and no temporary", () => {
    fs.writeFileSync(at("list"), "old text, longer than the new one");
    files.replace(at("list"), "new", 0o644);
    expect(fs.readFileSync(at("list"), "utf8")).toBe("new");
    expect(modeOf("list")).toBe(0o644);
    expect(fs.readdirSync(directory)).toEqual(["list"]);
  });

  test("syncs the file before it gets its name, and the directory after", () => {
    expect(callsOf((over) => over.replace(at("list"), "new", 0o644))).toEqual(
      "readdir random open flock fchmod write fsync rename close open fsync close".split(" "),
    );
  });

  test.each(["fchmod", "write", "fsync", "rename"] as const)("a refused %s leaves the old file alone", (refused) => {
    fs.writeFileSync(at("list"), "old");
    const before = openDescriptors();
    const full = filesOver({ ...sys, [refused]: () => expectRefusal(refused) });
    expect(() => full.replace(at("list"), "new", 0o644)).toThrow("no space left on device");
    expect(fs.readFileSync(at("list"), "utf8")).toBe("old");
    expect(fs.readdirSync(directory)).toEqual(["list"]);
    expect(openDescriptors()).toBe(before);
  });
});

describe("what a killed writer left", () => {
  const temporaries = () => fs.readdirSync(directory).filter((name) => name.startsWith("."));

  test("is removed by the next, be it over the same file or another; a living writer's stays", () => {
    fs.writeFileSync(at(".0123456789abcdef.tmp"), "torn");
    fs.writeFileSync(at(".0123456789abcdef"), "an operator's");
    files.replace(at("list"), "new", 0o644);
    expect(temporaries()).toEqual([".0123456789abcdef"]);
    fs.writeFileSync(at(".0123456789abcdef.tmp"), "torn");
    let during: string[] = [];
    const nosy = filesOver({
      ...sys,
      write: (...args) => {
        during = temporaries();
        files.removeAbandoned(directory);
        sys.write(...args);
      },
    });
    nosy.replace(at("list"), "newer", 0o644);
    expect(during).toHaveLength(2);
    expect(fs.readFileSync(at("list"), "utf8")).toBe("newer");
    expect(temporaries()).toEqual([".0123456789abcdef"]);
  });

  test("where files have no names, the first file is no temporary's", () => {
    fs.writeFileSync(at(".0123456789abcdef.tmp"), "torn");
    filesOver({ ...sys, ...withoutUnnamed })
      .prepare(directory, "text", 0o600)
      .discard();
    expect(temporaries()).toEqual([]);
  });

  test("one that was taken for left behind before it was locked is written again", () => {
    let locked = 0;
    const unlucky = filesOver({
      ...sys,
      flock: (...args) => {
        if (locked++ === 0) for (const name of temporaries()) fs.unlinkSync(at(name));
        return sys.flock(...args);
      },
    });
    unlucky.replace(at("list"), "new", 0o644);
    expect(fs.readFileSync(at("list"), "utf8")).toBe("new");
    expect(locked).toBe(2);
    expect(temporaries()).toEqual([]);
  });

  test("one that cannot be removed keeps nobody from writing, and is told where it is asked for", () => {
    fs.mkdirSync(at(".0123456789abcdef.tmp"));
    files.replace(at("list"), "new", 0o644);
    expect(fs.readFileSync(at("list"), "utf8")).toBe("new");
    expect(() => files.removeAbandoned(directory)).toThrow(`${at(".0123456789abcdef.tmp")}: `);
  });
});

describe("copy", () => {
  // More than is copied at once, and no text.
  const bytes = Buffer.from(Uint8Array.from({ length: (256 << 10) + 3 }, (_, at) => at * 7));

  test("is the same bytes under the mode asked for, synced and closed", () => {
    fs.writeFileSync(at("from"), bytes);
    const before = openDescriptors();
    expect(callsOf((over) => over.copy(at("from"), at("to"), 0o755))).toEqual(
      "open fchmod open read write read write read close fsync close".split(" "),
    );
    expect(fs.readFileSync(at("to")).equals(bytes)).toBe(true);
    expect(modeOf("to")).toBe(0o755);
    expect(openDescriptors()).toBe(before);
  });

  test("can be run the moment it is there", () => {
    for (let round = 0; round < 20; round++) {
      files.copy("/bin/true", at(`true${round}`), 0o755);
      execFileSync(at(`true${round}`));
    }
  });

  test("leaves a name that is taken alone", () => {
    fs.writeFileSync(at("from"), bytes);
    fs.writeFileSync(at("to"), "old");
    expect(() => files.copy(at("from"), at("to"), 0o755)).toThrow(expect.objectContaining({ errno: 17 }));
    expect(fs.readFileSync(at("to"), "utf8")).toBe("old");
  });

  test.each(["fchmod", "read", "write", "fsync"] as const)("a refused %s leaves nothing", (refused) => {
    fs.writeFileSync(at("from"), bytes);
    const before = openDescriptors();
    const full = filesOver({ ...sys, [refused]: () => expectRefusal(refused) });
    expect(() => full.copy(at("from"), at("to"), 0o755)).toThrow("no space left on device");
    expect(fs.readdirSync(directory)).toEqual(["from"]);
    expect(openDescriptors()).toBe(before);
  });
});

describe("names", () => {
  test("link gives a second one, and says when it is taken", () => {
    fs.writeFileSync(at("file"), "text");
    expect(files.link(at("file"), at("second"))).toBe(true);
    expect(fs.statSync(at("second")).ino).toBe(fs.statSync(at("file")).ino);
    expect(files.link(at("file"), at("second"))).toBe(false);
    expect(() => files.link(at("none"), at("third"))).toThrow(expect.objectContaining({ errno: 2 }));
  });

  test("link and stat can mean a symlink itself", () => {
    fs.symlinkSync("nowhere", at("symlink"));
    expect(files.link(at("symlink"), at("second"))).toBe(true);
    expect(fs.readlinkSync(at("second"))).toBe("nowhere");
    expect(files.stat(at("second"))).toBeUndefined();
    expect(files.stat(at("second"), false)).toMatchObject({
      kind: "other",
      ino: String(fs.lstatSync(at("symlink")).ino),
    });
    fs.writeFileSync(at("nowhere"), "text");
    expect(files.stat(at("second"))).toMatchObject({ kind: "file", size: 4 });
  });

  test("rename moves one in place of another", () => {
    fs.writeFileSync(at("new"), "new");
    fs.writeFileSync(at("old"), "old");
    files.rename(at("new"), at("old"));
    expect([fs.readdirSync(directory), fs.readFileSync(at("old"), "utf8")]).toEqual([["old"], "new"]);
  });

  test("removeDirectory takes an empty one, and says when it is not", () => {
    fs.mkdirSync(at("full/empty"), { recursive: true });
    expect(["full", "full/empty", "full", "full"].map((name) => files.removeDirectory(at(name)))).toEqual([
      false,
      true,
      true,
      false,
    ]);
    fs.writeFileSync(at("file"), "");
    expect(() => files.removeDirectory(at("file"))).toThrow(expect.objectContaining({ errno: 20 }));
  });
});

function expectRefusal(name: string): never {
  throw systemError(name, 28);
}

describe.each([
  ["nameless until published", {}],
  ["nameless until published, named by way of /proc", withoutEmptyPaths],
  ["under a dot name where the file system knows no nameless files", withoutUnnamed],
] as const)("prepare, %s", (_, over) => {
  const prepared = filesOver({ ...sys, ...over });

  test("publishes a complete file once, and says where a name is taken", () => {
    fs.writeFileSync(at("10.1.0.2"), "somebody else's");
    const file = prepared.prepare(directory, "ours", 0o644);
    expect(file.publish(at("10.1.0.2"))).toBe(false);
    expect(file.publish(at("10.1.0.3"))).toBe(true);
    file.discard();
    expect(fs.readFileSync(at("10.1.0.2"), "utf8")).toBe("somebody else's");
    expect(fs.readFileSync(at("10.1.0.3"), "utf8")).toBe("ours");
    expect(modeOf("10.1.0.3")).toBe(0o644);
    expect(fs.readdirSync(directory).sort()).toEqual(["10.1.0.2", "10.1.0.3"]);
  });

  test("leaves nothing when it is discarded", () => {
    const before = openDescriptors();
    prepared.prepare(directory, "ours", 0o644).discard();
    expect(fs.readdirSync(directory)).toEqual([]);
    expect(openDescriptors()).toBe(before);
  });

  test("no reader that looks for addresses takes the unpublished file for one", () => {
    const file = prepared.prepare(directory, "ours", 0o644);
    expect(fs.readdirSync(directory).filter((name) => !name.startsWith("."))).toEqual([]);
    file.discard();
  });

  test("leaves nothing when its text cannot be written", () => {
    const full = filesOver({ ...sys, ...over, fsync: () => expectRefusal("fsync") });
    const before = openDescriptors();
    expect(() => full.prepare(directory, "ours", 0o644)).toThrow("no space left on device");
    expect(fs.readdirSync(directory)).toEqual([]);
    expect(openDescriptors()).toBe(before);
  });

  test("a missing directory is ENOENT", () => {
    expect(() => prepared.prepare(at("none"), "ours", 0o644)).toThrow(expect.objectContaining({ errno: 2 }));
  });
});

test("a file is synced before it is published", () => {
  const calls = callsOf((over) => over.prepare(directory, "ours", 0o644).publish(at("10.1.0.2")));
  expect(calls).toEqual("openUnnamed fchmod write fsync link".split(" "));
});

describe("checkWritable", () => {
  test("looks, and writes nothing", () => {
    expect(callsOf((over) => over.checkWritable(directory))).toEqual(["access", "statfs"]);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test("a refusal comes through", () => {
    expect(() => filesOver(sys).checkWritable(at("missing"))).toThrow(
      `access ${at("missing")}/: no such file or directory`,
    );
    fs.writeFileSync(at("file"), "", { mode: 0o755 });
    expect(() => filesOver(sys).checkWritable(at("file"))).toThrow("not a directory");
  });

  test.each([
    ["no block is free", [0, 10, 10], "no space left on device"],
    ["no inode is free", [10, 10, 0], "no space left on device"],
    ["inodes are not counted", [10, 0, 0], undefined],
  ] as const)("%s", (_, [blocks, inodes, freeInodes], message) => {
    const files = filesOver({ ...sys, statfs: () => [blocks, inodes, freeInodes] });
    const check = () => files.checkWritable(directory);
    if (message === undefined) expect(check).not.toThrow();
    else expect(check).toThrow(message);
  });
});

test("an error of a descriptor names the file", () => {
  const full = filesOver({ ...sys, write: () => expectRefusal("write") });
  expect(() => full.write(at("place"), "x", 0o600)).toThrow(`write ${at("place")}: no space left on device`);
  expect(() => full.replace(at("list"), "x", 0o600)).toThrow(`write ${at("list")}: no space left on device`);
  expect(() => full.prepare(directory, "x", 0o600)).toThrow(`write ${directory}: no space left on device`);
});

describe("makeDirectory", () => {
  test("makes what is missing, each with the mode asked for", () => {
    files.makeDirectory(at("a/b/c"), 0o755);
    expect(["a", "a/b", "a/b/c"].map(modeOf)).toEqual([0o755, 0o755, 0o755]);
  });

  test("leaves what exists as it is, for one system call", () => {
    fs.mkdirSync(at("a"), 0o700);
    expect(callsOf((over) => over.makeDirectory(at("a"), 0o755))).toEqual(["mkdir"]);
    expect(modeOf("a")).toBe(0o700);
  });

  test("a dangling link in its way is an error, not a loop", () => {
    fs.symlinkSync(at("nowhere"), at("link"));
    expect(() => files.makeDirectory(at("link/a"), 0o755)).toThrow(expect.objectContaining({ errno: 2 }));
  });

  test("a file in its way is an error", () => {
    fs.writeFileSync(at("file"), "");
    expect(() => files.makeDirectory(at("file/a"), 0o755)).toThrow("not a directory");
  });
});

describe("reading", () => {
  test("read refuses what is longer than its bound", () => {
    fs.writeFileSync(at("big"), "x".repeat(5000));
    expect(files.read(at("big"), 5000)).toHaveLength(5000);
    expect(() => files.read(at("big"), 4999)).toThrow(expect.objectContaining({ errno: 27 }));
  });

  test("bytes that are no UTF-8 become U+FFFD", () => {
    fs.writeFileSync(at("odd"), Buffer.from([0x61, 0xff, 0x62]));
    expect(files.read(at("odd"))).toBe("a\ufffdb");
  });

  test("readEnd gives the last bytes, or all of a shorter file", () => {
    fs.writeFileSync(at("file"), "0123456789");
    expect(files.readEnd(at("file"), 3)).toBe("789");
    expect(files.readEnd(at("file"), 30)).toBe("0123456789");
  });

  test("containing looks into regular files only, and only into their beginning", () => {
    fs.writeFileSync(at("10.1.0.2"), "pod-a\r\neth0");
    fs.writeFileSync(at("10.1.0.3"), "pod-b\r\neth0");
    fs.writeFileSync(at("late"), `${"x".repeat(4096)}pod-a`);
    fs.mkdirSync(at("pod-a"));
    fs.symlinkSync(at("10.1.0.2"), at("link"));
    expect(files.containing(directory, "pod-a")).toEqual(["10.1.0.2"]);
  });

  test("containing looks into those alone that begin as asked", () => {
    for (const name of ["10.1.0.2", "fd00::2", "lock", "last"]) fs.writeFileSync(at(name), "pod-a");
    fs.chmodSync(at("lock"), 0);
    expect(files.containing(directory, "pod-a", "01f").sort()).toEqual(["10.1.0.2", "fd00::2"]);
    expect(files.containing(directory, "pod-a", "")).toEqual([]);
  });

  test("stat tells kinds apart and is undefined for what is not there", () => {
    fs.writeFileSync(at("file"), "123");
    fs.chmodSync(at("file"), 0o640);
    const facts = fs.statSync(at("file"), { bigint: true });
    expect(files.stat(at("file"))).toEqual({
      kind: "file",
      dev: String(facts.dev),
      ino: String(facts.ino),
      mode: 0o640,
      size: 3,
      mtimeMs: Number(facts.mtimeNs) / 1e6,
    });
    expect(files.stat(directory)?.kind).toBe("directory");
    expect(files.stat("/dev/null")?.kind).toBe("other");
    expect(files.stat(at("none"))).toBeUndefined();
    expect(files.stat(at("file/below"))).toBeUndefined();
  });

  test("executable follows symlinks to a file that may be run, and is undefined for all else", () => {
    fs.writeFileSync(at("run"), "");
    fs.chmodSync(at("run"), 0o755);
    fs.writeFileSync(at("text"), "");
    fs.symlinkSync("run", at("second"));
    fs.symlinkSync(at("second"), at("first"));
    fs.symlinkSync("first/", at("slash"));
    fs.symlinkSync("loop", at("loop"));
    expect(files.executable(at("first"))).toBe(fs.realpathSync(at("run")));
    const others = ["text", "none", "run/x", "slash", "loop", ""];
    for (const name of others) expect(files.executable(at(name))).toBeUndefined();
  });

  test("remove says whether there was something", () => {
    fs.writeFileSync(at("file"), "");
    expect([files.remove(at("file")), files.remove(at("file"))]).toEqual([true, false]);
  });
});

test.each(["10.1.0.200", "10.1.0.2", "10.1", "10.1.0.\u00e9", ""])(
  "write over %j keeps the inode, and nothing else of it",
  (old) => {
    fs.writeFileSync(at("last"), old);
    const { ino } = fs.statSync(at("last"));
    files.write(at("last"), "10.1.0.3", 0o644);
    expect(fs.readFileSync(at("last"), "utf8")).toBe("10.1.0.3");
    expect(fs.statSync(at("last")).ino).toBe(ino);
    expect(modeOf("last")).toBe(0o644);
  },
);

test("write over a text of the same length leaves no moment at which the file is empty", () => {
  fs.writeFileSync(at("last"), "10.1.0.2");
  const seen: string[] = [];
  const fchmod = () => void seen.push(fs.readFileSync(at("last"), "utf8"));
  filesOver({ ...sys, fchmod }).write(at("last"), "10.1.0.3", 0o644);
  expect([...seen, fs.readFileSync(at("last"), "utf8")]).toEqual(["10.1.0.2", "10.1.0.3"]);
});

describe("lock", () => {
  const options = { mode: 0o600, timeoutMs: 50 };
  const flock = (path: string): boolean => {
    try {
      execFileSync("flock", ["--nonblock", path, "true"], { stdio: "ignore" });
      return true;
    } catch {
      return false;
    }
  };

  test("keeps other processes out until it is released", () => {
    const lock = files.lock(at("lock"), options);
    expect(modeOf("lock")).toBe(0o600);
    expect(flock(at("lock"))).toBe(false);
    lock?.release();
    expect(flock(at("lock"))).toBe(true);
  });

  test("is undefined when the time is up", () => {
    const first = files.lock(at("lock"), options);
    const started = performance.now();
    expect(files.lock(at("lock"), options)).toBeUndefined();
    expect(performance.now() - started).toBeGreaterThanOrEqual(50);
    first?.release();
  });

  test("create: false does not make the file", () => {
    expect(() => files.lock(at("lock"), { ...options, create: false })).toThrow(expect.objectContaining({ errno: 2 }));
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  test("a lock on a file that lost its name while we waited is taken again on the new one", () => {
    let opened = 0;
    const racing = filesOver({
      ...sys,
      flock(fd, timeoutMs) {
        if (++opened === 1) fs.renameSync(at("lock"), at("old"));
        return sys.flock(fd, timeoutMs);
      },
    });
    const lock = racing.lock(at("lock"), options);
    expect(opened).toBe(2);
    expect([flock(at("lock")), flock(at("old"))]).toEqual([false, true]);
    lock?.release();
  });

  test("goes with the process that held it, however that ended", async () => {
    const holder = spawn("flock", [at("lock"), "sh", "-c", "echo held; exec sleep 60"], {
      stdio: ["ignore", "pipe", "ignore"],
      detached: true,
    });
    await new Promise((resolve) => holder.stdout.once("data", resolve));
    expect(files.lock(at("lock"), options)).toBeUndefined();
    process.kill(-(holder.pid ?? 0), "SIGKILL");
    const lock = files.lock(at("lock"), { mode: 0o600, timeoutMs: 60_000 });
    expect(lock).toBeDefined();
    lock?.release();
  });
});

test("errors say what was tried on which path, as Go's do", () => {
  try {
    files.read("/no/such/file");
    expect.unreachable();
  } catch (error) {
    expect(isErrno(error, "ENOENT")).toBe(true);
    expect((error as Error).message).toBe("open /no/such/file: no such file or directory");
  }
});
