// One fault in one system call of one plugin call: learned from a good run under strace, and put there by strace.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

/** A call of a plugin, in the words of play.sh: verb, pod ("": no netns), container, plugin, configuration, and whose result it has. */
export interface Request {
  readonly verb: string;
  readonly pod: string;
  readonly container: string;
  readonly plugin: string;
  readonly conf: Readonly<Record<string, unknown>>;
  readonly resultOf?: string;
}

export interface Case {
  readonly name: string;
  readonly ifName: string;
  readonly before: Readonly<Record<string, Request>>;
  readonly struck: Request;
  /** What comes after, each followed by a look where its name is in `looks`. */
  readonly after: Readonly<Record<string, Request>>;
  readonly looks: readonly string[];
  /** The look that the node is like at the end; left out: nothing is there. */
  readonly stays?: string;
  /** Whether there are packet filter rules to look at. */
  readonly rules?: boolean;
}

export interface Fault {
  /** The system call, and which one of them: from 1. */
  readonly call: string;
  readonly when: number;
  /** What it is refused with; undefined: the process is killed as it makes the call. */
  readonly errno: string | undefined;
}

/** What one play left, by the titles of play.sh. */
export type Seen = Readonly<Record<string, string>>;

/**
 * The errors a call can be refused with in earnest. What is not here cannot fail, or belongs to no plugin; and close
 * closes whatever it says, but not when strace refuses it.
 */
const errnos: Readonly<Record<string, string>> = {
  ...named("ENOMEM", "mmap", "munmap", "mprotect", "madvise", "brk", "mremap"),
  ...named("EMFILE", "open", "openat", "socket", "fcntl", "dup", "pipe2"),
  ...named("EIO", "read", "write", "fsync", "stat", "fstat", "fstatfs", "getdents64", "unlink", "rename", "readlink"),
  ...named("ENOSPC", "mkdir", "linkat"),
  ...named("EPERM", "fchmod", "ioctl", "setns", "bind", "connect", "setsockopt"),
  ...named("ENOBUFS", "sendto", "recvfrom", "sendmsg", "recvmsg"),
  ...named("ENOLCK", "flock"),
  ...named("ENOSYS", "getrandom"),
};

function named(errno: string, ...calls: readonly string[]): Record<string, string> {
  return Object.fromEntries(calls.map((call) => [call, errno]));
}

/** No plugin has a say in these: the process is not there yet, or not any more. */
const outside = new Set(["execve", "exit_group"]);

/**
 * What the kernel begins anew by itself is one call, whatever strace counts: a write to a link's sysctl, while another process
 * holds the lock it needs, is begun again until it gets it, which was seen up to 1,400 times in one call.
 */
const begunAnew = /= \? ERESTART\w+ /;

/**
 * Every fault of a run that strace wrote down. Calls are refused from where the request is read: before that, libc and
 * Rust start up, and nobody is there to answer.
 */
export function faultsOf(trace: string): Fault[] {
  const counts = new Map<string, number>();
  const faults: Fault[] = [];
  let reading = false;
  for (const [, call = "", rest = ""] of trace.matchAll(/^\d+ +(\w+)\((.*)$/gm)) {
    if (begunAnew.test(rest)) continue;
    const when = (counts.get(call) ?? 0) + 1;
    counts.set(call, when);
    if (outside.has(call)) continue;
    reading ||= call === "read" && rest.startsWith("0,");
    const errno = errnos[call];
    if (reading && errno !== undefined) faults.push({ call, when, errno });
    faults.push({ call, when, errno: undefined });
  }
  return faults;
}

export const told = ({ call, when, errno }: Fault): string =>
  errno === undefined ? `killed at ${call} ${when}` : `${call} ${when} refused with ${errno}`;

/** Whether a run made fewer calls than the fault waits for: the kernel's answers do not come in equally many datagrams each time. */
export function neverCame({ call, when }: Fault, seen: Seen): boolean {
  return [...(seen.trace ?? "").matchAll(new RegExp(`^\\d+ +${call}\\(`, "gm"))].length < when;
}

function options(fault: Fault | undefined): string {
  if (fault === undefined) return "";
  const { call, when, errno } = fault;
  const what = errno === undefined ? "signal=SIGKILL" : `error=${errno}`;
  return `-e trace=${call} -e inject=${call}:${what}:when=${when}`;
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function script({ ifName, before, struck, after, looks, rules }: Case, bin: string): string {
  const words = ({ verb, pod, container, plugin, conf, resultOf }: Request) =>
    [verb, pod, container, plugin, JSON.stringify(conf), ...(resultOf === undefined ? [] : [resultOf])]
      .map(quoted)
      .join(" ");
  const look = (name: string) => (looks.includes(name) ? [`look ${quoted(name)}`] : []);
  const calls = (each: Readonly<Record<string, Request>>) =>
    Object.entries(each).flatMap(([name, request]) => [`call ${quoted(name)} ${words(request)}`, ...look(name)]);
  const pods = new Set([...Object.values(before), struck, ...Object.values(after)].map(({ pod }) => pod));
  pods.delete("");
  const setUp = [
    `bin=${quoted(bin)} ifname=${ifName} rules=${rules === true ? "some" : ""}`,
    ...[...pods].map((pod) => `pod ${pod}`),
  ];
  return [...setUp, ...calls(before), `struck ${words(struck)}`, "look struck", ...calls(after), ""].join("\n");
}

function partsOf(text: string): Seen {
  const parts = text.split("\u0001").slice(1);
  return Object.fromEntries(
    parts.map((part) => [part.slice(0, part.indexOf("\n")), part.slice(part.indexOf("\n") + 1)]),
  );
}

/** How many play beside each other. */
const lanes = 2;
const laneMs = 900_000;

/** Plays a case once for each fault, on a fresh node each time; undefined: nothing befalls it. */
export async function playFaults(each: Case, faults: readonly (Fault | undefined)[], bin: string): Promise<Seen[]> {
  const seen = await playAll(each, faults, bin);
  const late = faults.flatMap((_, at) => (cameLate(seen[at] ?? {}) ? [at] : []));
  if (late.length === 0) return seen;
  console.warn(`${each.name}: a port came late, played once more: ${late.map((at) => options(faults[at])).join("; ")}`);
  const again = await playAll(
    each,
    late.map((at) => faults[at]),
    bin,
  );
  return seen.map((first, at) => again[late.indexOf(at)] ?? first);
}

/**
 * bridge gives a port the time that Go gives it, 2.5 s. Where other tests keep the kernel's lock for longer, which they do by a
 * hundred DELs at once, that says nothing of the fault, and it is played once more.
 */
const cameLate = (seen: Seen): boolean =>
  Object.values(seen).some((part) => part.includes("bridge port in error state"));

async function playAll(each: Case, faults: readonly (Fault | undefined)[], bin: string): Promise<Seen[]> {
  const work = mkdtempSync(join(tmpdir(), "weft-faults-"));
  try {
    writeFileSync(join(work, "case"), script(each, bin));
    const lines = faults.map((fault, at) => `${work}/${at} ${options(fault)}`);
    const run = 'while read -r line; do unshare -n -m sh "$0" "$1" $line </dev/null; done';
    const player = join(import.meta.dirname, "play.sh");
    const lane = (number: number) =>
      execa("sh", ["-c", run, player, join(work, "case")], {
        input: lines
          .filter((_, at) => at % lanes === number)
          .map((line) => `${line}\n`)
          .join(""),
        timeout: laneMs,
      });
    await Promise.all(Array.from({ length: lanes }, (_, number) => lane(number)));
    return faults.map((_, at) => partsOf(readFileSync(join(work, String(at)), "utf8")));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
