// iptables' filter table where it is one of nf_tables: the same chains and rules, in iptables' own form, in one transaction.
import { changesFor, type ReadRules } from "../../lib/firewall/apply.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";
import { chainRef, type Plan, type PlannedChain } from "../../lib/firewall/plan.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import type { Host } from "../../lib/host/host.ts";
import { ipBytes, type Family, type Ip } from "../../lib/ip/ip.ts";
import type { Base } from "../../lib/netlink/nft/chain.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf, phraseText, type Phrase } from "../../lib/netlink/nft/phrase.ts";
import { delRule, type KernelRule } from "../../lib/netlink/nft/rule.ts";
import { includesBytes } from "../../lib/netlink/wire/bytes.ts";
import { acceptRules, forwardChain, type ChainRule, type WantedRules } from "./iptables-rules.ts";

/** As iptables hangs it: NF_IP_PRI_FILTER. */
const forwardBase: Base = { type: "filter", hook: "forward", priority: 0, policy: "accept" };

const tableOf = (family: Family) => ({ family: family === 4 ? "ip" : "ip6", table: "filter" }) as const;

/** Each rule by itself, since each has a place of its own. */
function planOf(family: Family, { chains, rules }: WantedRules): Plan {
  const made = chains.map((chain): PlannedChain => ({ chain, rules: [] }));
  const placed = rules.map(
    ({ chain, rule, at }): PlannedChain => ({
      chain,
      rules: [rule],
      first: at === "top",
      ...(chain === "FORWARD" ? { base: forwardBase } : {}),
    }),
  );
  return { ...tableOf(family), chains: [...made, ...placed] };
}

/** What a rule's message has in it somewhere: its comment or its address. */
const traceOf = ({ rule: { comment, match } }: ChainRule): Uint8Array => {
  if (comment !== undefined) return utf8Bytes(comment);
  const address = match.find((each) => each.field === "saddr" || each.field === "daddr");
  return address?.field === "saddr" || address?.field === "daddr" ? ipBytes(address.is.ip) : new Uint8Array();
};

/** Makes what is missing, and nothing twice; false where this kernel has no nf_tables. */
export const ensureInNft = (host: Host, family: Family, wanted: WantedRules): boolean =>
  withNft(host, (nft) => {
    const plan = planOf(family, wanted);
    const traces = wanted.rules.map(traceOf);
    nft.update(() => {
      // A chain of which several rules are wanted is read once; of a thousand others none is.
      const read = new Map<string, readonly KernelRule[]>();
      const readOnce: ReadRules = (ref) => {
        const seen =
          read.get(ref.chain) ?? nft.rule.list(ref, (payload) => traces.some((trace) => includesBytes(payload, trace)));
        read.set(ref.chain, seen);
        return seen;
      };
      return changesFor(nft, plan, readOnce);
    });
  });

/** Takes away the rules that let addresses pass. */
export const removeInNft = (host: Host, family: Family, addresses: readonly Ip[]): boolean =>
  withNft(host, (nft) => {
    const ref = chainRef(tableOf(family), forwardChain);
    const rules = addresses.flatMap(acceptRules);
    const traces = rules.map(traceOf);
    const texts = new Set(rules.map(({ rule }) => textOf(rule)));
    nft.update(() =>
      nft.rule
        .list(ref, (payload) => traces.some((trace) => includesBytes(payload, trace)))
        .filter(({ exprs }) => texts.has(textOf(phraseOf(exprs))))
        .map(({ handle }) => delRule(ref, handle)),
    );
  });

const textOf = (rule: (Phrase & { readonly comment?: string | undefined }) | undefined): string =>
  rule === undefined || rule.comment !== undefined ? "" : phraseText(rule);

function withNft(host: Host, body: (nft: NftSocket) => void): boolean {
  const nft = openNftIfThere(host);
  if (nft === undefined) return false;
  try {
    body(nft);
    return true;
  } finally {
    nft.close();
  }
}
