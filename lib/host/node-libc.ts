// libc by Node's FFI: the system calls node:fs does not have. Synchronous, on the main thread.
import * as fs from "node:fs";
import { dlopen, getInt32 } from "node:ffi";
import { systemError } from "./errno.ts";

// asm-generic/errno-base.h
const EINTR = 4;
const EIO = 5;
const EAGAIN = 11;

const signatures = {
  __errno_location: { arguments: [], return: "pointer" },
  setns: { arguments: ["int32", "int32"], return: "int32" },
  ioctl: { arguments: ["int32", "uint64"], return: "int32" },
  socket: { arguments: ["int32", "int32", "int32"], return: "int32" },
  connect: { arguments: ["int32", "buffer", "uint32"], return: "int32" },
  setsockopt: { arguments: ["int32", "int32", "int32", "buffer", "uint32"], return: "int32" },
  send: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
  recv: { arguments: ["int32", "buffer", "uint64", "int32"], return: "int64" },
  poll: { arguments: ["buffer", "uint64", "int32"], return: "int32" },
  flock: { arguments: ["int32", "int32"], return: "int32" },
  linkat: { arguments: ["int32", "buffer", "int32", "buffer", "int32"], return: "int32" },
  pipe2: { arguments: ["buffer", "int32"], return: "int32" },
  waitpid: { arguments: ["int32", "buffer", "int32"], return: "int32" },
  syscall: { arguments: ["int64", "int64", "int64"], return: "int64" },
  posix_spawn: { arguments: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"], return: "int32" },
  posix_spawn_file_actions_init: { arguments: ["buffer"], return: "int32" },
  posix_spawn_file_actions_adddup2: { arguments: ["buffer", "int32", "int32"], return: "int32" },
  posix_spawn_file_actions_destroy: { arguments: ["buffer"], return: "int32" },
  posix_spawnattr_init: { arguments: ["buffer"], return: "int32" },
  posix_spawnattr_setflags: { arguments: ["buffer", "int16"], return: "int32" },
  posix_spawnattr_setpgroup: { arguments: ["buffer", "int32"], return: "int32" },
  posix_spawnattr_setsigdefault: { arguments: ["buffer", "buffer"], return: "int32" },
  posix_spawnattr_setsigmask: { arguments: ["buffer", "buffer"], return: "int32" },
} as const;

type Name = keyof typeof signatures;
type Argument = number | bigint | NodeJS.ArrayBufferView | null;

let opened: Record<Name, (...args: Argument[]) => number | bigint> | undefined;

/** A function of libc as it is: what it returns says whether it failed. */
export function libc(name: Name, ...args: Argument[]): number {
  opened ??= dlopen("libc.so.6", signatures).functions as unknown as NonNullable<typeof opened>;
  return Number(opened[name](...args));
}

/**
 * A system call through libc, repeated when a signal interrupts it: its result, or the negative errno. Between the call
 * and the look at errno Node runs nothing of ours, so nothing has overwritten it.
 */
export function attempt(name: Name, ...args: Argument[]): number {
  for (;;) {
    const result = libc(name, ...args);
    if (result >= 0) return result;
    const errno = getInt32(BigInt(opened?.__errno_location() ?? 0), 0);
    if (errno !== EINTR) return -errno;
  }
}

/** The same, throwing a SystemError. */
export function call(name: Name, ...args: Argument[]): number {
  const result = attempt(name, ...args);
  if (result < 0) throw systemError(name, -result);
  return result;
}

export const POLLIN = 1;
export const POLLOUT = 4;

/** poll(2) over pairs of descriptor (-1: left out) and events: what happened on each. `timeoutMs` -1 is for ever. */
export function poll(wanted: readonly (readonly [fd: number, events: number])[], timeoutMs: number): number[] {
  const table = Buffer.alloc(8 * wanted.length);
  wanted.forEach(([fd, events], at) => {
    table.writeInt32LE(fd, 8 * at);
    table.writeInt16LE(events, 8 * at + 4);
  });
  call("poll", table, BigInt(wanted.length), timeoutMs);
  return wanted.map((_, at) => table.readInt16LE(8 * at + 6));
}

/** Waits for one descriptor; false when the time passed. */
export function waitFor(fd: number, events: number, timeoutMs: number): boolean {
  return poll([[fd, events]], timeoutMs)[0] !== 0;
}

/** A path or other text as C has it. */
export function cString(text: string): Buffer {
  return Buffer.from(`${text}\0`, "utf8");
}

/** The errno in what node:fs threw; EIO where there is none. */
export function errnoOf(error: unknown): number {
  return -((error as NodeJS.ErrnoException).errno ?? -EIO);
}

/** write(2) until all is written. Waits where the other end is a full non-blocking pipe. */
export function writeAll(fd: number, bytes: Uint8Array): void {
  for (let rest = bytes; rest.length > 0; ) {
    try {
      rest = rest.subarray(fs.writeSync(fd, rest));
    } catch (error) {
      if (errnoOf(error) !== EAGAIN) throw systemError("write", errnoOf(error));
      waitFor(fd, POLLOUT, -1);
    }
  }
}
