// iptables' filter tables where they are those of nf_tables: the same chains and rules, in iptables' own form, over nfnetlink
// and without a process.
import { changesFor, type ReadRules } from "../../lib/firewall/apply.ts";
import { differenceOf } from "../../lib/firewall/difference.ts";
import { chainRef, type Plan, type PlannedChain } from "../../lib/firewall/plan.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import { ipBytes, type Family, type Ip } from "../../lib/ip/ip.ts";
import type { Base } from "../../lib/netlink/nft/chain.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf, phraseText } from "../../lib/netlink/nft/phrase.ts";
import { delRule, type KernelRule } from "../../lib/netlink/nft/rule.ts";
import { includesBytes } from "../../lib/netlink/wire/bytes.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import { acceptRules, forwardChain, type ChainRule, type WantedRules } from "./iptables-rules.ts";

/** As iptables hangs it: NF_IP_PRI_FILTER. */
const forwardBase: Base = { type: "filter", hook: "forward", priority: 0, policy: "accept" };

export const filterTable = (family: Family) => ({ family: family === 4 ? "ip" : "ip6", table: "filter" }) as const;

/** What is wanted in one family. */
export interface FamilyRules {
  readonly family: Family;
  readonly wanted: WantedRules;
}

/** Each rule by itself, since each has a place of its own. */
function planOf({ family, wanted: { chains, rules } }: FamilyRules): Plan {
  const made = chains.map((chain): PlannedChain => ({ chain, rules: [] }));
  const placed = rules.map(
    ({ chain, rule, at }): PlannedChain => ({
      chain,
      rules: [rule],
      first: at === "top",
      ...(chain === "FORWARD" ? { base: forwardBase } : {}),
    }),
  );
  return { ...filterTable(family), chains: [...made, ...placed] };
}

/** What a rule's message has in it somewhere: its comment or its address. */
const traceOf = ({ rule: { comment, match } }: ChainRule): Uint8Array => {
  if (comment !== undefined) return utf8Bytes(comment);
  const address = match.find((each) => each.field === "saddr" || each.field === "daddr");
  return address?.field === "saddr" || address?.field === "daddr" ? ipBytes(address.is.ip) : new Uint8Array();
};

/** A reading of chains for these rules: each once, and of a thousand others' rules none. */
function readerFor(nft: NftSocket, rules: readonly ChainRule[]): ReadRules {
  const traces = rules.map(traceOf);
  const leavesTrace = (bytes: Uint8Array) => traces.some((trace) => includesBytes(bytes, trace));
  const read = new Map<string, readonly KernelRule[]>();
  return (ref) => {
    const seen = read.get(ref.chain) ?? nft.rule.list(ref, leavesTrace, leavesTrace);
    read.set(ref.chain, seen);
    return seen;
  };
}

/** What makes the missing rules, and none twice. */
export const changesInNft = (nft: NftSocket, parts: readonly FamilyRules[]): Request[] =>
  parts.flatMap((part) => changesFor(nft, planOf(part), readerFor(nft, part.wanted.rules)));

/** What is missing in one family. */
export function missingInNft(nft: NftSocket, part: FamilyRules): WantedRules {
  const { chains, rules } = part.wanted;
  const table = filterTable(part.family);
  const found = nft.chain.getAll(chains.map((chain) => chainRef(table, chain)));
  const read = readerFor(nft, rules);
  return {
    chains: chains.filter((_, at) => found[at] === undefined),
    rules: rules.filter(({ chain, rule }) => {
      const planned = { chain, rules: [rule] };
      return differenceOf(planned, read(chainRef(table, chain), planned)).missing.length > 0;
    }),
  };
}

/** What takes away the rules that let addresses of one family pass. */
export function acceptsAway(nft: NftSocket, family: Family, addresses: readonly Ip[]): Request[] {
  const rules = addresses.filter((ip) => ip.family === family).flatMap(acceptRules);
  if (rules.length === 0) return [];
  const texts = new Set(rules.map(({ rule }) => phraseText(rule)));
  const ref = chainRef(filterTable(family), forwardChain);
  return readerFor(nft, rules)(ref, { chain: forwardChain, rules: [] })
    .filter((there) => {
      const phrase = phraseOf(there);
      // One with a comment is an operator's, and some releases of iptables have it beside the expressions.
      return phrase !== undefined && (phrase.comment ?? there.comment) === undefined && texts.has(phraseText(phrase));
    })
    .map(({ handle }) => delRule(ref, handle));
}
