// The node's end of the container's veth pair, which has to carry what the container's end does: packets that are larger
// than the one end takes are lost between the two.
import type { ResultInterface } from "../../lib/cni/result.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { vethPeer } from "../../lib/netlink/route/peer.ts";
import type { TuningConf } from "./conf.ts";

/** linux/ipv6.h, IPV6_MIN_MTU: a link with less has no IPv6. */
const leastForIpv6 = 1280;

/**
 * The node's end, where it is to get the container's MTU. A bridge follows its smallest port, and below what IPv6 needs it
 * would lose its own, for every container on it.
 */
export function peerToTune(
  host: Host,
  node: RouteSocket,
  link: Link,
  { link: { mtu }, peerMtu }: TuningConf,
  interfaces: readonly ResultInterface[],
): Link | undefined {
  if (mtu === undefined || !peerMtu) return undefined;
  const peer = vethPeer(node, link, (name) =>
    interfaces.some((each) => each.name === name && each.sandbox === undefined),
  );
  if (peer?.masterIfIndex === undefined || mtu >= leastForIpv6) return peer;
  host.log(`tuning: "${peer.name}" keeps its MTU of ${peer.mtu}: with ${mtu} its bridge would have no IPv6`);
  return undefined;
}
