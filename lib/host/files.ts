// Files over the system calls: what is written whole is synced before anyone can see it.
import { isErrno, isSystemError, systemError } from "./errno.ts";
import type { FileLock, Files, FileStat, PreparedFile } from "./host.ts";
import type { Sys } from "./sys.ts";

// fcntl.h, the same on x86_64 and aarch64.
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_PATH = 0o10000000;
const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;
const AT_EMPTY_PATH = 0x1000;

const ENOENT = 2;
const ENOSPC = 28;

// unistd.h
const W_OK = 2;
const X_OK = 1;

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

const defaultMaxBytes = 1 << 20;
const copiedAtOnce = 256 << 10;

const isTemporary = /^\.[\da-f]{16}\.tmp$/;
const replaceAttempts = 3;

function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "." : path.slice(0, slash) || "/";
}

function statOf(stat: ReturnType<Sys["stat"]>): FileStat {
  const type = stat[2] & S_IFMT;
  const kind = type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
  return { kind, dev: stat[0], ino: stat[1], mode: stat[2] & 0o7777, size: stat[3], mtimeMs: stat[4] };
}

export function filesOver(sys: Sys): Files {
  function withFile<T>(path: string, flags: number, mode: number, body: (fd: number) => T): T {
    const fd = sys.open(path, flags, mode);
    try {
      return body(fd);
    } finally {
      sys.close(fd);
    }
  }

  /** `path` is for the error alone: what the kernel says of a descriptor names nothing. */
  function fill(fd: number, text: string, mode: number, path: string): void {
    try {
      sys.fchmod(fd, mode);
      sys.write(fd, text);
    } catch (error) {
      throw isSystemError(error) ? systemError(error.syscall, error.errno, path) : error;
    }
  }

  function syncDirectory(path: string): void {
    withFile(path, O_RDONLY, 0, (fd) => sys.fsync(fd));
  }

  /**
   * A new file under a name whose dot keeps readers away. It is locked for as long as its writer lives, by which
   * removeAbandoned tells it from what a writer left that was killed.
   */
  function openTemporary(directory: string, mode: number): { path: string; fd: number } {
    try {
      removeAbandoned(directory);
    } catch (error) {
      // What others left keeps nobody from writing.
      if (!isSystemError(error)) throw error;
    }
    const random = Array.from(sys.random(8), (byte) => byte.toString(16).padStart(2, "0")).join("");
    const path = `${directory}/.${random}.tmp`;
    const fd = sys.open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    try {
      // Not ours at once: then somebody removes it this very moment, and its renaming is tried again.
      sys.flock(fd, 0);
    } catch (error) {
      sys.close(fd);
      remove(path);
      throw error;
    }
    return { path, fd };
  }

  /** None in a directory that is not there. */
  function namesIn(directory: string): string[] {
    try {
      return sys.readdir(directory);
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
      throw error;
    }
  }

  function removeAbandoned(directory: string): void {
    for (const name of namesIn(directory).filter((each) => isTemporary.test(each))) {
      const path = `${directory}/${name}`;
      try {
        withFile(path, O_RDONLY, 0, (fd) => {
          if (sys.flock(fd, 0)) remove(path);
        });
      } catch (error) {
        // Its writer has renamed it meanwhile.
        if (!isErrno(error, "ENOENT")) throw error;
      }
    }
  }

  /** What openUnnamed says where the file system, or a kernel before 3.11, knows no nameless files. */
  const knowsNoUnnamed = (error: unknown): boolean => isErrno(error, "EOPNOTSUPP", "EISDIR", "EINVAL");

  /** A file of this content that no other process sees: nameless where the file system can do that, else dot-named. */
  function makeUnseen(directory: string, text: string, mode: number): PreparedFile {
    let fd: number;
    let path: string | undefined;
    try {
      fd = sys.openUnnamed(directory, mode);
    } catch (error) {
      if (!knowsNoUnnamed(error)) throw error;
      ({ path, fd } = openTemporary(directory, mode));
    }
    const drop = () => {
      sys.close(fd);
      if (path !== undefined) remove(path);
    };
    try {
      fill(fd, text, mode, path ?? directory);
      sys.fsync(fd);
    } catch (error) {
      drop();
      throw error;
    }
    const publish = path === undefined ? (to: string) => nameIt(fd, to) : (to: string) => link(AT_FDCWD, path, to, 0);
    return { publish, discard: drop };
  }

  function remove(path: string): boolean {
    try {
      sys.unlink(path);
      return true;
    } catch (error) {
      if (isErrno(error, "ENOENT")) return false;
      throw error;
    }
  }

  /** false when `to` is taken. */
  function link(fd: number, from: string, to: string, flags: number): boolean {
    try {
      sys.link(fd, from, to, flags);
      return true;
    } catch (error) {
      if (isErrno(error, "EEXIST")) return false;
      throw error;
    }
  }

  /** Gives a nameless file its name; false when that is taken. */
  function nameIt(fd: number, to: string): boolean {
    try {
      return link(fd, "", to, AT_EMPTY_PATH);
    } catch (error) {
      // So it is said to a process without CAP_DAC_READ_SEARCH. By way of /proc each may, which takes three times as long.
      if (!isErrno(error, "ENOENT")) throw error;
      return link(AT_FDCWD, `/proc/self/fd/${fd}`, to, AT_SYMLINK_FOLLOW);
    }
  }

  function copyInto(target: number, from: string): void {
    withFile(from, O_RDONLY, 0, (source) => {
      for (;;) {
        const bytes = sys.read(source, copiedAtOnce);
        if (bytes.length === 0) return;
        sys.write(target, bytes);
      }
    });
  }

  /** false when its parent is missing. */
  function makeOne(path: string, mode: number): boolean {
    try {
      sys.mkdir(path, mode);
    } catch (error) {
      if (isErrno(error, "EEXIST")) return true;
      if (isErrno(error, "ENOENT")) return false;
      throw error;
    }
    withFile(path, O_RDONLY, 0, (fd) => sys.fchmod(fd, mode));
    return true;
  }

  function makeDirectory(path: string, mode: number): void {
    if (makeOne(path, mode)) return;
    const parent = directoryOf(path);
    if (parent !== path) makeDirectory(parent, mode);
    if (!makeOne(path, mode)) throw systemError("mkdir", ENOENT, path);
  }

  function stat(path: string, follow = true): FileStat | undefined {
    try {
      return statOf(sys.stat(path, follow));
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
      throw error;
    }
  }

  function executable(path: string): string | undefined {
    try {
      return withFile(path, O_PATH, 0, (fd) => {
        if (statOf(sys.fstat(fd)).kind !== "file") return undefined;
        sys.access(path, X_OK);
        return sys.readlink(`/proc/self/fd/${fd}`);
      });
    } catch (error) {
      if (isErrno(error, "ENOENT", "ENOTDIR", "EACCES", "ELOOP")) return undefined;
      throw error;
    }
  }

  return {
    read: (path, maxBytes = defaultMaxBytes) => sys.readFile(path, maxBytes),

    readEnd: (path, length) => sys.readEnd(path, length),

    write(path, text, mode) {
      // To free a block and take another is what takes longest of it, on a disk by far.
      const truncate = stat(path)?.size === text.length ? 0 : O_TRUNC;
      withFile(path, O_WRONLY | O_CREAT | truncate, mode, (fd) => fill(fd, text, mode, path));
    },

    replace(path, text, mode) {
      const directory = directoryOf(path);
      for (let attempt = 1; ; attempt++) {
        const temporary = openTemporary(directory, mode);
        try {
          fill(temporary.fd, text, mode, path);
          sys.fsync(temporary.fd);
          sys.rename(temporary.path, path);
          break;
        } catch (error) {
          if (remove(temporary.path) || attempt === replaceAttempts || !isErrno(error, "ENOENT")) throw error;
        } finally {
          sys.close(temporary.fd);
        }
      }
      syncDirectory(directory);
    },

    copy(from, to, mode) {
      withFile(to, O_WRONLY | O_CREAT | O_EXCL, mode, (target) => {
        try {
          sys.fchmod(target, mode);
          copyInto(target, from);
          sys.fsync(target);
        } catch (error) {
          remove(to);
          throw error;
        }
      });
    },

    link: (from, to) => link(AT_FDCWD, from, to, 0),
    rename: (from, to) => sys.rename(from, to),

    removeDirectory(path) {
      try {
        sys.rmdir(path);
        return true;
      } catch (error) {
        if (isErrno(error, "ENOENT", "ENOTEMPTY")) return false;
        throw error;
      }
    },

    prepare: makeUnseen,

    checkWritable(directory) {
      // The slash lets nothing but a directory be one.
      sys.access(`${directory}/`, W_OK | X_OK);
      const [freeBlocks, inodes, freeInodes] = sys.statfs(directory);
      // Some file systems make inodes as they go, and count none.
      if (freeBlocks === 0 || (inodes > 0 && freeInodes === 0)) throw systemError("write", ENOSPC, directory);
    },

    syncDirectory,
    makeDirectory,
    remove,
    removeAbandoned,

    list: (path) => sys.readdir(path),

    containing: (path, text, beginnings) => sys.filesContaining(path, text, beginnings),

    executable,

    stat,

    lock(path, { mode, timeoutMs, create = true }): FileLock | undefined {
      const deadline = sys.monotonicMs() + timeoutMs;
      for (;;) {
        const fd = sys.open(path, O_RDONLY | (create ? O_CREAT : 0), mode);
        let held = false;
        try {
          if (!sys.flock(fd, Math.max(0, Math.ceil(deadline - sys.monotonicMs())))) return undefined;
          // While we waited, somebody may have removed the file with its directory: then our lock guards nothing.
          const [dev, ino] = sys.fstat(fd);
          const named = stat(path);
          held = named?.ino === ino && named.dev === dev;
          if (held) return { release: () => sys.close(fd) };
        } finally {
          if (!held) sys.close(fd);
        }
      }
    },
  };
}
