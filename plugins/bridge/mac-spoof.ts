// macspoofchk: frames that come in by an attachment's port with another source address than the container's are dropped.
// Rules as the Go plugin makes them, in a table that others use as well; names derive from the attachment alone.
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { shortened } from "../../lib/firewall/masquerade/names.ts";
import { chainRef, type Plan, type Removal } from "../../lib/firewall/plan.ts";
import type { Mac } from "../../lib/ip/mac.ts";
import { delChain, maxChainNameBytes } from "../../lib/netlink/nft/chain.ts";
import { targetOf } from "../../lib/netlink/nft/expr.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf } from "../../lib/netlink/nft/phrase.ts";
import { delRule, userdataOf, type KernelRule } from "../../lib/netlink/nft/rule.ts";
import { commentTest } from "../../lib/netlink/nft/userdata.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";

const table = { family: "bridge", table: "nat" } as const;
const base = "PREROUTING";
const chainPrefix = "cni-br-iface-";
const commentPrefix = "macspoofchk-";

const ownerOf = ({ containerId, ifName }: Attachment): string => `${containerId}-${ifName}`;
const chainsOf = (owner: string) => ({ port: `${chainPrefix}${owner}`, mac: `${chainPrefix}${owner}-mac` });
const commentFor = (attachment: Attachment): string => shortened(commentPrefix + ownerOf(attachment));

/** Whether there can be such a chain: ids and names of links are ASCII. */
const isPossible = (chain: string): boolean => chain.length <= maxChainNameBytes;

/** What keeps a port to one source address. Throws a CniError (4) where the names of its chains would be too long. */
export function macSpoofPlan(attachment: Attachment, port: string, mac: Mac): Plan {
  const comment = commentFor(attachment);
  const chains = chainsOf(ownerOf(attachment));
  if (!isPossible(chains.mac)) throw tooLong(attachment, chains.mac);
  return {
    ...table,
    chains: [
      {
        chain: base,
        // NF_BR_PRI_NAT_DST_BRIDGED
        base: { type: "filter", hook: "prerouting", priority: -300, policy: "accept" },
        rules: [{ match: [{ field: "iifname", is: port }], verdict: { jump: chains.port }, comment }],
      },
      { chain: chains.port, owns: { is: comment }, rules: [{ match: [], verdict: { jump: chains.mac }, comment }] },
      {
        chain: chains.mac,
        owns: { is: comment },
        rules: [
          { match: [{ field: "etherSaddr", is: mac }], verdict: "return", comment },
          { match: [], verdict: "drop", comment },
        ],
      },
    ],
  };
}

function tooLong({ containerId }: Attachment, chain: string): CniError {
  const room = maxChainNameBytes - chain.length + containerId.length;
  return new CniError(
    "invalidEnvironment",
    `CNI_CONTAINERID of ${containerId.length} characters: the chains of macspoofchk have room for ${room}`,
    { details: containerId, hint: 'use shorter ids, or set "macspoofchk" to false' },
  );
}

/**
 * What of it is an attachment's, whatever port it had. The comment of the jump does not tell: there may be no room in it
 * for the link.
 */
export function macSpoofRemoval(attachment: Attachment): Removal {
  const { port, mac } = chainsOf(ownerOf(attachment));
  return { ...table, rules: [{ chain: base, to: port }], chains: [port, mac].filter(isPossible) };
}

/**
 * The changes that take away what no valid attachment needs. Nothing of it names a network: only what is for a port that
 * is no more is known to be nobody's.
 */
export function staleMacSpoof(nft: NftSocket, valid: readonly Attachment[], links: ReadonlySet<string>): Request[] {
  const ref = chainRef(table, base);
  const kept = new Set(valid.map((attachment) => chainsOf(ownerOf(attachment)).port));
  const ours = commentTest({ begins: commentPrefix });
  const stale = nft.rule
    .list(ref, (payload) => ours(userdataOf(payload)))
    .map((rule) => ({ handle: rule.handle, chain: targetOf(rule.exprs) ?? "", port: portOf(rule) }))
    .filter(
      ({ chain, port }) => chain.startsWith(chainPrefix) && port !== undefined && !kept.has(chain) && !links.has(port),
    );
  const chains = [...new Set(stale.map(({ chain }) => chain))]
    .flatMap((chain) => [chain, `${chain}-mac`])
    .filter(isPossible)
    .map((chain) => chainRef(table, chain))
    .filter((each) => nft.chain.get(each) !== undefined);
  return [...stale.map(({ handle }) => delRule(ref, handle)), ...chains.map(delChain)];
}

function portOf(rule: KernelRule): string | undefined {
  const [first] = phraseOf(rule)?.match ?? [];
  return first?.field === "iifname" && first.not !== true ? first.is : undefined;
}
