// What the iptables backend has in one family's nat table, as data: the shared chains, and those rules of a container by
// which a packet comes from the entry to its chain, is marked where it has to be masqueraded, and gets its new destination.
// Chains, order and wording are the Go plugin's.
import type { PlannedChain, Plan } from "../../lib/firewall/plan.ts";
import { bitsOf, parseIp, type Ip } from "../../lib/ip/ip.ts";
import { maskPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import type { Base, Hook } from "../../lib/netlink/nft/chain.ts";
import type { Match, Transport } from "../../lib/netlink/nft/match.ts";
import type { Rule } from "../../lib/netlink/nft/phrase.ts";
import { maxMultiports } from "../../lib/netlink/nft/xt-match.ts";
import { mappingsFor, type Mapping } from "./mapping.ts";
import type { IsOwn } from "./own.ts";
import type { Shared } from "./shared.ts";
import { entryChain, masqueradeChain, natTable, setMarkChain } from "./names.ts";

export interface IptablesWish {
  /** The container's chain, and the comment of the rules that lead there. */
  readonly chain: string;
  readonly comment: string;
  readonly containerId: string;
  readonly isOthers: IsOwn;
  /** With the length of its subnet: all of that is masqueraded, as its answers would go past us. */
  readonly address: Prefix;
  readonly mappings: readonly Mapping[];
  readonly snat: boolean;
  readonly masqAll: boolean;
  /** One bit. */
  readonly mark: number;
  readonly externalSetMarkChain: string | undefined;
  /** Words of an iptables rule. */
  readonly conditions: readonly string[];
}

const base = (hook: Hook, priority: number): Base => ({ type: "nat", hook, priority, policy: "accept" });
const one = (ip: Ip): Prefix => ({ ip, length: bitsOf(ip.family) });
const rule = (match: readonly Match[], verdict: Rule["verdict"], comment?: string): Rule => ({
  match,
  verdict,
  comment,
  iptables: true,
});

/** Everything a container needs in the family of its address. */
export function iptablesPlan(wish: IptablesWish, shared?: Shared): Plan {
  const { chain, address, snat, externalSetMarkChain } = wish;
  const toEntry = [rule([{ field: "fibDaddrType", is: "local" }], { jump: entryChain })];
  return {
    ...natTable(address.ip.family),
    chains: [
      ...(snat && externalSetMarkChain === undefined ? masqueradeChains(wish) : []),
      { chain, rules: containerRules(wish), owns: "all", ...(shared && { keeps: shared.mappings }) },
      {
        chain: entryChain,
        rules: entryRules(wish),
        owns: { jumpsTo: chain },
        ...(shared && { keeps: shared.entries }),
      },
      { chain: "PREROUTING", base: base("prerouting", -100), rules: toEntry },
      { chain: "OUTPUT", base: base("output", -100), rules: toEntry },
    ],
  };
}

function masqueradeChains({ mark: value }: IptablesWish): PlannedChain[] {
  const mark = { value, mask: value };
  return [
    { chain: setMarkChain, rules: [rule([], { setMark: mark }, "CNI portfwd masquerade mark")] },
    { chain: masqueradeChain, rules: [rule([{ field: "mark", is: mark }], "masquerade")] },
    {
      chain: "POSTROUTING",
      base: base("postrouting", 100),
      // Before the rules of other plugins, which would accept these packets as they are.
      first: true,
      rules: [rule([], { jump: masqueradeChain }, "CNI portfwd requiring masquerade")],
    },
  ];
}

/** For each mapping: who has to be masqueraded, then where all go. */
function containerRules({ address, mappings, snat, masqAll, externalSetMarkChain }: IptablesWish): Rule[] {
  const { ip } = address;
  const marked: readonly (readonly Match[])[] = masqAll
    ? [[]]
    : [
        [{ field: "saddr", is: maskPrefix(address) }],
        ...(ip.family === 4 ? [[{ field: "saddr", is: one(parseIp("127.0.0.1") as Ip) } as const]] : []),
      ];
  const mark = { jump: externalSetMarkChain ?? setMarkChain };
  return mappingsFor(ip.family, mappings).flatMap(({ protocol, hostPort: port, containerPort, hostIp }) => {
    const reached: Match[] = [
      ...(hostIp === undefined ? [] : [{ field: "daddr", is: one(hostIp) } as const]),
      { field: "dport", is: { protocol, port } },
    ];
    return [
      ...(snat ? marked.map((from) => rule([...from, ...reached], mark)) : []),
      rule(reached, { dnat: { ip, port: containerPort } }),
    ];
  });
}

/** All mappings of a protocol, as many in a rule as fit: those of the other family, too. */
function entryRules({ chain, comment, mappings, conditions }: IptablesWish): Rule[] {
  const protocols = [...new Set(mappings.map(({ protocol }) => protocol))].sort();
  return protocols.flatMap((protocol: Transport) => {
    const ports = mappings.filter((each) => each.protocol === protocol).map(({ hostPort }) => hostPort);
    const rules: Rule[] = [];
    for (let at = 0; at < ports.length; at += maxMultiports) {
      const some = ports.slice(at, at + maxMultiports);
      const entry = rule([{ field: "dports", is: { protocol, ports: some } }], { jump: chain }, comment);
      rules.push(conditions.length === 0 ? entry : { ...entry, words: conditions });
    }
    return rules;
  });
}
