// The node's end of the container's veth pair, on which everything is shaped: what the node sends there, the container
// receives.
import { CniError } from "../../lib/cni/error.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { vethPeer } from "../../lib/netlink/route/peer.ts";

const hint = "bandwidth shapes veth pairs alone, and only those that the plugins before it report";

/** Finds it. Throws a CniError (999) where the container's link is no veth, or its other end not on the node. */
export function hostLink(node: RouteSocket, pod: RouteSocket, ifName: string, { interfaces }: Result): Link {
  const inPod = pod.link.get(ifName);
  if (inPod?.peerIfIndex === undefined)
    throw new CniError("internal", `container interface ${ifName} has no veth peer`, { hint });
  const peer = vethPeer(node, inPod, (name) =>
    interfaces.some((each) => each.name === name && each.sandbox === undefined),
  );
  if (peer !== undefined) return peer;
  if (node.link.get(inPod.peerIfIndex) === undefined)
    throw new CniError("internal", `veth peer with index ${inPod.peerIfIndex} is not in host ns`, { hint });
  throw new CniError("internal", "no veth peer of container interface found in host ns", {
    details: `of ${ifName}, with index ${inPod.peerIfIndex}`,
    hint,
  });
}
