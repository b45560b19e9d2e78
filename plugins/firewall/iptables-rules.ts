// The rules as the Go plugin writes them into iptables' filter table, in the order in which it does: it finds and deletes
// ours, and ours its own, by all of their words.
import { quoted } from "../../lib/firewall/iptables/restore.ts";
import { bitsOf, formatIp, type Ip } from "../../lib/ip/ip.ts";
import type { Isolation, Wish } from "./wish.ts";

export const forwardChain = "CNI-FORWARD";
export const stages = ["CNI-ISOLATION-STAGE-1", "CNI-ISOLATION-STAGE-2"] as const;

/** A rule without "-A" and its chain; one that is missing goes to the chain's top or to its end. */
export interface ChainRule {
  readonly chain: string;
  readonly text: string;
  readonly at: "top" | "end";
}

export interface WantedRules {
  readonly chains: readonly string[];
  readonly rules: readonly ChainRule[];
}

const commentWords = (comment: string): string => `-m comment --comment ${quoted(comment)}`;

/** Lets an address's packets pass: answers to it, and whatever it sends. */
export function acceptRules(ip: Ip): ChainRule[] {
  const prefix = `${formatIp(ip)}/${bitsOf(ip.family)}`;
  return [`-d ${prefix} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`, `-s ${prefix} -j ACCEPT`].map(
    (text) => ({
      chain: forwardChain,
      text,
      at: "end",
    }),
  );
}

/** The way from the hook to them, an operator's rules first. */
const wayRules = (adminChain: string): ChainRule[] => [
  { chain: "FORWARD", text: `${commentWords("CNI firewall plugin rules")} -j ${forwardChain}`, at: "top" },
  {
    chain: forwardChain,
    text: `${commentWords("CNI firewall plugin admin overrides")} -j ${adminChain}`,
    at: "top",
  },
];

/** Keeps bridges apart: what leaves one of them must not enter another, or, isolated, come back into the same. */
function isolationRules({ bridge, policy }: Isolation): ChainRule[] {
  const [first, second] = stages;
  const own = commentWords(`CNI firewall plugin rules (ingressPolicy: ${policy})`);
  const shared = commentWords("CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)");
  return [
    { chain: "FORWARD", text: `${shared} -j ${first}`, at: "top" },
    { chain: first, text: `-i ${bridge} ! -o ${bridge} ${own} -j ${second}`, at: "top" },
    ...(policy === "isolated"
      ? [{ chain: first, text: `-i ${bridge} -o ${bridge} ${own} -j DROP`, at: "top" } as const]
      : []),
    { chain: first, text: `${shared} -j RETURN`, at: "end" },
    { chain: second, text: `-o ${bridge} ${shared} -j DROP`, at: "top" },
    { chain: second, text: `${shared} -j RETURN`, at: "end" },
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
