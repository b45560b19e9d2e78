// Node's system calls: node:fs where it has them, node:ffi for the rest. Every call is synchronous and on the main
// thread, because setns moves one thread and Node's pool would go on in the old namespace.
import { spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import ffi from "node:ffi";
import { systemError } from "./errno.ts";
import type { Host } from "./host.ts";
import { hostOver } from "./open.ts";
import type { Sys } from "./sys.ts";

const EINTR = 4;
const EAGAIN = 11;
const EFBIG = 27;
const EMSGSIZE = 90;
const O_TMPFILE = 0o20000000;
const SOCK_CLOEXEC = 0o2000000;
const O_CLOEXEC = 0o2000000;
const LOCK_EX_NB = 2 | 4;
const MSG_TRUNC_DONTWAIT = 0x20 | 0x40;
const POLLIN = 1;
const POLLOUT = 4;
const AF_NETLINK = 16;
const maxStdin = 8 << 20;
/** flock has no time-out and Node no signal handler that could end it, so a held lock is asked for this often. */
const lockPollMs = 2;

const libc = ffi.dlopen("libc.so.6", {
  __errno_location: { arguments: [], return: "pointer" },
  setns: { arguments: ["int32", "int32"], return: "int32" },
  socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
  bind: { arguments: ["int32", "buffer", "uint32"], return: "int32" },
  setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "uint32"], return: "int32" },
  send: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
  recv: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
  poll: { arguments: ["buffer", "uint64", "int32"], return: "int32" },
  flock: { arguments: ["int32", "int32"], return: "int32" },
  linkat: { arguments: ["int32", "buffer", "int32", "buffer", "int32"], return: "int32" },
}).functions;

const AT_FDCWD = -100;
const AT_SYMLINK_FOLLOW = 0x400;

/** Calls libc; the result, or the negative errno. */
function raw(name: string, ...args: readonly unknown[]): number {
  for (;;) {
    const result = Number((libc[name] as (...args: readonly unknown[]) => number | bigint)(...args));
    if (result >= 0) return result;
    const errno = ffi.getInt32(BigInt((libc["__errno_location"] as () => bigint)()), 0);
    if (errno !== EINTR) return -errno;
  }
}

function call(name: string, ...args: readonly unknown[]): number {
  const result = raw(name, ...args);
  if (result < 0) throw systemError(name, -result);
  return result;
}

/** Runs a node:fs call and turns its error into ours. */
function viaFs<T>(syscall: string, path: string | undefined, body: () => T): T {
  for (;;) {
    try {
      return body();
    } catch (error) {
      const errno = -((error as NodeJS.ErrnoException).errno ?? 5);
      if (errno !== EINTR) throw systemError(syscall, errno, path);
    }
  }
}

function wait(fd: number, events: number, timeoutMs: number): boolean {
  const poll = Buffer.alloc(8);
  poll.writeInt32LE(fd, 0);
  poll.writeInt16LE(events, 4);
  return call("poll", poll, 1n, timeoutMs) > 0;
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function sleepMs(durationMs: number): void {
  if (durationMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, durationMs);
}

function readAll(fd: number, max: number, path: string): string {
  const chunks: Buffer[] = [];
  let length = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(65536);
    let got: number;
    try {
      got = fs.readSync(fd, chunk);
    } catch (error) {
      const errno = -((error as NodeJS.ErrnoException).errno ?? 5);
      if (errno === EAGAIN) wait(fd, POLLIN, -1);
      else if (errno !== EINTR) throw systemError("read", errno, path);
      continue;
    }
    if (got === 0) return Buffer.concat(chunks).toString("utf8");
    length += got;
    if (length > max) throw systemError("read", EFBIG, path);
    chunks.push(chunk.subarray(0, got));
  }
}

function reading<T>(path: string, body: (fd: number) => T): T {
  const fd = viaFs("open", path, () => fs.openSync(path, fs.constants.O_RDONLY | O_CLOEXEC));
  try {
    return body(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function holds(path: string, text: string): boolean {
  try {
    return reading(path, (fd) => {
      const bytes = Buffer.alloc(4096);
      return bytes.subarray(0, fs.readSync(fd, bytes)).includes(text);
    });
  } catch (error) {
    // Removed since the directory was read.
    if ((error as { errno?: number }).errno === 2) return false;
    throw error;
  }
}

function statOf(stat: fs.BigIntStats): ReturnType<Sys["stat"]> {
  return [String(stat.dev), String(stat.ino), Number(stat.mode), Number(stat.size), Number(stat.mtimeNs) / 1e6];
}

export const sys: Sys = {
  argv: () => [process.argv0, ...process.argv.slice(2)],
  getenv: (name) => process.env[name],
  monotonicMs: () => performance.now(),
  wallClockMs: () => Date.now(),
  sleepMs,
  random: (byteCount) => new Uint8Array(randomBytes(byteCount)),
  sha512: (text) => createHash("sha512").update(text, "utf8").digest("hex"),

  open: (path, flags, mode) => viaFs("open", path, () => fs.openSync(path, flags | O_CLOEXEC, mode)),
  openUnnamed: (directory, mode) =>
    viaFs("open", directory, () =>
      fs.openSync(directory, O_TMPFILE | fs.constants.O_DIRECTORY | fs.constants.O_WRONLY | O_CLOEXEC, mode),
    ),
  close(fd) {
    try {
      fs.closeSync(fd);
    } catch {
      // As close(2) is used here: the descriptor is gone either way.
    }
  },
  read(fd, max) {
    const bytes = new Uint8Array(max);
    return bytes.subarray(
      0,
      viaFs("read", undefined, () => fs.readSync(fd, bytes)),
    );
  },
  write(fd, data) {
    let rest = typeof data === "string" ? Buffer.from(data, "utf8") : data;
    while (rest.length > 0) {
      try {
        rest = rest.subarray(fs.writeSync(fd, rest));
      } catch (error) {
        const errno = -((error as NodeJS.ErrnoException).errno ?? 5);
        if (errno === EAGAIN) wait(fd, POLLOUT, -1);
        else if (errno !== EINTR) throw systemError("write", errno);
      }
    }
  },
  readFile: (path, max) => reading(path, (fd) => readAll(fd, max, path)),
  readEnd: (path, length) =>
    reading(path, (fd) => {
      const bytes = Buffer.alloc(length);
      const start = Math.max(0, fs.fstatSync(fd).size - length);
      return bytes
        .subarray(
          0,
          viaFs("read", path, () => fs.readSync(fd, bytes, 0, length, start)),
        )
        .toString("utf8");
    }),
  readStdin: () => readAll(0, maxStdin, "standard input"),
  fsync: (fd) => viaFs("fsync", undefined, () => fs.fsyncSync(fd)),
  fchmod: (fd, mode) => viaFs("fchmod", undefined, () => fs.fchmodSync(fd, mode)),
  mkdir: (path, mode) => viaFs("mkdir", path, () => void fs.mkdirSync(path, mode)),
  rmdir: (path) => viaFs("rmdir", path, () => fs.rmdirSync(path)),
  unlink: (path) => viaFs("unlink", path, () => fs.unlinkSync(path)),
  rename: (from, to) => viaFs("rename", from, () => fs.renameSync(from, to)),
  link(from, to) {
    const text = (path: string) => Buffer.from(`${path}\0`, "utf8");
    const result = raw("linkat", AT_FDCWD, text(from), AT_FDCWD, text(to), AT_SYMLINK_FOLLOW);
    if (result < 0) throw systemError("link", -result, to);
  },
  readlink: (path) => viaFs("readlink", path, () => fs.readlinkSync(path)),
  readdir: (path) => viaFs("open", path, () => fs.readdirSync(path)),
  filesContaining: (path, text) =>
    viaFs("open", path, () => fs.readdirSync(path, { withFileTypes: true }))
      .filter((entry) => entry.isFile() && holds(`${path}/${entry.name}`, text))
      .map((entry) => entry.name),
  stat: (path) => viaFs("stat", path, () => statOf(fs.statSync(path, { bigint: true }))),
  fstat: (fd) => viaFs("fstat", undefined, () => statOf(fs.fstatSync(fd, { bigint: true }))),
  fstatfs: (fd) => viaFs("fstatfs", undefined, () => fs.statfsSync(`/proc/self/fd/${fd}`).type),
  flock(fd, timeoutMs) {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const result = raw("flock", fd, LOCK_EX_NB);
      if (result === 0) return true;
      if (-result !== EAGAIN) throw systemError("flock", -result);
      if (performance.now() >= deadline) return false;
      sleepMs(lockPollMs);
    }
  },

  setns: (fd, nsType) => void call("setns", fd, nsType),
  socket: (domain, type, protocol) => call("socket", domain, type | SOCK_CLOEXEC, protocol),
  bindNetlink(fd, groups) {
    const address = Buffer.alloc(12);
    address.writeUInt16LE(AF_NETLINK, 0);
    address.writeUInt32LE(groups, 8);
    call("bind", fd, address, address.length);
  },
  setsockopt: (fd, level, option, value) => void call("setsockopt", fd, level, option, int32(value), 4),
  send: (fd, data) => void call("send", fd, data, BigInt(data.length), 0),
  recv(fd, max, timeoutMs) {
    const bytes = new Uint8Array(max);
    for (;;) {
      const got = raw("recv", fd, bytes, BigInt(max), MSG_TRUNC_DONTWAIT);
      if (got > max) throw systemError("recv", EMSGSIZE);
      if (got >= 0) return bytes.subarray(0, got);
      if (-got !== EAGAIN || !wait(fd, POLLIN, timeoutMs === 0 ? -1 : timeoutMs)) throw systemError("recv", -got);
    }
  },

  spawn(path, argv0, env, stdin, timeoutMs) {
    const overlay = env.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]);
    // `detached` gives it a process group of its own; the type of spawnSync does not know it, its code does.
    const options = {
      argv0,
      input: stdin,
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: 64 << 20,
      detached: true,
    } as const;
    const done = spawnSync(path, [], { ...options, env: { ...process.env, ...Object.fromEntries(overlay) } });
    const refusal = done.error as NodeJS.ErrnoException | undefined;
    if (refusal !== undefined && refusal.code !== "ETIMEDOUT" && refusal.code !== "EPIPE") {
      throw systemError("exec", -(refusal.errno ?? 5), path);
    }
    if (refusal?.code === "ETIMEDOUT") {
      try {
        process.kill(-done.pid, "SIGKILL");
      } catch {
        // The group ended with its first process.
      }
    }
    // spawnSync cannot pass standard error on while the child runs; here it comes all at once.
    const stderr = done.stderr.toString("utf8");
    if (stderr !== "") sys.write(2, stderr);
    return [done.status ?? -1, done.signal === null ? 0 : 9, done.stdout.toString("utf8"), stderr];
  },
};

export function openHost(): Host {
  return hostOver(sys);
}
