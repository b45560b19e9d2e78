// The nftables backend: a table of our own, in which each rule says whose it is. What it lets pass, it lets pass as far as
// this table goes: a chain of another's that drops is another's to change.
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { compare, ensure, remove } from "../../lib/firewall/apply.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";
import { networkHash, nftablesComment, ownerHash } from "../../lib/firewall/masquerade/names.ts";
import { chainRef, type Plan, type PlannedChain } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import { bitsOf, type Ip } from "../../lib/ip/ip.ts";
import type { Prefix } from "../../lib/ip/prefix.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import type { Rule } from "../../lib/netlink/nft/phrase.ts";
import { delRule, userdataOf } from "../../lib/netlink/nft/rule.ts";
import { commentTest } from "../../lib/netlink/nft/userdata.ts";
import type { Isolation, Owner, Wish } from "./wish.ts";

const table = { family: "inet", table: "cni_firewall" } as const;
const pods = "pods";
const stages = ["isolation_stage_1", "isolation_stage_2"] as const;
/** NF_IP_PRI_FILTER */
const filterPriority = 0;

const one = (ip: Ip): Prefix => ({ ip, length: bitsOf(ip.family) });
const jump = (chain: string): Rule => ({ match: [], verdict: { jump: chain } });

function planOf(host: Host, { owner, addresses, adminChain, isolation }: Wish): Plan {
  const comment = nftablesComment(host, owner);
  const accept = (ip: Ip): Rule[] => [
    {
      match: [
        { field: "daddr", is: one(ip) },
        { field: "ctState", is: ["established", "related"] },
      ],
      verdict: "accept",
      comment,
    },
    { match: [{ field: "saddr", is: one(ip) }], verdict: "accept", comment },
  ];
  return {
    ...table,
    comment: "CNI firewall plugin",
    chains: [
      { chain: pods, rules: addresses.flatMap(accept), owns: { begins: ownerHash(host, owner) } },
      { chain: adminChain, rules: [] },
      ...(isolation === undefined ? [] : isolationChains(isolation)),
      {
        chain: "forward",
        base: { type: "filter", hook: "forward", priority: filterPriority, policy: "accept" },
        rules: [...(isolation === undefined ? [] : [jump(stages[0])]), jump(adminChain), jump(pods)],
      },
    ],
  };
}

function isolationChains({ bridge, policy }: Isolation): PlannedChain[] {
  const [first, second] = stages;
  const out = (not: boolean) => ({ field: "oifname", is: bridge, not }) as const;
  const from = { field: "iifname", is: bridge } as const;
  return [
    {
      chain: first,
      rules: [
        ...(policy === "isolated"
          ? [{ match: [from, { field: "oifname", is: bridge }], verdict: "drop" } as const]
          : []),
        { match: [from, out(true)], verdict: { jump: second } },
      ],
    },
    { chain: second, rules: [{ match: [{ field: "oifname", is: bridge }], verdict: "drop" }] },
  ];
}

function withNft<T>(host: Host, body: (nft: NftSocket) => T): T {
  const nft = openNftIfThere(host);
  if (nft === undefined)
    throw new CniError("internal", "this kernel has no nf_tables", {
      hint: 'load the module nf_tables, or set "backend" to iptables with an iptables of the older kind',
    });
  try {
    return body(nft);
  } finally {
    nft.close();
  }
}

export const ensureByNft = (host: Host, wish: Wish): void =>
  withNft(host, (nft) => void ensure(nft, planOf(host, wish)));

/** What is missing, a line each. */
export const compareByNft = (host: Host, wish: Wish): string[] =>
  withNft(host, (nft) => compare(nft, planOf(host, wish)));

function ifThere(host: Host, body: (nft: NftSocket) => void): void {
  const nft = openNftIfThere(host);
  try {
    if (nft !== undefined) body(nft);
  } finally {
    nft?.close();
  }
}

/** Takes away an owner's rules, by their comment alone. */
export const removeByNft = (host: Host, owner: Owner): void =>
  ifThere(host, (nft) => {
    remove(nft, { ...table, rules: [{ chain: pods, owns: { begins: ownerHash(host, owner) } }] });
  });

/** Takes away the rules of a network's attachments that are not valid. */
export function removeStaleByNft(host: Host, network: string, valid: readonly Attachment[]): void {
  const ofNetwork = commentTest({ begins: networkHash(host, network) });
  const kept = valid.map((attachment) => commentTest({ begins: ownerHash(host, { network, ...attachment }) }));
  const ref = chainRef(table, pods);
  ifThere(host, (nft) => {
    nft.update(() =>
      nft.rule
        .list(ref, (payload) => {
          const userdata = userdataOf(payload);
          return ofNetwork(userdata) && !kept.some((test) => test(userdata));
        })
        .map(({ handle }) => delRule(ref, handle)),
    );
  });
}

/** Whether firewalld keeps this node's rules: it has a table of its name. */
export function isFirewalldThere(host: Host): boolean {
  let there = false;
  ifThere(host, (nft) => {
    there = nft.table.get({ family: "inet", table: "firewalld" }) !== undefined;
  });
  return there;
}
