// Changing rules by iptables: one process for a family, and all of the changes or none.
import type { Host } from "../../host/host.ts";
import type { Iptables, IptablesTable } from "./find.ts";
import { refuseFailure, runIptables, waitArgs } from "./run.ts";

/**
 * Changes to a table, as lines of iptables-restore: `-N` makes a chain and is refused where there is one of that name,
 * `:CHAIN - [0:0]` makes it or empties it, `-A`, `-I` and `-D` add and delete a rule, `-F` and `-X` empty and delete a chain.
 */
export type RestoreLines = Partial<Readonly<Record<IptablesTable, readonly string[]>>>;

/** Of iptables: something is there already, or is not there, as the changes want it. */
const OTHER_PROBLEM = 1;

/** Makes the changes, all or none, and starts no process where there are none. Throws a FirewallError. */
export function restore(host: Host, tool: Iptables, lines: RestoreLines): void {
  const { refuse } = attempt(host, tool, lines);
  refuse();
}

/** The same; false where they do not fit what is there. */
export function restoreIfFitting(host: Host, tool: Iptables, lines: RestoreLines): boolean {
  const { status, refuse } = attempt(host, tool, lines);
  if (status === OTHER_PROBLEM) return false;
  refuse();
  return true;
}

function attempt(host: Host, tool: Iptables, lines: RestoreLines): { status: number; refuse(): void } {
  const tables = (["nat", "filter"] as const).filter((table) => (lines[table]?.length ?? 0) > 0);
  if (tables.length === 0) return { status: 0, refuse() {} };
  const stdin = tables.map((table) => `*${table}\n${lines[table]?.join("\n")}\nCOMMIT\n`).join("");
  const ran = runIptables(host, tool, ["--noflush", ...waitArgs], { suffix: "restore", stdin });
  const what = `${tool.command("restore").argv0} of ${tables.join(" and ")}`;
  return { status: ran.status, refuse: () => refuseFailure(what, ran, stdin) };
}

/** A word of a rule in quotes, as iptables-save writes it. Throws where it could be taken for more than a word. */
export function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these end a line, or the text, in the middle of a rule
  if (/[\x00-\x1f\x7f]/.test(text))
    throw new RangeError(`${JSON.stringify(text)} has a control character, which no iptables rule can hold`);
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
