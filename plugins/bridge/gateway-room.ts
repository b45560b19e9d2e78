// Whether a gateway's address may stand beside another one of the link, or takes its place. Pods lose their gateway where
// this is wrong, so an address is only taken away when it is this network's own or the configuration says to, and never
// while a container on the bridge has an address of its subnet.
import { CniError } from "../../lib/cni/error.ts";
import { containsIp, formatPrefix, maskPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { overlap } from "./desired.ts";
import { isRecorded } from "./gateway-record.ts";

/** What the decision needs to know of this ADD. */
export interface Claim {
  readonly network: string;
  readonly forceAddress: boolean;
  /** The subnets of the network as it is configured now; none where the configuration does not say. */
  readonly subnets: readonly Prefix[];
  readonly bridgeIfIndex: number;
  /** Ports that come with this call: their addresses are the new ones. */
  readonly ownPorts: readonly number[];
}

/**
 * Whether `other`, an address of the link that this ADD has no use for, must go before `wanted` comes. Throws where it
 * must and may not.
 */
export function mustGo(node: RouteSocket, link: Link, other: Prefix, wanted: Prefix, claim: Claim): boolean {
  const { network, forceAddress, subnets } = claim;
  if (other.ip.family !== wanted.ip.family) return false;
  const inTheWay = overlap(other, wanted);
  const outside = subnets.length > 0 && !subnets.some((subnet) => overlap(subnet, other));
  // Left from before the network's subnet changed. One of its other ranges may stay, and so may another network's.
  const outdated = isRecorded(link.alias, network, other) && (inTheWay || outside);
  const forced = forceAddress && (inTheWay || wanted.ip.family === 4);
  if (!inTheWay && !outdated && !forced) return false;
  if (!outdated && !forced) throw refusal(link, other, wanted);
  const users = usersOf(node, maskPrefix(other), claim);
  if (users.length === 0) return true;
  if (!inTheWay && !outdated) return false;
  throw refusal(link, other, wanted, users);
}

/** Ports of the bridge whose containers have an address of the subnet, or of which the kernel does not tell. */
export function usersOf(node: RouteSocket, subnet: Prefix, { bridgeIfIndex, ownPorts }: Claim): string[] {
  const ports = node.link
    .list()
    .filter(({ masterIfIndex, ifIndex }) => masterIfIndex === bridgeIfIndex && !ownPorts.includes(ifIndex));
  const isUser = ({ peerIfIndex, peerNetnsId }: Link): boolean => {
    if (peerIfIndex === undefined || peerNetnsId === undefined) return true;
    const addrs = node.addr.listIn(peerNetnsId, peerIfIndex);
    return addrs === undefined || addrs.some(({ prefix }) => containsIp(subnet, prefix.ip));
  };
  return ports.filter(isUser).map(({ name }) => name);
}

function refusal(link: Link, other: Prefix, wanted: Prefix, users: readonly string[] = []): CniError {
  const [has, subnet, own] = [other, maskPrefix(other), maskPrefix(wanted)].map(formatPrefix);
  const used = users.length > 0;
  return new CniError("internal", `"${link.name}" already has an IP address different from ${formatPrefix(wanted)}`, {
    details: used
      ? `it has ${has} of subnet ${subnet}, this ADD needs subnet ${own}; ports of ${subnet}: ${users.join(", ")}`
      : `it has ${has} of subnet ${subnet}, this ADD needs subnet ${own}`,
    hint: used
      ? `delete the containers of ${subnet} first: the next ADD then replaces the address`
      : `if nothing uses it any more: ip addr del ${has} dev ${link.name}, or set "forceAddress" to true`,
  });
}
