// A plan in tables that only iptables itself can reach: the kernel's older ones, or whatever a script leads to. One
// process reads, one writes what is missing.
import type { Host } from "../../host/host.ts";
import { formatPrefix, maskPrefix } from "../../ip/prefix.ts";
import type { Match } from "../../netlink/nft/match.ts";
import type { Rule } from "../../netlink/nft/phrase.ts";
import type { Plan } from "../plan.ts";
import type { Iptables, IptablesTable } from "./find.ts";
import { quoted, restore } from "./restore.ts";
import { saveTable, wordsOf, type SavedTable } from "./save.ts";

/** Adds what is missing of a plan of table `nat` or `filter`; what is there otherwise stays. Throws a CniError. */
export function ensureByIptables(host: Host, tool: Iptables, plan: Plan): void {
  const table = plan.table as IptablesTable;
  restore(host, tool, { [table]: missingLines(plan, saveTable(host, tool, table)) });
}

/** What is missing of a plan, a line each. */
export const compareByIptables = (host: Host, tool: Iptables, plan: Plan): string[] =>
  missingLines(plan, saveTable(host, tool, plan.table as IptablesTable)).map(
    (line) => `${tool.command().argv0} -t ${plan.table}: ${line}`,
  );

/** The lines of iptables-restore that add what a table lacks of a plan. */
export function missingLines({ chains }: Plan, { chains: there, rules }: SavedTable): string[] {
  // The same words in another order are the same rule: releases of iptables differ in that.
  const key = (line: string): string => wordsOf(line).sort().join(" ");
  const present = new Set(rules.map(key));
  const made = chains.filter(({ chain, base }) => base === undefined && !there.has(chain));
  const wanted = chains.flatMap((planned) => planned.rules.map((rule) => ruleLine(planned.chain, rule)));
  return [...made.map(({ chain }) => `:${chain} - [0:0]`), ...wanted.filter((line) => !present.has(key(line)))];
}

/** A rule as iptables-save writes it. */
export function ruleLine(chain: string, { match, verdict, comment }: Rule): string {
  const said = comment === undefined ? [] : [`-m comment --comment ${quoted(comment)}`];
  return [`-A ${chain}`, ...match.map(matchWords), ...said, `-j ${targetOf(verdict)}`].join(" ");
}

function matchWords(match: Match): string {
  if (match.field !== "saddr" && match.field !== "daddr") throw new TypeError(`no iptables words for ${match.field}`);
  const not = match.not === true ? "! " : "";
  return `${not}${match.field === "saddr" ? "-s" : "-d"} ${formatPrefix(maskPrefix(match.is))}`;
}

function targetOf(verdict: Rule["verdict"]): string {
  if (typeof verdict === "string") return verdict.toUpperCase();
  if ("jump" in verdict) return verdict.jump;
  throw new TypeError(`no iptables target for ${JSON.stringify(Object.keys(verdict))}`);
}
