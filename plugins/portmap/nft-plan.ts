// What the nftables backend has in one family, as data: the shared way from the hooks to the mappings, and the rules of one
// attachment. Chains, order and wording are the Go plugin's, which finds and deletes rules of ours by their comment.
//
// One thing is ours: conditions stand in the rules of the mappings they are for. The Go plugin puts them in the shared
// chains, where those of the network that came last are for all.
import type { Plan } from "../../lib/firewall/plan.ts";
import { bitsOf, parseIp, type Family, type Ip } from "../../lib/ip/ip.ts";
import { defaultRoute, type Prefix } from "../../lib/ip/prefix.ts";
import type { Base, Hook } from "../../lib/netlink/nft/chain.ts";
import type { Match } from "../../lib/netlink/nft/match.ts";
import type { TableRef } from "../../lib/netlink/nft/message.ts";
import type { Rule } from "../../lib/netlink/nft/phrase.ts";
import { mappingsFor, type Mapping } from "./mapping.ts";
import { nftTable, nftTableComment, rulesOf } from "./names.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import type { IsOwn } from "./own.ts";

export const hostports = "hostports";
/** Where the Go plugin once had mappings of one host address; kept empty for it. */
export const hostipHostports = "hostip_hostports";
export const masquerading = "masquerading";
export const prerouting = "prerouting";
const all = "hostports_all";

export const tableOf = (family: Family): TableRef => ({ family: family === 4 ? "ip" : "ip6", table: nftTable });

export interface NftWish {
  readonly attachment: Attachment;
  readonly isOwn: IsOwn;
  /** The mark of its rules. */
  readonly mark: string;
  readonly address: Ip;
  readonly mappings: readonly Mapping[];
  readonly snat: boolean;
  readonly masqAll: boolean;
  /** The alternatives a packet must meet one of: matches of a rule each. */
  readonly conditions: readonly (readonly Match[])[];
  /** Where they stand; in the shared entries alone is the Go plugin's way. */
  readonly conditionsIn: "mappings" | "entries" | "both";
}

const natBase = (hook: Hook, priority: number): Base => ({ type: "nat", hook, priority, policy: "accept" });
const one = (ip: Ip): Prefix => ({ ip, length: bitsOf(ip.family) });
const localhost = parseIp("127.0.0.1") as Ip;

/** The rule that leads packets to the node's own addresses to the mappings. */
export const entry = (conditions: readonly Match[]): Rule => ({
  match: [...conditions, { field: "fibDaddrType", is: "local" }],
  verdict: { jump: all },
});

/** Everything an attachment needs in the family of its address. */
export function nftPlan(wish: NftWish): Plan {
  const { attachment, isOwn, snat, conditions, conditionsIn } = wish;
  const entries = conditionsIn === "mappings" ? [entry([])] : conditions.map(entry);
  const owns = rulesOf(attachment, isOwn);
  return {
    ...tableOf(wish.address.family),
    comment: nftTableComment,
    chains: [
      { chain: hostports, rules: mappingRules(wish), owns },
      { chain: hostipHostports, rules: [] },
      {
        chain: all,
        rules: [hostipHostports, hostports].map((chain): Rule => ({ match: [], verdict: { jump: chain } })),
      },
      { chain: prerouting, base: natBase("prerouting", -100), rules: entries },
      { chain: "output", base: natBase("output", -100), rules: entries },
      ...(snat ? [{ chain: masquerading, base: natBase("postrouting", 100), rules: masqueradeRules(wish), owns }] : []),
    ],
  };
}

function mappingRules({ attachment, mark, address, mappings, conditions, conditionsIn }: NftWish): Rule[] {
  const alternatives = conditionsIn === "entries" ? [[]] : conditions;
  return mappingsFor(address.family, mappings).flatMap(({ protocol, hostPort, containerPort, hostIp }) =>
    alternatives.map(
      (condition): Rule => ({
        match: [
          ...condition,
          ...(hostIp === undefined ? [] : [{ field: "daddr", is: one(hostIp) } as const]),
          { field: "dport", is: { protocol, port: hostPort } },
        ],
        verdict: { dnat: { ip: address, port: containerPort } },
        comment: attachment.containerId,
        mark,
      }),
    ),
  );
}

/** What would be answered past us: the container's calls to itself, and those of the node by 127.0.0.1. */
function masqueradeRules({ attachment, mark, address, masqAll }: NftWish): Rule[] {
  const { family } = address;
  const sources = masqAll ? [defaultRoute(family)] : family === 4 ? [one(address), one(localhost)] : [one(address)];
  return sources.map((source) => ({
    match: [
      { field: "saddr", is: source },
      { field: "daddr", is: one(address) },
    ],
    verdict: "masquerade",
    comment: attachment.containerId,
    mark,
  }));
}
