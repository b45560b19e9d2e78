// The kernel's error numbers: names for our code to compare, texts for people to read.
// Numbers: asm-generic/errno-base.h and errno.h, shared by x86_64 and aarch64.

const numbers = {
  EPERM: 1,
  ENOENT: 2,
  ESRCH: 3,
  EINTR: 4,
  EIO: 5,
  ENXIO: 6,
  E2BIG: 7,
  ENOEXEC: 8,
  EBADF: 9,
  ECHILD: 10,
  EAGAIN: 11,
  ENOMEM: 12,
  EACCES: 13,
  EFAULT: 14,
  EBUSY: 16,
  EEXIST: 17,
  EXDEV: 18,
  ENODEV: 19,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENFILE: 23,
  EMFILE: 24,
  ENOTTY: 25,
  ETXTBSY: 26,
  EFBIG: 27,
  ENOSPC: 28,
  ESPIPE: 29,
  EROFS: 30,
  EMLINK: 31,
  EPIPE: 32,
  ERANGE: 34,
  EDEADLK: 35,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ENOTEMPTY: 39,
  ELOOP: 40,
  EPROTO: 71,
  EBADMSG: 74,
  EOVERFLOW: 75,
  ERESTART: 85,
  EMSGSIZE: 90,
  ENOPROTOOPT: 92,
  EPROTONOSUPPORT: 93,
  EOPNOTSUPP: 95,
  EAFNOSUPPORT: 97,
  EADDRINUSE: 98,
  EADDRNOTAVAIL: 99,
  ENETDOWN: 100,
  ENETUNREACH: 101,
  ENOBUFS: 105,
  ENOTCONN: 107,
  ETIMEDOUT: 110,
  ECONNREFUSED: 111,
  EHOSTUNREACH: 113,
  ESTALE: 116,
  EUCLEAN: 117,
  EDQUOT: 122,
} as const;

const texts: Readonly<Record<number, string>> = {
  1: "operation not permitted",
  2: "no such file or directory",
  3: "no such process",
  4: "interrupted system call",
  5: "input/output error",
  6: "no such device or address",
  7: "argument list too long",
  8: "exec format error",
  9: "bad file descriptor",
  10: "no child processes",
  11: "resource temporarily unavailable",
  12: "cannot allocate memory",
  13: "permission denied",
  14: "bad address",
  16: "device or resource busy",
  17: "file exists",
  18: "invalid cross-device link",
  19: "no such device",
  20: "not a directory",
  21: "is a directory",
  22: "invalid argument",
  23: "too many open files in system",
  24: "too many open files",
  25: "inappropriate ioctl for device",
  26: "text file busy",
  27: "file too large",
  28: "no space left on device",
  29: "illegal seek",
  30: "read-only file system",
  31: "too many links",
  32: "broken pipe",
  34: "numerical result out of range",
  35: "resource deadlock avoided",
  36: "file name too long",
  38: "function not implemented",
  39: "directory not empty",
  40: "too many levels of symbolic links",
  71: "protocol error",
  74: "bad message",
  75: "value too large for defined data type",
  85: "interrupted system call should be restarted",
  90: "message too long",
  92: "protocol not available",
  93: "protocol not supported",
  95: "operation not supported",
  97: "address family not supported by protocol",
  98: "address already in use",
  99: "cannot assign requested address",
  100: "network is down",
  101: "network is unreachable",
  105: "no buffer space available",
  107: "transport endpoint is not connected",
  110: "connection timed out",
  111: "connection refused",
  113: "no route to host",
  116: "stale file handle",
  117: "structure needs cleaning",
  122: "disk quota exceeded",
};

export type ErrnoName = keyof typeof numbers;

/** "ENOENT" for 2; "E1234" for a number this table lacks. */
export function errnoName(number: number): ErrnoName | `E${number}` {
  for (const [name, value] of Object.entries(numbers)) if (value === number) return name as ErrnoName;
  return `E${number}`;
}

/** The text people know for an errno: "no such file or directory". */
export function errnoText(number: number): string {
  return texts[number] ?? `errno ${number}`;
}

/** What every system call of ours throws: plain `Error`s with these fields, so that an engine can make them natively. */
export interface SystemError extends Error {
  readonly errno: number;
  readonly syscall: string;
  readonly path?: string;
}

const traces = Error as { stackTraceLimit?: number };

/**
 * Makes an error that carries no stack. What the kernel refuses is often an answer like any other (there is no such
 * file), and for the embedded engine a stack is many times the work of all else in an error.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const { stackTraceLimit } = traces;
  traces.stackTraceLimit = 0;
  const error = make();
  traces.stackTraceLimit = stackTraceLimit as number;
  return error;
}

/** Makes a SystemError; its message reads like Go's: `open /run/x: no such file or directory`. */
export function systemError(syscall: string, errno: number, path?: string): SystemError {
  const message = `${syscall}${path === undefined ? "" : ` ${path}`}: ${errnoText(errno)}`;
  const error = withoutStack(() => new Error(message)) as Error & { errno?: number; syscall?: string; path?: string };
  error.errno = errno;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  return error as SystemError;
}

/** Whether `error` is the kernel's refusal of a call. */
export const isSystemError = (error: unknown): error is SystemError =>
  error instanceof Error && typeof (error as Partial<SystemError>).errno === "number";

/** Whether `error` is the kernel's refusal with one of these names. */
export function isErrno(error: unknown, ...names: ErrnoName[]): error is SystemError {
  const number = error instanceof Error ? (error as Partial<SystemError>).errno : undefined;
  if (number === undefined) return false;
  for (let at = 0; at < names.length; at++) if (numbers[names[at] as ErrnoName] === number) return true;
  return false;
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
