// The host over an engine's system calls: everything that can be written once. Here is the only place that enters a
// network namespace: around opening a socket or a sysctl file, and straight back.
import { isErrno, isSystemError, NotNetnsError } from "./errno.ts";
import { filesOver } from "./files.ts";
import type { ExecResult, FileStat, Host, Netns, NetlinkSocket } from "./host.ts";
import type { Sys } from "./sys.ts";

const O_RDONLY = 0;
const O_WRONLY = 1;
const CLONE_NEWNET = 0x40000000; // linux/sched.h

// linux/magic.h: what fstatfs says of a namespace, and of one reached through an older kernel's /proc.
const NSFS_MAGIC = 0x6e736673;
const PROC_SUPER_MAGIC = 0x9fa0;

// linux/netlink.h, sys/socket.h
const AF_UNIX = 1;
const AF_NETLINK = 16;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SIOCGSKNS = 0x894c; // linux/sockios.h
const SOL_NETLINK = 270;
const SOL_SOCKET = 1; // asm-generic/socket.h, as x86 and ARM have it
const SO_SNDBUFFORCE = 32;
const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_CAP_ACK = 10;
const NETLINK_EXT_ACK = 11;
const NETLINK_GET_STRICT_CHK = 12;

/** The kernel sends dumps in datagrams of at most this many bytes to a receiver that offers so much room. */
const receiveBytes = 32768;
const receiveTimeoutMs = 5000;

const ownNetnsPath = "/proc/thread-self/ns/net";

/** An installer that is still writing the executable is done within seconds. */
const busyForMs = 6000;
const busyPollMs = 50;

const goBackAttempts = 3;

/** Going back to our own netns failed: nothing this process does from here on can be trusted. */
export class LostNetnsError extends Error {}

export function hostOver(sys: Sys): Host {
  const files = filesOver(sys);
  let executable: FileStat | undefined;
  let own: Netns | undefined;
  let lost: LostNetnsError | undefined;

  function netnsOf(fd: number, path: string): Netns {
    const stat = sys.fstat(fd);
    return { path, fd, dev: stat[0], ino: stat[1], close: () => sys.close(fd) };
  }

  function ownNetns(): Netns {
    // Kept open: the way back from every other one.
    own ??= { ...netnsOf(openOwnNetns(sys), ownNetnsPath), close: () => {} };
    return own;
  }

  function goBack(home: Netns): void {
    for (let attempt = 1; ; attempt++) {
      try {
        sys.setns(home.fd, CLONE_NEWNET);
        return;
      } catch (cause) {
        // For want of memory, say: that may pass, and nothing can be taken back from where we are.
        if (attempt < goBackAttempts) continue;
        // Every later socket, sysctl or child of this process would be somebody else's: refuse them all.
        lost = new LostNetnsError("cannot return to our own network namespace", { cause });
        throw lost;
      }
    }
  }

  function inNetns<T>(netns: Netns | undefined, body: () => T): T {
    if (lost !== undefined) throw lost;
    if (netns === undefined) return body();
    const home = ownNetns();
    sys.setns(netns.fd, CLONE_NEWNET);
    try {
      return body();
    } finally {
      goBack(home);
    }
  }

  function openNetlink(protocol: number): NetlinkSocket {
    const fd = sys.socket(AF_NETLINK, SOCK_RAW, protocol);
    try {
      ask(sys, fd, NETLINK_CAP_ACK);
      ask(sys, fd, NETLINK_EXT_ACK);
      ask(sys, fd, NETLINK_GET_STRICT_CHK);
      sys.connectNetlink(fd);
    } catch (error) {
      sys.close(fd);
      throw error;
    }
    return new OpenSocket(sys, fd);
  }

  function exec(
    path: string,
    { argv = [path], env = {}, stdin = "", timeoutMs }: Parameters<Host["exec"]>[1],
  ): ExecResult {
    const overlay = Object.entries(env).map(([key, value]) => `${key}=${value}`);
    const giveUpAt = sys.monotonicMs() + busyForMs;
    for (;;) {
      // A child starts in the netns its parent stands in.
      if (lost !== undefined) throw lost;
      const startedAt = sys.monotonicMs();
      try {
        const [status, signal, stdout, stderr] = sys.spawn(path, argv, overlay, stdin, timeoutMs);
        const timedOut = status === -1 && timeoutMs > 0 && sys.monotonicMs() - startedAt >= timeoutMs;
        return { status, signal, timedOut, stdout, stderr };
      } catch (error) {
        if (!isErrno(error, "ETXTBSY") || startedAt >= giveUpAt) throw error;
        sys.sleepMs(busyPollMs);
      }
    }
  }

  return {
    get argv() {
      return sys.argv();
    },
    env: (name) => sys.getenv(name),
    writeStdout: (text) => sys.write(1, text),
    log(line) {
      try {
        sys.write(2, `${line}\n`);
      } catch {
        // Nobody reads our standard error; that must not change what we do.
      }
    },
    workingDirectory: () => sys.readlink("/proc/self/cwd"),
    readStdin: () => sys.readStdin(),
    monotonicMs: () => sys.monotonicMs(),
    wallClockMs: () => sys.wallClockMs(),
    sleepMs: (durationMs) => sys.sleepMs(durationMs),
    random: (byteCount) => sys.random(byteCount),
    sha512: (text) => sys.sha512(text),
    files,
    ownExecutable() {
      try {
        executable ??= files.stat(sys.executable());
      } catch (error) {
        // The path may lead elsewhere by now, or nowhere. A delegate is then run, be it this very file.
        if (!isSystemError(error)) throw error;
      }
      return executable;
    },
    ownNetns,

    openNetns(path) {
      const fd = sys.open(path, O_RDONLY, 0);
      try {
        const magic = sys.fstatfs(fd);
        if (magic !== NSFS_MAGIC && magic !== PROC_SUPER_MAGIC) throw new NotNetnsError(path, magic);
        return netnsOf(fd, path);
      } catch (error) {
        sys.close(fd);
        throw error;
      }
    },

    netlink: (protocol, netns) => inNetns(netns, () => openNetlink(protocol)),

    readSysctl: (name, netns) => inNetns(netns, () => sys.readFile(`/proc/sys/${name}`, 4096)).replace(/\n$/, ""),

    writeSysctl(name, value, netns) {
      const path = `/proc/sys/${name}`;
      const fd = inNetns(netns, () => sys.open(path, O_WRONLY, 0));
      try {
        sys.write(fd, value);
      } finally {
        sys.close(fd);
      }
    },

    exec,
  };
}

/**
 * A socket tells its netns to whoever has CAP_NET_ADMIN, as every caller of a plugin has. /proc tells everyone, so also where a
 * policy forbids such sockets or the question (SELinux, seccomp), or who answers knows none (a kernel before 4.10, qemu-user);
 * but it takes twice as long: for a process's first look there the kernel makes directories, which go with the process.
 */
function openOwnNetns(sys: Sys): number {
  try {
    const socket = sys.socket(AF_UNIX, SOCK_DGRAM, 0);
    try {
      return sys.ioctl(socket, SIOCGSKNS);
    } finally {
      sys.close(socket);
    }
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return sys.open(ownNetnsPath, O_RDONLY, 0);
  }
}

/** Each makes answers better; a kernel from before it (4.3, 4.12, 4.20) answers all the same. */
function ask(sys: Sys, fd: number, option: number): void {
  try {
    sys.setsockopt(fd, SOL_NETLINK, option, 1);
  } catch (error) {
    if (!isErrno(error, "ENOPROTOOPT")) throw error;
  }
}

/** A class, for its methods are there when a process starts. */
class OpenSocket implements NetlinkSocket {
  readonly #sys: Sys;
  readonly #fd: number;

  constructor(sys: Sys, fd: number) {
    this.#sys = sys;
    this.#fd = fd;
  }

  /** What the socket's buffer has no room for gets room: two hundred ports of a container are one transaction. */
  send(message: Uint8Array): void {
    try {
      this.#sys.send(this.#fd, message);
    } catch (error) {
      if (!isErrno(error, "EMSGSIZE")) throw error;
      this.#sys.setsockopt(this.#fd, SOL_SOCKET, SO_SNDBUFFORCE, message.length);
      this.#sys.send(this.#fd, message);
    }
  }

  receive(timeoutMs = receiveTimeoutMs): Uint8Array {
    return this.#sys.recv(this.#fd, receiveBytes, timeoutMs);
  }

  join(group: number): void {
    this.#sys.setsockopt(this.#fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
  }

  close(): void {
    this.#sys.close(this.#fd);
  }
}
