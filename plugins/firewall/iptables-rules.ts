// The rules as the Go plugin writes them into iptables' filter table, in the order in which it does: it finds and deletes
// ours, and ours its own, by all of their words.
import { bitsOf, type Ip } from "../../lib/ip/ip.ts";
import type { Match } from "../../lib/netlink/nft/match.ts";
import type { Rule } from "../../lib/netlink/nft/phrase.ts";
import type { Isolation, Wish } from "./wish.ts";

export const forwardChain = "CNI-FORWARD";
export const stages = ["CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"] as const;

/** One that is missing goes to its chain's top or to its end. */
export interface ChainRule {
  readonly chain: string;
  readonly rule: Rule;
  readonly at: "top" | "end";
}

export interface WantedRules {
  readonly chains: readonly string[];
  readonly rules: readonly ChainRule[];
}

const ruleOf = (
  chain: string,
  at: ChainRule["at"],
  match: readonly Match[],
  verdict: Rule["verdict"],
  comment?: string,
): ChainRule => ({ chain, at, rule: { match, verdict, comment, iptables: true } });

/** Lets an address's packets pass: answers to it, and whatever it sends. */
export function acceptRules(ip: Ip): ChainRule[] {
  const is = { ip, length: bitsOf(ip.family) };
  const answers: Match = { field: "ctState", is: ["related", "established"] };
  return [
    ruleOf(forwardChain, "end", [{ field: "daddr", is }, answers], "accept"),
    ruleOf(forwardChain, "end", [{ field: "saddr", is }], "accept"),
  ];
}

/** The way from the hook to them, an operator's rules first. */
const wayRules = (adminChain: string): ChainRule[] => [
  ruleOf("FORWARD", "top", [], { jump: forwardChain }, "CNI firewall plugin rules"),
  ruleOf(forwardChain, "top", [], { jump: adminChain }, "CNI firewall plugin admin overrides"),
];

/** What the comments of the policies' rules begin with. */
export const policyComment = "CNI firewall plugin rules (ingressPolicy: ";
export const policyText = (policy: Isolation["policy"] | "same-bridge|isolated"): string =>
  `${policyComment}${policy})`;

/** Keeps bridges apart: what leaves one of them must not enter another, or, isolated, come back into the same. */
function isolationRules({ bridge, policy }: Isolation): ChainRule[] {
  const [first, second] = stages;
  const own = policyText(policy);
  const shared = policyText("same-bridge|isolated");
  const from: Match = { field: "iifname", is: bridge };
  const to: Match = { field: "oifname", is: bridge };
  return [
    ruleOf("FORWARD", "top", [], { jump: first }, shared),
    ruleOf(first, "top", [from, { ...to, not: true }], { jump: second }, own),
    ...(policy === "isolated" ? [ruleOf(first, "top", [from, to], "drop", own)] : []),
    ruleOf(first, "end", [], "return", shared),
    ruleOf(second, "top", [to], "drop", shared),
    ruleOf(second, "end", [], "return", shared),
  ];
}

/** All that an attachment needs in the family of these addresses. */
export const wantedRules = ({ adminChain, isolation }: Wish, addresses: readonly Ip[]): WantedRules => ({
  chains: [forwardChain, adminChain, ...(isolation === undefined ? [] : stages)],
  rules: [
    ...wayRules(adminChain),
    ...addresses.flatMap(acceptRules),
    ...(isolation === undefined ? [] : isolationRules(isolation)),
  ],
});
