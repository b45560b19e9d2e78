// The one door to the operating system. Plugins and libraries see this and nothing of an engine. Types only: the
// implementation is open.ts, over one of the two sets of system calls (embedded.ts, node.ts).
//
// All calls are synchronous, as the kernel's are, and throw a `SystemError` (errno.ts) when the kernel refuses.

/** A network namespace held open; it stays usable when its path goes away. */
export interface Netns {
  /** The path it was opened by, as given. */
  readonly path: string;
  readonly fd: number;
  /** st_dev and st_ino of the namespace: two handles name one namespace when both are equal. */
  readonly dev: string;
  readonly ino: string;
  close(): void;
}

/** A datagram socket of AF_NETLINK that hears nobody but the kernel; it stays in the netns it was opened in. */
export interface NetlinkSocket {
  send(message: Uint8Array): void;
  /** One datagram. Waits at most `timeoutMs` (5,000 unless told), then throws EAGAIN. */
  receive(timeoutMs?: number): Uint8Array;
  /** Joins a multicast group (RTNLGRP_*). */
  join(group: number): void;
  close(): void;
}

export interface FileStat {
  readonly kind: "file" | "directory" | "other";
  readonly dev: string;
  readonly ino: string;
  /** Permission bits. */
  readonly mode: number;
  readonly size: number;
  readonly mtimeMs: number;
}

/** A lock on a file, held until released or until the process ends, however it ends. */
export interface FileLock {
  release(): void;
}

export interface Files {
  /** The whole file as text; EFBIG above `maxBytes` (1 MiB unless told). */
  read(path: string, maxBytes?: number): string;
  /**
   * Creates, or writes in place over what was there; sets `mode` whatever the umask. Not atomic where the length changes: for
   * last_reserved_ip and the like.
   */
  write(path: string, text: string, mode: number): void;
  /** Replaces `path` by a complete, synced file: a reader sees the old text or the new, after a power loss too. */
  replace(path: string, text: string, mode: number): void;
  /**
   * A complete, synced file that has no name yet; `publish` gives it one, or returns false where the name is taken.
   * It is gone with the process when never published.
   */
  prepare(directory: string, text: string, mode: number): PreparedFile;
  /** Throws what making a file in a directory would throw, as far as can be seen without making one. Writes nothing. */
  checkWritable(directory: string): void;
  /** A complete, synced copy under a name that must be free, closed before this returns: an executable can be run at once. */
  copy(from: string, to: string, mode: number): void;
  /** A second name for what is at `from`, a symlink itself not followed; false where the name is taken. */
  link(from: string, to: string): boolean;
  /** Moves a name, in place of what had it. */
  rename(from: string, to: string): void;
  /** false when it is not there, or not empty. */
  removeDirectory(path: string): boolean;
  /** Makes names created or removed in a directory survive a power loss. */
  syncDirectory(path: string): void;
  /** Creates a directory and its missing parents, each with `mode` whatever the umask; fine if it exists. */
  makeDirectory(path: string, mode: number): void;
  /** false when there was no such file. */
  remove(path: string): boolean;
  /**
   * Removes the temporaries of writers that were killed in `replace`, or in `prepare` where files without a name cannot be
   * had; each of these does so first. Those of writers that live stay.
   */
  removeAbandoned(directory: string): void;
  /** The last `length` bytes of a file, as text. */
  readEnd(path: string, length: number): string;
  /** Names in a directory, unsorted. */
  list(path: string): string[];
  /**
   * Names of the regular files in a directory whose first 4 KiB contain the text, and of those that could not be read: who
   * reads one of these again is told why. One call for ten thousand files. With `beginnings`, of names alone that begin with
   * one of these ASCII characters.
   */
  containing(path: string, text: string, beginnings?: string): string[];
  /** The path, without symlinks, of a file that may be executed; undefined where there is none. */
  executable(path: string): string | undefined;
  /** undefined when nothing is there. Follows symlinks, unless told that the symlink itself is meant: that is "other". */
  stat(path: string, follow?: boolean): FileStat | undefined;
  /** flock(2) LOCK_EX on `path`, created with `mode` where missing (unless `create` is false: then ENOENT). undefined when `timeoutMs` passed. */
  lock(path: string, options: { mode: number; timeoutMs: number; create?: boolean }): FileLock | undefined;
}

export interface PreparedFile {
  /** Gives the file this path; false when the path is taken. May be called again after false. */
  publish(path: string): boolean;
  discard(): void;
}

export interface ExecResult {
  /** Exit status; -1 when it was killed, by us or by `signal`. */
  readonly status: number;
  readonly signal: number;
  readonly timedOut: boolean;
  readonly stdout: string;
  /** What it wrote to standard error, already forwarded to ours. */
  readonly stderr: string;
}

/** What there is without opening anything: all that VERSION needs. */
export interface Host {
  readonly argv: readonly string[];
  env(name: string): string | undefined;
  /** Writes the whole text or throws. */
  writeStdout(text: string): void;
  /** A line to standard error; never throws. */
  log(line: string): void;
  workingDirectory(): string;
  /** Standard input to its end. */
  readStdin(): string;
  monotonicMs(): number;
  wallClockMs(): number;
  sleepMs(durationMs: number): void;
  random(byteCount: number): Uint8Array;
  /** SHA-512 of the UTF-8 text: 128 lower-case hex digits. */
  sha512(text: string): string;
  readonly files: Files;

  /** The file at the path by which this process was run; undefined where none can be looked at. */
  ownExecutable(): FileStat | undefined;
  /** This process's own netns. */
  ownNetns(): Netns;
  /**
   * Opens a netns by path. Throws ENOENT where the path is missing, and `NotNetnsError` where it is not a namespace.
   */
  openNetns(path: string): Netns;
  /** A netlink socket of this protocol (0 route, 12 netfilter) in the netns, or in our own. */
  netlink(protocol: number, netns?: Netns): NetlinkSocket;
  /** Reads /proc/sys/<name> in the netns, trailing newline removed. `name` is like "net/ipv4/ip_forward". */
  readSysctl(name: string, netns?: Netns): string;
  writeSysctl(name: string, value: string, netns?: Netns): void;

  /**
   * Runs an executable; see `Sys.spawn`. `argv` is its path alone unless told; `env` is laid over our own environment.
   * Retries ETXTBSY for up to 6 s.
   */
  exec(
    path: string,
    options: {
      argv?: readonly string[];
      env?: Readonly<Record<string, string>>;
      stdin?: string;
      timeoutMs: number;
    },
  ): ExecResult;
}
