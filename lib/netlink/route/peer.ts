// The node's end of a container's veth pair.
import type { Link } from "./link.ts";
import type { RouteSocket } from "./open.ts";

/**
 * The other end of the veth `inPod`, which is a link of `pod`, where that other end is in `node`; undefined where it is
 * not there. That two links say of each other that they are a pair is not enough, since every container's `eth0` has the
 * same index: `isListed` says whether a link of this name on the node is the attachment's.
 */
export function vethPeer(node: RouteSocket, inPod: Link, isListed: (name: string) => boolean): Link | undefined {
  if (inPod.kind !== "veth" || inPod.peerIfIndex === undefined) return undefined;
  const peer = node.link.get(inPod.peerIfIndex);
  const fits = peer?.kind === "veth" && peer.peerIfIndex === inPod.ifIndex && isListed(peer.name);
  return fits ? peer : undefined;
}
