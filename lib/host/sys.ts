// The system calls an engine lends us, and nothing above them. Two implementations exist: the embedded engine's native
// module "host" (host/src/sys.rs and sys/) and Node's FFI (node.ts). Everything that could be written once over these calls is
// in open.ts, so the engines cannot come to differ. Only lib/host imports this file.

/**
 * Every function throws a `SystemError` (see errno.ts) when the kernel refuses, and retries EINTR itself; close never fails.
 * Paths and strings are UTF-8; bytes that are not UTF-8 come back as U+FFFD.
 */
export interface Sys {
  // --- this process ---
  /** The command line, argv[0] first. */
  argv(): string[];
  /** The path by which the kernel was asked to run this process's executable. */
  executable(): string;
  getenv(name: string): string | undefined;
  /** Monotonic milliseconds, with a fraction. */
  monotonicMs(): number;
  /** Milliseconds since 1970, with a fraction. */
  wallClockMs(): number;
  sleepMs(durationMs: number): void;
  random(byteCount: number): Uint8Array;
  /** SHA-512 of the UTF-8 text, as 128 lower-case hex digits. */
  sha512(text: string): string;

  // --- files ---
  /** open(2) with O_CLOEXEC added. */
  open(path: string, flags: number, mode: number): number;
  /** open(2) with O_TMPFILE for writing: a file in that directory that has no name. */
  openUnnamed(directory: string, mode: number): number;
  close(fd: number): void;
  /** read(2): at most `max` bytes, none at the end of the file. */
  read(fd: number, max: number): Uint8Array;
  /** write(2) until all of it is written; waits where the other end is a full non-blocking pipe. */
  write(fd: number, data: Uint8Array | string): void;
  /** The whole file as text; EFBIG when it is longer than `max` bytes. */
  readFile(path: string, max: number): string;
  /** The last `length` bytes of a file, as text. */
  readEnd(path: string, length: number): string;
  /** Standard input to its end, as text; EFBIG above 8 MiB. */
  readStdin(): string;
  fsync(fd: number): void;
  fchmod(fd: number, mode: number): void;
  mkdir(path: string, mode: number): void;
  rmdir(path: string): void;
  unlink(path: string): void;
  rename(from: string, to: string): void;
  /** linkat(2) to a path; `from` begins in the directory that `fd` is, or with AT_EMPTY_PATH is `fd` itself. */
  link(fd: number, from: string, to: string, flags: number): void;
  readlink(path: string): string;
  /** Names in a directory, without "." and "..", in the order the kernel gives. */
  readdir(path: string): string[];
  /**
   * Names of the regular files in a directory whose first 4 KiB contain the text, or cannot be read: of all, or of those that
   * begin with one of these ASCII characters.
   */
  filesContaining(path: string, text: string, beginnings: string | undefined): string[];
  /** stat(2), or lstat(2) where a symlink itself is meant: [st_dev, st_ino, st_mode, st_size, mtime in ms with a fraction]; dev and ino as decimal text. */
  stat(path: string, follow: boolean): [dev: string, ino: string, mode: number, size: number, mtimeMs: number];
  fstat(fd: number): [dev: string, ino: string, mode: number, size: number, mtimeMs: number];
  /** access(2): whether this process may read (4), write (2), search (1). */
  access(path: string, mode: number): void;
  /** statfs(2): [f_bfree, f_files, f_ffree]; what only root may use counts as free. */
  statfs(path: string): [freeBlocks: number, inodes: number, freeInodes: number];
  /** f_type of fstatfs(2). */
  fstatfs(fd: number): number;
  /** flock(2) LOCK_EX; false when the time is up. */
  flock(fd: number, timeoutMs: number): boolean;

  // --- namespaces and sockets ---
  /** setns(2) of the calling thread. */
  setns(fd: number, nsType: number): void;
  /** ioctl(2) of a request without an argument. */
  ioctl(fd: number, request: number): number;
  /** socket(2) with SOCK_CLOEXEC added. */
  socket(domain: number, type: number, protocol: number): number;
  /**
   * connect(2) to the kernel, sockaddr_nl with port id 0; it gives the socket a port id of its own as well. From then on
   * nobody but the kernel can send to that id: in a container, whoever may change its network could forge our answers.
   */
  connectNetlink(fd: number): void;
  setsockopt(fd: number, level: number, option: number, value: number): void;
  send(fd: number, data: Uint8Array): void;
  /** recv(2): one datagram; EMSGSIZE when it was longer than `max`, EAGAIN when `timeoutMs` passed (0: wait for ever). */
  recv(fd: number, max: number, timeoutMs: number): Uint8Array;

  // --- children ---
  /**
   * Runs `path` with `argv`, our environment with `env` laid over it, and `stdin`; its standard error goes to ours as it
   * comes. On time-out its process group is killed and status is -1. `argv[0]` is the name it sees itself by.
   */
  spawn(
    path: string,
    argv: readonly string[],
    env: readonly string[],
    stdin: string,
    timeoutMs: number,
  ): [status: number, signal: number, stdout: string, stderr: string];
}
