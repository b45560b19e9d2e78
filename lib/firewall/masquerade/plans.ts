// Masquerading as data: what leaves an address for anywhere but its own subnet, and is no multicast, goes out under the
// node's address. The same in nftables and in iptables, each as the Go plugins write it.
import type { Host } from "../../host/host.ts";
import type { Family } from "../../ip/ip.ts";
import { bitsOf } from "../../ip/ip.ts";
import { equalPrefixes, maskPrefix, type Prefix } from "../../ip/prefix.ts";
import type { Base } from "../../netlink/nft/chain.ts";
import type { Match } from "../../netlink/nft/match.ts";
import type { Rule } from "../../netlink/nft/phrase.ts";
import type { Plan, PlannedChain } from "../plan.ts";
import { chainOf, iptablesComment, nftablesComment, ownerHash, type Owner } from "./names.ts";

/** NF_IP_PRI_NAT_SRC */
const postrouting: Base = { type: "nat", hook: "postrouting", priority: 100, policy: "accept" };
/** 224.0.0.0/4 and ff00::/8 */
const multicast: Readonly<Record<Family, Prefix>> = {
  4: { ip: { family: 4, value: 0xe0000000n }, length: 4 },
  6: { ip: { family: 6, value: 0xffn << 120n }, length: 8 },
};

export const nftTable = { family: "inet", table: "cni_plugins_masquerade" } as const;
export const nftChain = "masq_checks";
export const natTable = (family: Family) => ({ family: family === 4 ? "ip" : "ip6", table: "nat" }) as const;
export const natChain = "POSTROUTING";

const from = ({ ip }: Prefix): Match => ({ field: "saddr", is: { ip, length: bitsOf(ip.family) } });
const to = (prefix: Prefix): Match => ({ field: "daddr", is: maskPrefix(prefix) });

export function nftablesPlan(host: Pick<Host, "sha512">, owner: Owner, addresses: readonly Prefix[]): Plan {
  const comment = nftablesComment(host, owner);
  return {
    ...nftTable,
    comment: "Masquerading for plugins from github.com/containernetworking/plugins",
    chains: [
      {
        chain: nftChain,
        comment: "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet",
        owns: { begins: ownerHash(host, owner) },
        rules: addresses.map((address) => ({
          match: [from(address), { ...to(address), not: true }],
          verdict: "masquerade",
          comment,
        })),
      },
      {
        chain: "postrouting",
        base: postrouting,
        rules: [
          { match: [to(multicast[4])], verdict: "return" },
          { match: [to(multicast[6])], verdict: "return" },
          { match: [], verdict: { goto: nftChain } },
        ],
      },
    ],
  };
}

/** Of the addresses of one family. */
export function iptablesPlan(
  host: Pick<Host, "sha512">,
  owner: Owner,
  family: Family,
  addresses: readonly Prefix[],
): Plan & { readonly chains: readonly PlannedChain[] } {
  const chain = chainOf(host, owner);
  const said = { comment: iptablesComment(owner), iptables: true };
  const masquerade: Rule = { match: [{ ...to(multicast[family]), not: true }], verdict: "masquerade", ...said };
  const accept = (address: Prefix): Rule => ({ match: [to(address)], verdict: "accept", ...said });
  const [first, ...others] = addresses.filter(
    (each, at) => addresses.findIndex((other) => equalPrefixes(maskPrefix(other), maskPrefix(each))) === at,
  );
  return {
    ...natTable(family),
    chains: [
      // In this order Go's plugin leaves them: what comes after the second is met by multicast alone.
      { chain, rules: [...(first === undefined ? [] : [accept(first)]), masquerade, ...others.map(accept)] },
      {
        chain: natChain,
        base: postrouting,
        rules: addresses.map((address) => ({ match: [from(address)], verdict: { jump: chain }, ...said })),
      },
    ],
  };
}
