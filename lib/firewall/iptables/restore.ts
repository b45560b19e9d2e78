// Changing rules by iptables: one process for a family, and all of the changes or none.
import type { Host } from "../../host/host.ts";
import type { Iptables, IptablesTable } from "./find.ts";
import { refuseFailure, runIptables, waitArgs } from "./run.ts";

/**
 * Changes to a table, as lines of iptables-restore: `:CHAIN - [0:0]` makes a chain or empties it, `-A`, `-I` and `-D`
 * add and delete a rule, `-F` and `-X` empty and delete a chain.
 */
export type RestoreLines = Partial<Readonly<Record<IptablesTable, readonly string[]>>>;

/** Makes the changes, all or none, and starts no process where there are none. Throws a CniError. */
export function restore(host: Host, tool: Iptables, lines: RestoreLines): void {
  const tables = (["nat", "filter"] as const).filter((table) => (lines[table]?.length ?? 0) > 0);
  if (tables.length === 0) return;
  const stdin = tables.map((table) => `*${table}\n${lines[table]?.join("\n")}\nCOMMIT\n`).join("");
  const ran = runIptables(host, tool, ["--noflush", ...waitArgs], { suffix: "restore", stdin });
  refuseFailure(`${tool.command("restore").argv0} of ${tables.join(" and ")}`, ran, stdin);
}

/** A word of a rule in quotes, as iptables-save writes it. Throws where it could be taken for more than a word. */
export function quoted(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these end a line, or the text, in the middle of a rule
  if (/[\x00-\x1f\x7f]/.test(text))
    throw new RangeError(`${JSON.stringify(text)} has a control character, which no iptables rule can hold`);
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
