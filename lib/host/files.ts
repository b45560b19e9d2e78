// Files over the system calls: what is written whole is synced before anyone can see it.
import { isErrno } from "./errno.ts";
import type { FileLock, Files, FileStat, PreparedFile } from "./host.ts";
import type { Sys } from "./sys.ts";

// fcntl.h, the same on x86_64 and aarch64.
const O_RDONLY = 0;
const O_WRONLY = 1;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;

const defaultMaxBytes = 1 << 20;

const directoryOf = (path: string): string => path.slice(0, path.lastIndexOf("/")) || "/";

function statOf([dev, ino, mode, size, mtimeMs]: ReturnType<Sys["stat"]>): FileStat {
  const type = mode & S_IFMT;
  const kind = type === S_IFREG ? "file" : type === S_IFDIR ? "directory" : "other";
  return { kind, dev, ino, mode: mode & 0o7777, size, mtimeMs };
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

  function fill(fd: number, text: string, mode: number): void {
    sys.fchmod(fd, mode);
    sys.write(fd, text);
  }

  function syncDirectory(path: string): void {
    withFile(path, O_RDONLY, 0, (fd) => sys.fsync(fd));
  }

  /** The dot keeps readers that look for addresses away from it. */
  const temporaryName = (directory: string): string =>
    `${directory}/.${Array.from(sys.random(8), (byte) => byte.toString(16).padStart(2, "0")).join("")}.tmp`;

  /** A file of this content that no other process sees: nameless where the file system can do that, else dot-named. */
  function makeUnseen(directory: string, text: string, mode: number): { path: string; drop(): void } {
    let fd: number;
    let path: string | undefined;
    try {
      fd = sys.openUnnamed(directory, mode);
    } catch (error) {
      if (!isErrno(error, "EOPNOTSUPP", "EISDIR", "EINVAL")) throw error;
      path = temporaryName(directory);
      fd = sys.open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    }
    const drop = () => {
      sys.close(fd);
      if (path !== undefined) remove(path);
    };
    try {
      fill(fd, text, mode);
      sys.fsync(fd);
    } catch (error) {
      drop();
      throw error;
    }
    return { path: path ?? `/proc/self/fd/${fd}`, drop };
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

  function makeDirectory(path: string, mode: number): void {
    try {
      sys.mkdir(path, mode);
    } catch (error) {
      if (isErrno(error, "EEXIST")) return;
      if (!isErrno(error, "ENOENT") || path === "/") throw error;
      makeDirectory(directoryOf(path), mode);
      makeDirectory(path, mode);
      return;
    }
    withFile(path, O_RDONLY, 0, (fd) => sys.fchmod(fd, mode));
  }

  return {
    read: (path, maxBytes = defaultMaxBytes) => sys.readFile(path, maxBytes),

    readEnd: (path, length) => sys.readEnd(path, length),

    write(path, text, mode) {
      withFile(path, O_WRONLY | O_CREAT | O_TRUNC, mode, (fd) => fill(fd, text, mode));
    },

    replace(path, text, mode) {
      const directory = directoryOf(path);
      const temporary = temporaryName(directory);
      try {
        withFile(temporary, O_WRONLY | O_CREAT | O_EXCL, mode, (fd) => {
          fill(fd, text, mode);
          sys.fsync(fd);
        });
        sys.rename(temporary, path);
      } catch (error) {
        remove(temporary);
        throw error;
      }
      syncDirectory(directory);
    },

    prepare(directory, text, mode): PreparedFile {
      const file = makeUnseen(directory, text, mode);
      return {
        publish(path) {
          try {
            sys.link(file.path, path);
            return true;
          } catch (error) {
            if (isErrno(error, "EEXIST")) return false;
            throw error;
          }
        },
        discard: file.drop,
      };
    },

    syncDirectory,
    makeDirectory,
    remove,

    list: (path) => sys.readdir(path),

    containing: (path, text) => sys.filesContaining(path, text),

    stat(path) {
      try {
        return statOf(sys.stat(path));
      } catch (error) {
        if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
        throw error;
      }
    },

    lock(path, { mode, timeoutMs, create = true }): FileLock | undefined {
      const deadline = sys.monotonicMs() + timeoutMs;
      for (;;) {
        const fd = sys.open(path, O_RDONLY | (create ? O_CREAT : 0), mode);
        try {
          const left = Math.max(0, deadline - sys.monotonicMs());
          if (!sys.flock(fd, Math.ceil(left))) {
            sys.close(fd);
            return undefined;
          }
          // While we waited, somebody may have removed the file with its directory: then our lock guards nothing.
          const held = sys.fstat(fd);
          const named = this.stat(path);
          if (named?.ino === held[1] && named.dev === held[0]) return { release: () => sys.close(fd) };
        } catch (error) {
          sys.close(fd);
          throw error;
        }
        sys.close(fd);
      }
    },
  };
}
