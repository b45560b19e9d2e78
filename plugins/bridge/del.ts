// DEL: the link first, then what lets its packets pass, its addresses last, so that nobody is given an address while it is
// still in use. Every step is
// tried whatever became of the one before; what is gone already is fine. The shared parts of the node stay.
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { Faults } from "../../lib/cni/faults.ts";
import { openIfThere } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";
import type { BridgeConf } from "./conf.ts";
import { hostVethNames, portAlias } from "./names.ts";
import { removeRules } from "./rules.ts";

type Del = AttachmentRequest<BridgeConf>;

/** Takes an attachment back. Returns when its link is gone; needs neither the netns nor what ADD reported. */
export function del(request: Del, host: Host): void {
  const { conf } = request;
  const faults = new Faults(host);
  faults.attempt(() => removeLink(request, host));
  faults.attempt(() => removeRules(host, request));
  const { ipam } = conf;
  if (ipam !== undefined) faults.attempt(() => delegateVerb(request, host, "DEL", ipam, request.source));
  faults.end();
}

/** Deletes the container's link where it is, which takes the node's end with it; else the node's end, if we know it. */
function removeLink(request: Del, host: Host): void {
  let fault: unknown;
  let netns: Netns | undefined;
  let pod: RouteSocket | undefined;
  try {
    try {
      netns = openIfThere(request.netns, host);
      pod = netns === undefined ? undefined : openRoute(host, netns);
      if (pod?.link.del(request.attachment.ifName)) return;
    } catch (error) {
      fault = error;
    }
    if (!removePort(request, host, pod) && fault !== undefined) throw fault;
  } finally {
    pod?.close();
    netns?.close();
  }
}

/**
 * Deletes the node's end of the pair by the name it derives from the attachment; false when there is none of ours.
 * With the container's netns at hand its other end must be in there: a later ADD of this attachment, in another netns,
 * is not what this DEL is about.
 */
function removePort({ network, attachment, conf }: Del, host: Host, pod: RouteSocket | undefined): boolean {
  const node = openRoute(host);
  try {
    let free = 0;
    for (const name of hostVethNames(host, network, attachment).all()) {
      const link = node.link.get(name);
      if (link === undefined) {
        // Ours may have the next name: what held this one when ADD chose is gone by now. That this happened twice to one
        // attachment is past belief, and each look costs.
        if (++free === 2) return false;
        continue;
      }
      if (isOurs(node, link, conf.bridge, portAlias(network, attachment)) && (pod === undefined || isPeerIn(pod, link)))
        return node.link.del(link.ifIndex);
    }
    return false;
  } finally {
    node.close();
  }
}

/** A veth whose other end is elsewhere, a port of our bridge or of none, and not marked as another attachment's. */
function isOurs(
  node: RouteSocket,
  { kind, peerNetnsId, masterIfIndex, alias }: Link,
  bridge: string,
  ownAlias: string,
): boolean {
  if (kind !== "veth" || peerNetnsId === undefined) return false;
  // One that Go made, or that an operator named, has another alias or none.
  if (alias?.startsWith("cni:") && alias !== ownAlias) return false;
  return masterIfIndex === undefined || masterIfIndex === node.link.get(bridge)?.ifIndex;
}

function isPeerIn(pod: RouteSocket, { ifIndex, peerIfIndex }: Link): boolean {
  const peer = peerIfIndex === undefined ? undefined : pod.link.get(peerIfIndex);
  return peer?.kind === "veth" && peer.peerIfIndex === ifIndex;
}
