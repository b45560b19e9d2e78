// Taking rules away, out of both backends at once, since a configuration may have changed: those of addresses, and those of
// policies for bridges that are gone. All that nf_tables has of them goes in one transaction, so that the kernel waits once.
import { Faults } from "../../lib/cni/faults.ts";
import { removeStale } from "../../lib/cni/stale-file.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";
import { chainRef } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Ip } from "../../lib/ip/ip.ts";
import { removeByIptables } from "./iptables.ts";
import { acceptsAway, filterTable } from "./iptables-nft.ts";
import { forwardChain, stages } from "./iptables-rules.ts";
import { isolationsAway, withLinks, type IsGone } from "./isolation.ts";
import { elementsAway, nftForward, nftTable } from "./nft.ts";
import { forget } from "./records.ts";
import { families } from "./wish.ts";

const tables = [...families.map(filterTable), nftTable];

/** Chains by which packets come to rules of ours: where there is none of them, there is nothing at all. */
const ways = [
  ...families.flatMap((family) => [forwardChain, stages[0]].map((chain) => chainRef(filterTable(family), chain))),
  chainRef(nftTable, nftForward),
];

/**
 * Removes the rules of these addresses, then what is noted of them. Throws a CniError where something may still be there;
 * then it stays noted.
 */
export function removeAddresses(host: Host, addresses: readonly Ip[]): void {
  const faults = new Faults(host);
  withLinks(host, (isGone) => {
    faults.attempt(() => removeInKernel(host, addresses, isGone));
    for (const family of families) faults.attempt(() => removeByIptables(host, family, addresses, isGone));
  });
  faults.end();
  for (const ip of addresses) removeStale("firewall", host, () => forget(host, ip));
}

function removeInKernel(host: Host, addresses: readonly Ip[], isGone: IsGone): void {
  const nft = openNftIfThere(host);
  try {
    if (nft?.chain.getAll(ways).every((chain) => chain === undefined) !== false) return;
    nft.update(() => [
      ...families.flatMap((family) => acceptsAway(nft, family, addresses)),
      ...elementsAway(nft, addresses),
      ...tables.flatMap((table) => isolationsAway(nft, table, isGone)),
    ]);
  } finally {
    nft?.close();
  }
}
