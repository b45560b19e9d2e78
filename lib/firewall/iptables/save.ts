// What iptables says is there: the chains of one table, and its rules as iptables writes them.
import type { Host } from "../../host/host.ts";
import type { Iptables, IptablesTable } from "./find.ts";
import { quoted } from "./restore.ts";
import { refuseFailure, runIptables } from "./run.ts";

export interface SavedTable {
  readonly chains: ReadonlySet<string>;
  /** `-A CHAIN ...`, in order, counters left out. */
  readonly rules: readonly string[];
}

export const emptyTable: SavedTable = { chains: new Set(), rules: [] };

/** Asks iptables for a table; the older ones come into being by that. Throws a FirewallError. */
export function saveTable(host: Host, tool: Iptables, table: IptablesTable): SavedTable {
  const ran = runIptables(host, tool, ["-t", table], { suffix: "save" });
  refuseFailure(`${tool.command("save").argv0} of ${table}`, ran);
  return readSaved(ran.stdout);
}

export function readSaved(text: string): SavedTable {
  const chains = new Set<string>();
  const rules: string[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith(":")) chains.add(line.slice(1, line.indexOf(" ")));
    else if (line.startsWith("-A ")) rules.push(line);
  }
  return { chains, rules };
}

/** A quoted word, or one as it is: iptables-save writes the name of a link without quotes, whatever is in it. */
const word = /"(?:[^"\\]|\\.)*"(?!\S)|\S+/g;
const isQuoted = (text: string): boolean => /^"(?:[^"\\]|\\.)*"$/.test(text);

/** The words of a rule, quotes and escapes resolved. */
export const wordsOf = (rule: string): string[] =>
  (rule.match(word) ?? []).map((text) => (isQuoted(text) ? text.slice(1, -1).replace(/\\(.)/g, "$1") : text));

/** The word after an option: the chain after "-A", the target after "-j", the comment after "--comment". */
export function optionOf(rule: string, option: string): string | undefined {
  const words = wordsOf(rule);
  const at = words.indexOf(option);
  return at < 0 ? undefined : words[at + 1];
}

/** The line that deletes a rule which iptables-save shows as this line: iptables-restore takes any quote for one that opens. */
export const deletion = (rule: string): string =>
  rule.replace(/^-A /, "-D ").replace(word, (text) => (/["\\]/.test(text) && !isQuoted(text) ? quoted(text) : text));

/** The lines that delete a chain and every rule that jumps there; none where there is no such chain. */
export function chainRemoval({ chains, rules }: SavedTable, chain: string): string[] {
  if (!chains.has(chain)) return [];
  const jumps = rules.filter((rule) => rule.includes(chain) && optionOf(rule, "-j") === chain);
  return [...jumps.map(deletion), `-F ${chain}`, `-X ${chain}`];
}
