// Installing: this executable under its names in a directory of plugins, while plugins of those names may be running, and
// the way back. Every name is old or new at any moment, never missing, never half a file, never "text file busy": the new
// file is written whole under another name and closed, and each name is moved over in one step. What it replaces keeps its
// inode under DIR/.weft-replaced, so that it comes back byte for byte, with its mode, owner and time.
import { takeLock } from "../lib/cni/lock.ts";
import { isErrno } from "../lib/host/errno.ts";
import type { Host } from "../lib/host/host.ts";
import { WeftError } from "./list.ts";

const executable = "/proc/self/exe";
const executableMode = 0o755;
const directoryMode = 0o755;
/** The new file's first name, and that of what is about to be kept: neither is a plugin's. */
const [whole, keeping] = ["whole file", "kept file"];

/**
 * The name that does not share its file with the others: kube-flannel's DaemonSet copies its own `flannel` over it each time
 * its pod starts, with `cp -f`, which writes into the file that is there.
 */
const overwritten = "flannel";

/** What an executable of any build of Weft ends with (see buildMark in lib/cni/delegate.ts). */
const markPattern = /\nweft-build:[^\n]+\n$/;
const markBytes = 128;

type There = "nothing" | "weft" | "another";

/** A directory of plugins, as installing sees it. */
class Target {
  readonly #host: Host;
  readonly #directory: string;
  readonly #replaced: string;

  constructor(directory: string, host: Host) {
    this.#host = host;
    this.#directory = directory;
    this.#replaced = `${directory}/.weft-replaced`;
  }

  path(name: string): string {
    return `${this.#directory}/${name}`;
  }
  kept(name: string): string {
    return `${this.#replaced}/${name}`;
  }
  /** A name on its way; the dot tells it from what is kept. */
  unfinished(name: string): string {
    return `${this.#replaced}/.${name}`;
  }

  keptNames(): string[] {
    if (this.#host.files.stat(this.#replaced) === undefined) return [];
    return this.#host.files.list(this.#replaced).filter((name) => !name.startsWith("."));
  }

  there(name: string): There {
    const { files } = this.#host;
    const path = this.path(name);
    const own = files.stat(path, false);
    if (own === undefined) return "nothing";
    if (own.kind === "directory") throw new WeftError(`${path} is a directory; move it away first`);
    return files.stat(path)?.kind === "file" && markPattern.test(files.readEnd(path, markBytes)) ? "weft" : "another";
  }

  /** Whether what is kept is still in its place: installing was ended between keeping and replacing. */
  isStillThere(name: string): boolean {
    const [kept, there] = [this.kept(name), this.path(name)].map((path) => this.#host.files.stat(path, false));
    return kept !== undefined && kept.dev === there?.dev && kept.ino === there.ino;
  }

  begin(): void {
    this.#host.files.makeDirectory(this.#replaced, directoryMode);
  }

  /** Keeps what has this name, in place of what was kept of it before: somebody has replaced that since. */
  keep(name: string): void {
    this.#host.files.link(this.path(name), this.unfinished(keeping));
    this.#host.files.rename(this.unfinished(keeping), this.kept(name));
    // The two may be one file, and then a rename leaves both.
    this.#host.files.remove(this.unfinished(keeping));
  }

  /** Takes away what installing was ended amidst of. */
  clear(names: readonly string[]): void {
    for (const name of [whole, keeping, ...names]) this.#host.files.remove(this.unfinished(name));
  }

  /** What is kept survives a power loss before anything is replaced. */
  syncKept(): void {
    this.#host.files.syncDirectory(this.#replaced);
  }

  end(): void {
    this.#host.files.removeDirectory(this.#replaced);
    this.#host.files.syncDirectory(this.#directory);
  }
}

function hintFor(error: unknown): string {
  if (isErrno(error, "EACCES")) return "run it as root";
  if (isErrno(error, "EPERM")) return "run it as root, on a file system that has hard links";
  if (isErrno(error, "EROFS")) return "this file system is mounted read-only";
  if (isErrno(error, "EXDEV", "EBUSY")) return "a file there is a mount of its own; unmount it first";
  if (isErrno(error, "ENOSPC", "EDQUOT")) return "make room there";
  return "look at this path and its file system";
}

/** Runs `body` alone in the directory; its errors say what the person at the terminal can do. */
function inDirectory(what: string, directory: string, host: Host, body: (target: Target) => void): void {
  const stat = host.files.stat(directory);
  if (stat === undefined) throw new WeftError(`${directory} does not exist; make it first: mkdir -p ${directory}`);
  if (stat.kind !== "directory") throw new WeftError(`${directory} is no directory; name the directory of the plugins`);
  try {
    const lock = takeLock(host, directory, { mode: directoryMode, create: false });
    try {
      body(new Target(directory, host));
    } finally {
      lock.release();
    }
  } catch (error) {
    if (!(error instanceof Error) || !("errno" in error)) throw error;
    throw new WeftError(
      `cannot ${what} ${directory}: ${error.message}; ${hintFor(error)}. Names not told of above are as they were.`,
    );
  }
}

/** Installs this executable under each name; `say` gets one line for each. */
export function install(directory: string, names: readonly string[], host: Host, say: (line: string) => void): void {
  const { files } = host;
  inDirectory("install into", directory, host, (target) => {
    const before = names.map((name) => [name, target.there(name)] as const);
    target.begin();
    try {
      target.clear(names);
      files.copy(executable, target.unfinished(whole), executableMode);
      for (const name of names) {
        if (name === overwritten) files.copy(executable, target.unfinished(name), executableMode);
        else files.link(target.unfinished(whole), target.unfinished(name));
      }
      for (const [name, there] of before) if (there === "another") target.keep(name);
      target.syncKept();
      for (const [name, there] of before) {
        files.rename(target.unfinished(name), target.path(name));
        say(`${name}: ${installed(there, target.kept(name))}`);
      }
    } catch (error) {
      try {
        target.clear(names);
      } catch {
        // What went wrong first is what matters; the next time clears as well.
      }
      throw error;
    }
    target.clear(names);
    target.end();
  });
}

function installed(before: There, kept: string): string {
  if (before === "another") return `installed; what was there is kept as ${kept}`;
  return before === "weft" ? "installed in place of the Weft that was there" : "installed; there was none before";
}

/** Takes Weft's names away and puts back what they replaced; `say` gets one line for each. */
export function uninstall(directory: string, names: readonly string[], host: Host, say: (line: string) => void): void {
  inDirectory("uninstall from", directory, host, (target) => {
    const kept = target.keptNames();
    const lines = [...new Set([...names, ...kept])].flatMap((name) => {
      const line = putBack(target, name, kept.includes(name), host);
      if (line !== undefined) say(`${name}: ${line}`);
      return line ?? [];
    });
    target.clear(names);
    target.end();
    if (lines.length === 0) throw new WeftError(`nothing in ${directory} is Weft's`);
  });
}

function putBack(target: Target, name: string, isKept: boolean, host: Host): string | undefined {
  const { files } = host;
  const there = target.there(name);
  if (!isKept) {
    if (there !== "weft") return undefined;
    files.remove(target.path(name));
    return "removed; there was none before";
  }
  if (there === "another" && !target.isStillThere(name))
    return `left alone: it is not Weft's any more. What Weft replaced is still ${target.kept(name)}`;
  files.rename(target.kept(name), target.path(name));
  // The two may be one file, and then a rename leaves both.
  files.remove(target.kept(name));
  return "put back what was there before";
}
