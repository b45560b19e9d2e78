// Masquerade rules of a network whose owners are gone: found by their comments, which name the network.
import type { Host } from "../../host/host.ts";
import type { Family } from "../../ip/ip.ts";
import { delChain } from "../../netlink/nft/chain.ts";
import { targetOf } from "../../netlink/nft/expr.ts";
import type { NftSocket } from "../../netlink/nft/open.ts";
import { delRule, userdataOf } from "../../netlink/nft/rule.ts";
import { commentTest } from "../../netlink/nft/userdata.ts";
import { commentOf } from "../../netlink/nft/xt.ts";
import type { Request } from "../../netlink/wire/conversation.ts";
import { findLegacyIptables, isLegacyLoaded } from "../iptables/find.ts";
import { restore } from "../iptables/restore.ts";
import { chainRemoval, optionOf, saveTable } from "../iptables/save.ts";
import { chainRef } from "../plan.ts";
import { chainOf, isChainName, networkComment, networkHash, ownerHash, type Owner } from "./names.ts";
import { natChain, natTable, nftChain, nftTable } from "./plans.ts";

const families: readonly Family[] = [4, 6];

/** The changes that take a network's rules out of nf_tables, but for those of its valid attachments. */
export function staleMasquerade(host: Host, nft: NftSocket, network: string, valid: readonly Owner[]): Request[] {
  const kept = valid.map((owner) => commentTest({ begins: ownerHash(host, owner) }));
  const ofNetwork = commentTest({ begins: networkHash(host, network) });
  const checks = chainRef(nftTable, nftChain);
  const isStale = (userdata: Uint8Array | undefined) => ofNetwork(userdata) && !kept.some((test) => test(userdata));
  return [
    ...nft.rule.list(checks, (payload) => isStale(userdataOf(payload))).map(({ handle }) => delRule(checks, handle)),
    ...families.flatMap((family) => staleChains(host, nft, family, network, valid)),
  ];
}

function staleChains(host: Host, nft: NftSocket, family: Family, network: string, valid: readonly Owner[]): Request[] {
  const table = natTable(family);
  if (nft.table.get(table) === undefined) return [];
  const kept = new Set(valid.map((owner) => chainOf(host, owner)));
  const mark = networkComment(network);
  const stale = nft.chain
    .list(table)
    .filter(({ chain }) => isChainName(chain) && !kept.has(chain))
    .filter((ref) => nft.rule.list(ref).some((rule) => commentOf(rule)?.startsWith(mark)));
  if (stale.length === 0) return [];
  const names = new Set(stale.map(({ chain }) => chain));
  const base = chainRef(table, natChain);
  const jumps = nft.rule.list(base).filter(({ exprs }) => names.has(targetOf(exprs) ?? ""));
  return [...jumps.map(({ handle }) => delRule(base, handle)), ...stale.map(delChain)];
}

/** The same in the older tables, where they are in use. Throws a FirewallError. */
export function removeStaleLegacy(host: Host, network: string, valid: readonly Owner[]): void {
  const kept = new Set(valid.map((owner) => chainOf(host, owner)));
  const mark = networkComment(network);
  for (const family of families) {
    const tool = isLegacyLoaded(host, family, "nat") ? findLegacyIptables(host, family) : undefined;
    if (tool === undefined) continue;
    const there = saveTable(host, tool, "nat");
    const ofNetwork = there.rules.filter((rule) => optionOf(rule, "--comment")?.startsWith(mark));
    const stale = new Set(ofNetwork.map((rule) => optionOf(rule, "-A") ?? ""));
    const chains = [...stale].filter((chain) => isChainName(chain) && !kept.has(chain));
    restore(host, tool, { nat: chains.flatMap((chain) => chainRemoval(there, chain)) });
  }
}
