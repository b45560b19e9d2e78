// Masquerading for the addresses of an attachment: made in the backend that is asked for, and taken away from wherever it
// may be. Whichever of nftables and iptables a node uses by now, and whoever made the rules, their names lead to them.
import { FirewallError } from "../error.ts";
import type { Host } from "../../host/host.ts";
import type { Family } from "../../ip/ip.ts";
import type { Prefix } from "../../ip/prefix.ts";
import { compare } from "../apply.ts";
import { automaticBackend, openNftIfThere, type Backend } from "../backend.ts";
import { compareByIptables, ensureByIptables } from "../iptables/ensure.ts";
import { findLegacyIptables, isLegacyLoaded, type Iptables } from "../iptables/find.ts";
import { restore } from "../iptables/restore.ts";
import { needIptables } from "../iptables/run.ts";
import { chainRemoval, saveTable } from "../iptables/save.ts";
import type { Plan, Removal } from "../plan.ts";
import { chainOf, ownerHash, type Owner } from "./names.ts";
import { iptablesPlan, natChain, natTable, nftablesPlan, nftChain, nftTable } from "./plans.ts";

const families: readonly Family[] = [4, 6];

/** What masquerading consists of on this node. */
export interface Masquerade {
  /** In nf_tables, for a transaction of the caller's. */
  readonly plans: readonly Plan[];
  /** What has to go by way of iptables. */
  readonly byIptables: readonly { readonly tool: Iptables; readonly plan: Plan }[];
}

/** Plans it. Throws a FirewallError where there is no iptables for the family of an address. */
export function planMasquerade(host: Host, backend: Backend, owner: Owner, addresses: readonly Prefix[]): Masquerade {
  if (backend === "nftables") return { plans: [nftablesPlan(host, owner, addresses)], byIptables: [] };
  const parts = families
    .map((family) => ({ family, own: addresses.filter(({ ip }) => ip.family === family) }))
    .filter(({ own }) => own.length > 0)
    .map(({ family, own }) => ({ tool: needIptables(host, family), plan: iptablesPlan(host, owner, family, own) }));
  return {
    plans: parts.flatMap(({ tool, plan }) => (tool.variant === "nft" ? [plan] : [])),
    byIptables: parts.filter(({ tool }) => tool.variant !== "nft"),
  };
}

/** Makes what goes by way of iptables. Throws a FirewallError. */
export function ensureLegacy(host: Host, { byIptables }: Masquerade): void {
  for (const { tool, plan } of byIptables) ensureByIptables(host, tool, plan);
}

/** What is missing of it, a line each; none where either backend has all. */
export function compareMasquerade(
  host: Host,
  backend: Backend | undefined,
  owner: Owner,
  addresses: readonly Prefix[],
): string[] {
  const chosen = backend ?? automaticBackend(host);
  const other = chosen === "iptables" ? "nftables" : "iptables";
  const missing = missingIn(host, chosen, owner, addresses);
  // Made by an ADD of then, when the other was asked for: it works all the same.
  return missing.length === 0 || missingIn(host, other, owner, addresses).length === 0 ? [] : missing;
}

function missingIn(host: Host, backend: Backend, owner: Owner, addresses: readonly Prefix[]): string[] {
  let planned: Masquerade;
  try {
    planned = planMasquerade(host, backend, owner, addresses);
  } catch (error) {
    if (error instanceof FirewallError) return [error.message];
    throw error;
  }
  const nft = planned.plans.length === 0 ? undefined : openNftIfThere(host);
  try {
    return [
      ...(nft === undefined ? planned.plans.map(({ family, table }) => `${family} ${table}: no nf_tables`) : []),
      ...(nft === undefined ? [] : compare(nft, ...planned.plans)),
      ...planned.byIptables.flatMap(({ tool, plan }) => compareByIptables(host, tool, plan)),
    ];
  } finally {
    nft?.close();
  }
}

/** What of nf_tables is an owner's, of either backend. */
export function masqueradeRemovals(host: Pick<Host, "sha512">, owner: Owner): Removal[] {
  const chain = chainOf(host, owner);
  return [
    { ...nftTable, rules: [{ chain: nftChain, owns: { begins: ownerHash(host, owner) } }] },
    ...families.map((family) => ({
      ...natTable(family),
      rules: [{ chain: natChain, to: chain }],
      chains: [chain],
    })),
  ];
}

/** Takes an owner's chain out of the older tables, where they are in use. Throws a FirewallError. */
export function removeLegacy(host: Host, owner: Owner): void {
  const chain = chainOf(host, owner);
  for (const family of families) {
    const tool = isLegacyLoaded(host, family, "nat") ? findLegacyIptables(host, family) : undefined;
    if (tool !== undefined) restore(host, tool, { nat: chainRemoval(saveTable(host, tool, "nat"), chain) });
  }
}
