// A child process for Node's engine. child_process.spawnSync will not do: it hands standard error on only at the end,
// waits for grandchildren that keep a pipe open, and cannot end a process group.
import * as fs from "node:fs";
import { getRawPointer } from "node:ffi";
import { systemError } from "./errno.ts";
import { call, cString, libc, POLLIN, POLLOUT, poll, writeAll } from "./node-libc.ts";
import type { Sys } from "./sys.ts";

const O_CLOEXEC = 0o2000000;
const SYS_pidfd_open = 434n; // the same on every architecture
const SIGKILL = 9;

// spawn.h of glibc. Both of its structures fit into this many bytes.
const POSIX_SPAWN_SETPGROUP = 0x02;
const POSIX_SPAWN_SETSIGDEF = 0x04;
const POSIX_SPAWN_SETSIGMASK = 0x08;
const structureBytes = 512;
const sigsetBytes = 128;

/** A pipe takes this much without blocking when poll says there is room: PIPE_BUF of linux/limits.h. */
const pipeBytes = 4096;

function pipe(): [reader: number, writer: number] {
  const ends = new Int32Array(2);
  call("pipe2", ends, O_CLOEXEC);
  return [ends[0] ?? -1, ends[1] ?? -1];
}

/** A NULL-terminated array of C strings, the strings behind the pointers in one allocation. */
function stringArray(strings: readonly string[]): Buffer {
  const texts = strings.map(cString);
  const pointerBytes = 8 * (strings.length + 1);
  const block = Buffer.alloc(texts.reduce((sum, text) => sum + text.length, pointerBytes));
  const base = getRawPointer(block);
  let at = pointerBytes;
  texts.forEach((text, index) => {
    block.writeBigUInt64LE(base + BigInt(at), 8 * index);
    at += text.copy(block, at);
  });
  return block;
}

function refuseUnlessZero(syscall: string, errno: number, path?: string): void {
  if (errno !== 0) throw systemError(syscall, errno, path);
}

/** Starts `path` in a process group of its own with these three descriptors. Returns its process id. */
function start(
  path: string,
  argv: readonly string[],
  env: readonly string[],
  stdio: readonly [number, number, number],
): number {
  const actions = Buffer.alloc(structureBytes);
  const attributes = Buffer.alloc(structureBytes);
  libc("posix_spawn_file_actions_init", actions);
  libc("posix_spawnattr_init", attributes);
  try {
    stdio.forEach((fd, at) => {
      refuseUnlessZero("posix_spawn", libc("posix_spawn_file_actions_adddup2", actions, fd, at));
    });
    // Node ignores SIGPIPE among others, and what is ignored stays ignored across exec.
    libc("posix_spawnattr_setsigdefault", attributes, Buffer.alloc(sigsetBytes, 0xff));
    libc("posix_spawnattr_setsigmask", attributes, Buffer.alloc(sigsetBytes));
    libc("posix_spawnattr_setpgroup", attributes, 0);
    libc(
      "posix_spawnattr_setflags",
      attributes,
      POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK,
    );
    const pid = new Int32Array(1);
    const errno = libc("posix_spawn", pid, cString(path), actions, attributes, stringArray(argv), stringArray(env));
    refuseUnlessZero("exec", errno, path);
    return pid[0] ?? -1;
  } finally {
    libc("posix_spawn_file_actions_destroy", actions);
  }
}

interface Outlet {
  fd: number;
  open: boolean;
  readonly chunks: Buffer[];
  /** Where every piece goes at once, besides. */
  readonly copyTo: number | undefined;
}

/** Takes one piece; only after poll said that there is one. */
function take(outlet: Outlet): void {
  const chunk = Buffer.allocUnsafeSlow(65536);
  const length = fs.readSync(outlet.fd, chunk);
  if (length === 0) {
    outlet.open = false;
    return;
  }
  const bytes = chunk.subarray(0, length);
  outlet.chunks.push(bytes);
  if (outlet.copyTo === undefined) return;
  try {
    writeAll(outlet.copyTo, bytes);
  } catch {
    // Nobody reads our standard error; the child is not to suffer for it.
  }
}

const textOf = ({ chunks }: Outlet): string => Buffer.concat(chunks).toString("utf8");

/** waitpid(2): exit status (-1 when a signal ended it) and signal. */
function reap(pid: number): [status: number, signal: number] {
  const status = new Int32Array(1);
  call("waitpid", pid, status, 0);
  const [value = 0] = status;
  const signal = value & 0x7f;
  return signal === 0 ? [(value >> 8) & 0xff, 0] : [-1, signal];
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, SIGKILL);
  } catch {
    // The group ended just now.
  }
}

/** Feeds and reads a running child until it ends or the time is up, whatever a grandchild still holds open. */
function attend(pid: number, input: number, stdin: Buffer, outlets: readonly Outlet[], timeoutMs: number): boolean {
  const pidFd = call("syscall", SYS_pidfd_open, BigInt(pid), 0n);
  const deadline = timeoutMs > 0 ? performance.now() + timeoutMs : Number.POSITIVE_INFINITY;
  let rest = stdin;
  let feeding = true;
  const stopFeeding = (): void => {
    feeding = false;
    fs.closeSync(input);
  };
  try {
    for (;;) {
      if (feeding && rest.length === 0) stopFeeding();
      const left = deadline === Number.POSITIVE_INFINITY ? -1 : Math.max(0, Math.ceil(deadline - performance.now()));
      const [ended, writable, ...readable] = poll(
        [
          [pidFd, POLLIN],
          [feeding ? input : -1, POLLOUT],
          ...outlets.map(({ fd, open }) => [open ? fd : -1, POLLIN] as const),
        ],
        left,
      );
      if (writable !== 0) {
        try {
          rest = rest.subarray(fs.writeSync(input, rest.subarray(0, pipeBytes)));
        } catch {
          // It closed its end without reading: there is nobody to feed.
          stopFeeding();
        }
      }
      let taken = false;
      outlets.forEach((outlet, at) => {
        if (readable[at] === 0) return;
        take(outlet);
        taken = true;
      });
      const overdue = performance.now() >= deadline;
      // What it wrote before it ended is read first.
      if (ended !== 0 && (overdue || !taken)) return true;
      if (overdue) return false;
    }
  } finally {
    if (feeding) stopFeeding();
    fs.closeSync(pidFd);
  }
}

/** `Sys.spawn`; what the child says on standard error is copied to `errorsTo`, if anywhere. */
export const spawnTo =
  (errorsTo: number | undefined): Sys["spawn"] =>
  (path, argv, env, stdin, timeoutMs) => {
    const overlaid = new Map(Object.entries(process.env));
    for (const pair of env) overlaid.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    const environment = Array.from(overlaid, ([key, value]) => `${key}=${value}`);

    const pipes = [pipe(), pipe(), pipe()] as const;
    const [[inner, input], [output, outer], [errors, innerErrors]] = pipes;
    let pid: number;
    try {
      pid = start(path, argv, environment, [inner, outer, innerErrors]);
    } catch (error) {
      for (const fd of pipes.flat()) fs.closeSync(fd);
      throw error;
    }
    for (const fd of [inner, outer, innerErrors]) fs.closeSync(fd);
    const stdout: Outlet = { fd: output, open: true, chunks: [], copyTo: undefined };
    const stderr: Outlet = { fd: errors, open: true, chunks: [], copyTo: errorsTo };
    try {
      let ended = false;
      let status: ReturnType<typeof reap>;
      try {
        ended = attend(pid, input, Buffer.from(stdin, "utf8"), [stdout, stderr], timeoutMs);
      } finally {
        if (!ended) endGroup(pid);
        status = reap(pid);
      }
      return [ended ? status[0] : -1, status[1], textOf(stdout), textOf(stderr)];
    } finally {
      fs.closeSync(output);
      fs.closeSync(errors);
    }
  };
