// The kernel's error numbers: names for our code to compare, texts for people to read.
// Numbers: asm-generic/errno-base.h and errno.h, shared by x86_64 and aarch64.

const table = {
  EPERM: [1, "operation not permitted"],
  ENOENT: [2, "no such file or directory"],
  ESRCH: [3, "no such process"],
  EINTR: [4, "interrupted system call"],
  EIO: [5, "input/output error"],
  ENXIO: [6, "no such device or address"],
  E2BIG: [7, "argument list too long"],
  ENOEXEC: [8, "exec format error"],
  EBADF: [9, "bad file descriptor"],
  ECHILD: [10, "no child processes"],
  EAGAIN: [11, "resource temporarily unavailable"],
  ENOMEM: [12, "cannot allocate memory"],
  EACCES: [13, "permission denied"],
  EFAULT: [14, "bad address"],
  EBUSY: [16, "device or resource busy"],
  EEXIST: [17, "file exists"],
  EXDEV: [18, "invalid cross-device link"],
  ENODEV: [19, "no such device"],
  ENOTDIR: [20, "not a directory"],
  EISDIR: [21, "is a directory"],
  EINVAL: [22, "invalid argument"],
  ENFILE: [23, "too many open files in system"],
  EMFILE: [24, "too many open files"],
  ENOTTY: [25, "inappropriate ioctl for device"],
  ETXTBSY: [26, "text file busy"],
  EFBIG: [27, "file too large"],
  ENOSPC: [28, "no space left on device"],
  ESPIPE: [29, "illegal seek"],
  EROFS: [30, "read-only file system"],
  EMLINK: [31, "too many links"],
  EPIPE: [32, "broken pipe"],
  ERANGE: [34, "numerical result out of range"],
  EDEADLK: [35, "resource deadlock avoided"],
  ENAMETOOLONG: [36, "file name too long"],
  ENOSYS: [38, "function not implemented"],
  ENOTEMPTY: [39, "directory not empty"],
  ELOOP: [40, "too many levels of symbolic links"],
  EPROTO: [71, "protocol error"],
  EOVERFLOW: [75, "value too large for defined data type"],
  ERESTART: [85, "interrupted system call should be restarted"],
  EMSGSIZE: [90, "message too long"],
  ENOPROTOOPT: [92, "protocol not available"],
  EPROTONOSUPPORT: [93, "protocol not supported"],
  EOPNOTSUPP: [95, "operation not supported"],
  EAFNOSUPPORT: [97, "address family not supported by protocol"],
  EADDRINUSE: [98, "address already in use"],
  EADDRNOTAVAIL: [99, "cannot assign requested address"],
  ENETDOWN: [100, "network is down"],
  ENETUNREACH: [101, "network is unreachable"],
  ENOBUFS: [105, "no buffer space available"],
  ENOTCONN: [107, "transport endpoint is not connected"],
  ETIMEDOUT: [110, "connection timed out"],
  ECONNREFUSED: [111, "connection refused"],
  EHOSTUNREACH: [113, "no route to host"],
  ESTALE: [116, "stale file handle"],
  EDQUOT: [122, "disk quota exceeded"],
} as const;

export type ErrnoName = keyof typeof table;

/** "ENOENT" for 2; "E1234" for a number this table lacks. */
export function errnoName(number: number): ErrnoName | `E${number}` {
  for (const [name, [value]] of Object.entries(table)) if (value === number) return name as ErrnoName;
  return `E${number}`;
}

/** The text people know for an errno: "no such file or directory". */
export function errnoText(number: number): string {
  for (const [value, text] of Object.values(table)) if (value === number) return text;
  return `errno ${number}`;
}

/** What every system call of ours throws: plain `Error`s with these fields, so that an engine can make them natively. */
export interface SystemError extends Error {
  readonly errno: number;
  readonly syscall: string;
  readonly path?: string;
}

/** Makes a SystemError; its message reads like Go's: `open /run/x: no such file or directory`. */
export function systemError(syscall: string, errno: number, path?: string): SystemError {
  const message = `${syscall}${path === undefined ? "" : ` ${path}`}: ${errnoText(errno)}`;
  return Object.assign(new Error(message), path === undefined ? { errno, syscall } : { errno, syscall, path });
}

/** Whether `error` is the kernel's refusal of a call. */
export const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && typeof (error as Partial<SystemError>).errno === "number";

/** Whether `error` is the kernel's refusal with one of these names. */
export function isErrno(error: unknown, ...names: ErrnoName[]): error is SystemError {
  const number = error instanceof Error ? (error as Partial<SystemError>).errno : undefined;
  return number !== undefined && names.some((name) => table[name][0] === number);
}

/** The path exists but no namespace is behind it: an ordinary file left in /run/netns after its mount went away. */
export class NotNetnsError extends Error {
  readonly path: string;
  constructor(path: string, magic: number) {
    super(`unknown FS magic on "${path}": ${magic.toString(16)}`);
    this.name = "NotNetnsError";
    this.path = path;
  }
}
