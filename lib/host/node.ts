// Node's system calls: node:fs where it has them, libc by FFI for the rest. Every call is synchronous and on the main
// thread, because setns moves one thread and Node's pool would go on in the old namespace. node:fs repeats interrupted
// calls itself. Read next: node-libc.ts, node-spawn.ts.
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import { isErrno, systemError } from "./errno.ts";
import type { Host } from "./host.ts";
import { attempt, call, cString, errnoOf, POLLIN, waitFor, writeAll } from "./node-libc.ts";
import { spawnTo } from "./node-spawn.ts";
import { hostOver } from "./open.ts";
import type { Sys } from "./sys.ts";

// asm-generic/errno-base.h, errno.h
const EAGAIN = 11;
const EFBIG = 27;
const EMSGSIZE = 90;

// fcntl.h, sys/socket.h, sys/file.h, linux/netlink.h
const AT_FDCWD = -100;
const O_CLOEXEC = 0o2000000;
/** __O_TMPFILE | O_DIRECTORY; the latter's number depends on the architecture. */
const O_TMPFILE = 0o20000000 | fs.constants.O_DIRECTORY;
const SOCK_CLOEXEC = O_CLOEXEC;
const LOCK_EX_NB = 2 | 4;
const MSG_TRUNC_DONTWAIT = 0x20 | 0x40;
const AF_NETLINK = 16;

const maxStdin = 8 << 20;

/** flock has no time-out, and Node no signal handler that could end it: a held lock is asked for this often. */
const lockPollMs = 1;

/** Runs a node:fs call and turns its error into ours. */
function viaFs<T>(syscall: string, path: string | undefined, body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw systemError(syscall, errnoOf(error), path);
  }
}

function open(path: string, flags: number, mode?: number): number {
  return viaFs("open", path, () => fs.openSync(path, flags | O_CLOEXEC, mode));
}

function close(fd: number): void {
  try {
    fs.closeSync(fd);
  } catch {
    // The descriptor is gone either way.
  }
}

function reading<T>(path: string, body: (fd: number) => T): T {
  const fd = open(path, fs.constants.O_RDONLY);
  try {
    return viaFs("read", path, () => body(fd));
  } finally {
    close(fd);
  }
}

function sleepMs(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

function readAll(fd: number, max: number, path: string): string {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafeSlow(65536);
    let got: number;
    try {
      got = fs.readSync(fd, chunk);
    } catch (error) {
      if (errnoOf(error) !== EAGAIN) throw systemError("read", errnoOf(error), path);
      waitFor(fd, POLLIN, -1);
      continue;
    }
    if (got === 0) return Buffer.concat(chunks).toString("utf8");
    length += got;
    if (length > max) throw systemError("read", EFBIG, path);
    chunks.push(chunk.subarray(0, got));
  }
}

/** Whether the file's first 4 KiB contain the text, or cannot be read; false where it was removed since the directory was read. */
function holds(path: string, text: string): boolean {
  try {
    return reading(path, (fd) => {
      const bytes = Buffer.allocUnsafe(4096);
      return bytes.subarray(0, fs.readSync(fd, bytes)).includes(text);
    });
  } catch (error) {
    return !isErrno(error, "ENOENT");
  }
}

function statOf(stat: fs.BigIntStats): ReturnType<Sys["stat"]> {
  return [String(stat.dev), String(stat.ino), Number(stat.mode), Number(stat.size), Number(stat.mtimeNs) / 1e6];
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

export const sys: Sys = {
  // As a single executable Node puts its own path twice in front of the arguments.
  argv: () => [process.argv0, ...process.argv.slice(2)],
  // The single executable's; in a test it is Node, which no plugin's file is.
  executable: () => process.execPath,
  getenv: (name) => process.env[name],
  monotonicMs: () => performance.now(),
  wallClockMs: () => Date.now(),
  sleepMs,
  random: (byteCount) => new Uint8Array(randomBytes(byteCount)),
  sha512: (text) => createHash("sha512").update(text, "utf8").digest("hex"),

  open,
  openUnnamed: (directory, mode) => open(directory, O_TMPFILE | fs.constants.O_WRONLY, mode),
  close,
  read(fd, max) {
    const bytes = new Uint8Array(max);
    return viaFs("read", undefined, () => bytes.subarray(0, fs.readSync(fd, bytes)));
  },
  write: (fd, data) => writeAll(fd, typeof data === "string" ? Buffer.from(data, "utf8") : data),
  readFile(path, max) {
    const fd = open(path, fs.constants.O_RDONLY);
    try {
      return readAll(fd, max, path);
    } finally {
      close(fd);
    }
  },
  readEnd: (path, length) =>
    reading(path, (fd) => {
      const bytes = Buffer.alloc(length);
      const start = Math.max(0, fs.fstatSync(fd).size - length);
      return bytes.subarray(0, fs.readSync(fd, bytes, 0, length, start)).toString("utf8");
    }),
  readStdin: () => readAll(0, maxStdin, "standard input"),
  fsync: (fd) => viaFs("fsync", undefined, () => fs.fsyncSync(fd)),
  fchmod: (fd, mode) => viaFs("fchmod", undefined, () => fs.fchmodSync(fd, mode)),
  mkdir: (path, mode) => viaFs("mkdir", path, () => void fs.mkdirSync(path, mode)),
  rmdir: (path) => viaFs("rmdir", path, () => fs.rmdirSync(path)),
  unlink: (path) => viaFs("unlink", path, () => fs.unlinkSync(path)),
  rename: (from, to) => viaFs("rename", from, () => fs.renameSync(from, to)),
  link(fd, from, to, flags) {
    // node:fs has link(2) alone, which knows no descriptors.
    const result = attempt("linkat", fd, cString(from), AT_FDCWD, cString(to), flags);
    if (result < 0) throw systemError("link", -result, to);
  },
  readlink: (path) => viaFs("readlink", path, () => fs.readlinkSync(path)),
  readdir: (path) => viaFs("open", path, () => fs.readdirSync(path)),
  filesContaining: (path, text, beginnings) =>
    viaFs("open", path, () => fs.readdirSync(path, { withFileTypes: true }))
      .filter(({ name }) => beginnings === undefined || beginnings.includes(name[0] ?? ""))
      .filter((entry) => entry.isFile() && holds(`${path}/${entry.name}`, text))
      .map((entry) => entry.name),
  stat: (path, follow) =>
    viaFs("stat", path, () => statOf((follow ? fs.statSync : fs.lstatSync)(path, { bigint: true }))),
  fstat: (fd) => viaFs("fstat", undefined, () => statOf(fs.fstatSync(fd, { bigint: true }))),
  access: (path, mode) => viaFs("access", path, () => fs.accessSync(path, mode)),
  statfs: (path) =>
    viaFs("statfs", path, () => {
      const { bfree, files, ffree } = fs.statfsSync(path);
      return [bfree, files, ffree];
    }),
  fstatfs: (fd) => viaFs("fstatfs", undefined, () => fs.statfsSync(`/proc/self/fd/${fd}`).type),
  flock(fd, timeoutMs) {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const result = attempt("flock", fd, LOCK_EX_NB);
      if (result === 0) return true;
      if (-result !== EAGAIN) throw systemError("flock", -result);
      if (performance.now() >= deadline) return false;
      sleepMs(lockPollMs);
    }
  },

  setns: (fd, nsType) => void call("setns", fd, nsType),
  ioctl: (fd, request) => call("ioctl", fd, BigInt(request)),
  socket: (domain, type, protocol) => call("socket", domain, type | SOCK_CLOEXEC, protocol),
  connectNetlink(fd) {
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    call("connect", fd, address, address.length);
  },
  setsockopt: (fd, level, option, value) => void call("setsockopt", fd, level, option, int32(value), 4),
  send: (fd, data) => void call("send", fd, data, BigInt(data.length), 0),
  recv(fd, max, timeoutMs) {
    const bytes = new Uint8Array(max);
    for (;;) {
      const got = attempt("recv", fd, bytes, BigInt(max), MSG_TRUNC_DONTWAIT);
      if (got > max) throw systemError("recv", EMSGSIZE);
      if (got >= 0) return bytes.subarray(0, got);
      if (-got !== EAGAIN || !waitFor(fd, POLLIN, timeoutMs === 0 ? -1 : timeoutMs)) throw systemError("recv", -got);
    }
  },

  spawn: spawnTo(2),
};

export function openHost(): Host {
  return hostOver(sys);
}
