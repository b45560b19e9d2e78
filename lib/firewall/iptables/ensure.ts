// A plan in tables that only iptables itself can reach: the kernel's older ones, or whatever a script leads to. One
// process writes; another reads before it where something may be there.
import type { Host } from "../../host/host.ts";
import { endpointText } from "../../ip/ip.ts";
import { formatPrefix, maskPrefix } from "../../ip/prefix.ts";
import type { Mark, Match } from "../../netlink/nft/match.ts";
import type { Rule } from "../../netlink/nft/phrase.ts";
import type { Plan, PlannedChain } from "../plan.ts";
import type { Iptables, IptablesTable } from "./find.ts";
import { quoted, restore, restoreIfFitting } from "./restore.ts";
import { deletion, emptyTable, optionOf, saveTable, wordsOf, type SavedTable } from "./save.ts";

/** Adds what is missing of a plan of table `nat` or `filter`; what is there otherwise stays. Throws a FirewallError. */
export function ensureByIptables(host: Host, tool: Iptables, plan: Plan): void {
  const table = plan.table as IptablesTable;
  // Mostly nothing of it is there, and then nobody need read the table: that its chain can be made shows it.
  if (isAllOrNothing(plan) && restoreIfFitting(host, tool, { [table]: missingLines(plan, emptyTable) })) return;
  restore(host, tool, { [table]: missingLines(plan, saveTable(host, tool, table)) });
}

/** Whether a plan has chains of its own, and every rule elsewhere jumps to one of them. */
function isAllOrNothing({ chains }: Plan): boolean {
  const own = new Set(chains.flatMap(({ chain, base }) => (base === undefined ? [chain] : [])));
  const jumps = ({ verdict }: Rule) => typeof verdict !== "string" && "jump" in verdict && own.has(verdict.jump);
  return own.size > 0 && chains.every(({ base, rules }) => base === undefined || rules.every(jumps));
}

/** What is missing of a plan, a line each. */
export const compareByIptables = (host: Host, tool: Iptables, plan: Plan): string[] =>
  missingLines(plan, saveTable(host, tool, plan.table as IptablesTable)).map(
    (line) => `${tool.command().argv0} -t ${plan.table}: ${line}`,
  );

/** The same words in another order are the same rule: releases of iptables differ in that. */
export const sameRuleKey = (line: string): string => wordsOf(line).sort().join(" ");

/**
 * The lines of iptables-restore that add what a table lacks of a plan, and take out what is surplus. A chain that somebody
 * else made meanwhile is a refusal, so that it is not emptied.
 */
export function missingLines({ chains }: Plan, there: SavedTable): string[] {
  const made = chains.filter(({ chain, base }) => base === undefined && !there.chains.has(chain));
  return [...made.map(({ chain }) => `-N ${chain}`), ...chains.flatMap((planned) => changedLines(planned, there))];
}

function changedLines({ chain, rules, owns, keeps, first = false }: PlannedChain, there: SavedTable): string[] {
  const wanted = rules.map((rule) => ruleLine(chain, rule));
  const found = there.rules.filter((line) => line.startsWith(`-A ${chain} `));
  if (owns === "all") {
    const kept = found.filter((line) => keeps?.line(line) === true);
    const own = found.filter((line) => keeps?.line(line) !== true);
    if (own.length === wanted.length && own.every((line, at) => sameRuleKey(line) === sameRuleKey(wanted[at] ?? "")))
      return [];
    return [...(found.length === 0 ? [] : [`-F ${chain}`]), ...kept, ...wanted];
  }
  const [present, asked] = [new Set(found.map(sameRuleKey)), new Set(wanted.map(sameRuleKey))];
  const target = typeof owns === "object" && "jumpsTo" in owns ? owns.jumpsTo : undefined;
  const surplus = found.filter(
    (line) => optionOf(line, "-j") === target && !asked.has(sameRuleKey(line)) && keeps?.line(line) !== true,
  );
  const missing = wanted.filter((line) => !present.has(sameRuleKey(line)));
  const placed = first ? missing.map((line) => line.replace(`-A ${chain}`, `-I ${chain} 1`)) : missing;
  return [...(target === undefined ? [] : surplus.map(deletion)), ...placed];
}

/** A rule as iptables-save writes it. */
export function ruleLine(chain: string, { match, verdict, comment, words = [] }: Rule): string {
  const said = comment === undefined ? [] : [`-m comment --comment ${quoted(comment)}`];
  const options = match.flatMap((each) => optionWords(each) ?? []);
  const modules = match.flatMap((each) => moduleWords(each) ?? []);
  return [`-A ${chain}`, ...options, ...said, ...modules, ...words.map(quoted), `-j ${targetOf(verdict)}`].join(" ");
}

/** As iptables-save writes it, but for what could be taken for more than a word. */
const nameWord = (name: string): string => (/^[\w.:@-]+$/.test(name) ? name : quoted(name));

const notWord = ({ not }: Match): string => (not === true ? "! " : "");

/** What iptables has an option of its own for. */
function optionWords(match: Match): string | undefined {
  switch (match.field) {
    case "saddr":
    case "daddr":
      return `${notWord(match)}${match.field === "saddr" ? "-s" : "-d"} ${formatPrefix(maskPrefix(match.is))}`;
    case "dport":
    case "dports":
      return `-p ${match.is.protocol}`;
    case "iifname":
    case "oifname":
      return `${notWord(match)}${match.field === "iifname" ? "-i" : "-o"} ${nameWord(match.is)}`;
    default:
      return undefined;
  }
}

/** What takes a module. */
function moduleWords(match: Match): string | undefined {
  switch (match.field) {
    case "saddr":
    case "daddr":
    case "iifname":
    case "oifname":
      return undefined;
    case "ctState":
      return `-m conntrack ${notWord(match)}--ctstate ${stateWords
        .filter((state) => match.is.includes(state))
        .join(",")
        .toUpperCase()}`;
    case "dport":
      return `-m ${match.is.protocol} ${notWord(match)}--dport ${match.is.port}`;
    case "dports":
      return `-m multiport ${notWord(match)}--dports ${match.is.ports.join(",")}`;
    case "fibDaddrType":
      return `-m addrtype ${notWord(match)}--dst-type ${match.is.toUpperCase()}`;
    case "mark":
      return `-m mark ${notWord(match)}--mark ${markWords(match.is)}`;
    default:
      throw new TypeError(`no iptables words for ${match.field}`);
  }
}

/** In the order in which iptables-save writes them. */
const stateWords = ["invalid", "new", "related", "established", "untracked"] as const;

const markWords = ({ value, mask }: Mark): string =>
  mask === undefined ? `0x${value.toString(16)}` : `0x${value.toString(16)}/0x${mask.toString(16)}`;

function targetOf(verdict: Rule["verdict"]): string {
  if (typeof verdict === "string") return verdict.toUpperCase();
  if ("jump" in verdict) return verdict.jump;
  if ("dnat" in verdict) return `DNAT --to-destination ${endpointText(verdict.dnat.ip, verdict.dnat.port)}`;
  if ("setMark" in verdict) return `MARK --set-xmark ${markWords(verdict.setMark)}`;
  throw new TypeError(`no iptables target for ${JSON.stringify(Object.keys(verdict))}`);
}
