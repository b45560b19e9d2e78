// The nftables backend: a table of our own, in which each address that passes is an element of a set. What it lets pass, it
// lets pass as far as this table goes: a chain of another's that drops is another's to change.
import { CniError } from "../../lib/cni/error.ts";
import { changesFor, compare } from "../../lib/firewall/apply.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";
import { nftablesComment } from "../../lib/firewall/masquerade/names.ts";
import type { Plan, PlannedChain } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, formatIp, ipBytes, ipFromBytes, type Family, type Ip } from "../../lib/ip/ip.ts";
import { chainName, type Base, type Chain } from "../../lib/netlink/nft/chain.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import type { Rule } from "../../lib/netlink/nft/phrase.ts";
import { addElements, delElements, type SetRef } from "../../lib/netlink/nft/set.ts";
import { tableName } from "../../lib/netlink/nft/table.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import { policyText, stages } from "./iptables-rules.ts";
import { families, type Isolation, type Wish } from "./wish.ts";

export const nftTable = { family: "inet", table: "cni_firewall" } as const;
export const nftForward = "forward";
const setOf = (family: Family): SetRef => ({ ...nftTable, set: `pods${family}` });
/** NF_IP_PRI_FILTER */
const base: Base = { type: "filter", hook: "forward", priority: 0, policy: "accept" };

const jump = (chain: string): Rule => ({ match: [], verdict: { jump: chain } });

function accepts(family: Family): Rule[] {
  const is = { family, set: setOf(family).set };
  return [
    {
      match: [
        { field: "daddrIn", is },
        { field: "ctState", is: ["established", "related"] },
      ],
      verdict: "accept",
    },
    { match: [{ field: "saddrIn", is }], verdict: "accept" },
  ];
}

const planOf = ({ adminChain, isolation }: Wish): Plan => ({
  ...nftTable,
  comment: "CNI firewall plugin",
  sets: families.map((family) => ({ set: setOf(family).set, key: [family === 4 ? "ipv4_addr" : "ipv6_addr"] })),
  chains: [
    { chain: adminChain, rules: [] },
    ...(isolation === undefined ? [] : isolationChains(isolation)),
    {
      chain: nftForward,
      base,
      rules: [...(isolation === undefined ? [] : [jump(stages[0])]), jump(adminChain), ...families.flatMap(accepts)],
    },
  ],
});

/** As in iptables, but for the rules that only return. */
function isolationChains({ bridge, policy }: Isolation): PlannedChain[] {
  const [first, second] = stages;
  const from = { field: "iifname", is: bridge } as const;
  const to = { field: "oifname", is: bridge } as const;
  const comment = policyText(policy);
  const within: Rule = { match: [from, to], verdict: "drop", comment };
  const away: Rule = { match: [from, { ...to, not: true }], verdict: { jump: second }, comment };
  return [
    { chain: first, rules: policy === "isolated" ? [within, away] : [away] },
    { chain: second, rules: [{ match: [to], verdict: "drop", comment: policyText("same-bridge|isolated") }] },
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

/** Makes what is missing, and tells of chains of others that drop what it accepts. */
export const ensureByNft = (host: Host, wish: Wish): void =>
  withNft(host, (nft) => {
    const comment = nftablesComment(host, wish.owner);
    nft.update(() => [...changesFor(nft, planOf(wish)), ...elementChanges(nft, wish.addresses, comment)]);
    tellOfDropping(host, nft);
  });

/** Logs the chains of others that drop what ours accepts and they do not. */
export function tellOfDropping(host: Host, nft: NftSocket): void {
  for (const chain of droppingElsewhere(nft))
    host.log(
      `firewall: what nft chain ${chainName(chain)} does not accept it drops, whatever ${tableName(nftTable)} accepts`,
    );
}

/**
 * The chains of others that drop every packet of these addresses. Of one with rules nobody can tell what they make of
 * it; one without any accepts nothing.
 */
export const closedByOthers = (host: Host, addresses: readonly Ip[]): string[] =>
  withNft(host, (nft) => {
    const seen = new Set(["inet", ...addresses.map(({ family }) => (family === 4 ? "ip" : "ip6"))]);
    return droppingElsewhere(nft)
      .filter((chain) => seen.has(chain.family) && nft.rule.list(chain).length === 0)
      .map(chainName);
  });

/** Adds addresses to their sets; one that has another's comment gets ours. */
function elementChanges(nft: NftSocket, addresses: readonly Ip[], comment: string): Request[] {
  return families.flatMap((family) => {
    const own = addresses.filter((ip) => ip.family === family);
    if (own.length === 0) return [];
    const there = elementsIn(nft, family);
    const found = (ip: Ip) => there.find((each) => equalIps(each.ip, ip));
    const lacking = own.filter((ip) => found(ip)?.comment !== comment);
    return [
      ...deletions(
        family,
        lacking.filter((ip) => found(ip) !== undefined),
      ),
      ...(lacking.length === 0
        ? []
        : [
            addElements(
              setOf(family),
              lacking.map((ip) => ({ key: ipBytes(ip), comment })),
            ),
          ]),
    ];
  });
}

const elementsIn = (nft: NftSocket, family: Family): { readonly ip: Ip; readonly comment: string | undefined }[] =>
  nft.set.elements(setOf(family)).flatMap(({ key, comment }) => {
    const ip = ipFromBytes(key);
    return ip === undefined ? [] : { ip, comment };
  });

const deletions = (family: Family, addresses: readonly Ip[]): Request[] =>
  addresses.length === 0 ? [] : [delElements(setOf(family), addresses.map(ipBytes))];

/** What is missing, a line each. */
export const compareByNft = (host: Host, wish: Wish): string[] =>
  withNft(host, (nft) => [
    ...compare(nft, planOf(wish)),
    ...families.flatMap((family) => {
      const there = elementsIn(nft, family);
      return wish.addresses
        .filter((ip) => ip.family === family && !there.some((each) => equalIps(each.ip, ip)))
        .map((ip) => `${tableName(nftTable)} ${setOf(family).set}: ${formatIp(ip)}`);
    }),
  ]);

/** What takes addresses out of their sets, as far as they are in them. */
export const elementsAway = (nft: NftSocket, addresses: readonly Ip[]): Request[] =>
  families.flatMap((family) => {
    const own = addresses.filter((ip) => ip.family === family);
    const there = own.length === 0 ? [] : elementsIn(nft, family);
    return deletions(
      family,
      own.filter((ip) => there.some((each) => equalIps(each.ip, ip))),
    );
  });

function droppingElsewhere(nft: NftSocket): Chain[] {
  const tables = nft.table.list().filter((table) => tableName(table) !== tableName(nftTable));
  return tables
    .flatMap((table) => nft.chain.list(table))
    .filter(({ base }) => base?.hook === "forward" && base.policy === "drop");
}
