// Starting iptables: what it is given, what it says, and what went wrong.
import { FirewallError } from "../error.ts";
import type { Host } from "../../host/host.ts";
import type { Family } from "../../ip/ip.ts";
import { findIptables, iptablesName, type Iptables } from "./find.ts";

/** For another's lock on the older tables. */
const lockSeconds = 30;
/** A call that waited for the lock all this time has some left to do its work. */
const timeoutMs = (lockSeconds + 15) * 1000;

/** Of iptables: somebody else held its lock. */
const RESOURCE_PROBLEM = 4;

export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The node's iptables for a family. Throws a FirewallError where there is none. */
export function needIptables(host: Host, family: Family): Iptables {
  const found = findIptables(host, family);
  if (found !== undefined) return found;
  throw new FirewallError("failed", `failed to locate iptables: no executable "${iptablesName(family)}" in PATH`, {
    details: `PATH is ${JSON.stringify(host.env("PATH") ?? "")}`,
    hint: "install iptables where the runtime's PATH leads, or choose the nftables backend",
  });
}

/** Runs one of iptables' commands and returns however it ended by itself. Throws a FirewallError where it did not. */
export function runIptables(
  host: Host,
  tool: Iptables,
  args: readonly string[],
  { suffix, stdin = "" }: { readonly suffix?: "restore" | "save"; readonly stdin?: string } = {},
): Ran {
  const { path, argv0 } = tool.command(suffix);
  const { status, signal, timedOut, stdout, stderr } = host.exec(path, { argv: [argv0, ...args], stdin, timeoutMs });
  if (status >= 0) return { status, stdout, stderr };
  throw new FirewallError(timedOut ? "busy" : "failed", `${argv0} was ended by signal ${signal}`, {
    details: stderr.trim(),
    hint: timedOut ? `it did not finish within ${timeoutMs / 1000} s; find out what it waited for` : "see who ended it",
  });
}

/** Throws what iptables said, as a FirewallError, unless it succeeded. `stdin` is what it may name a line of. */
export function refuseFailure(what: string, { status, stderr }: Ran, stdin = ""): void {
  if (status === 0) return;
  const held = status === RESOURCE_PROBLEM;
  const said = stderr
    .split("\n")
    .map((line) => line.replace(/^\S+ v\S+ \(\w+\): /, "").trim())
    .filter((line) => line !== "" && !/^(# Warning|Try `)/.test(line));
  const [, number = "0"] = /line:? (\d+)/.exec(stderr) ?? [];
  const line = stdin.split("\n")[Number(number) - 1];
  throw new FirewallError(held ? "busy" : "failed", `${what}: ${said.join(" ") || "it said nothing"}`, {
    details: `exit status ${status}${line === undefined ? "" : `, line ${number} is ${line}`}`,
    hint: held
      ? "another program changes these rules just now"
      : "iptables' own words are in the message: does the kernel have what they name, and may this process use it?",
  });
}

/** How a restore waits for the lock. The number must be given: a file's name would be taken for it. */
export const waitArgs = ["--wait", String(lockSeconds)] as const;
