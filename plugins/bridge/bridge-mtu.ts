// The MTU of a bridge whose network got a larger one. By itself a bridge takes on the smallest MTU of its ports, until
// somebody sets one: that stays, whatever ports come and go. Only then there is something to do here, and only as far as
// every port carries it: what is larger, a bridge drops without a word to the sender.
import { inContext } from "../../lib/cni/boundary.ts";
import type { Host } from "../../lib/host/host.ts";
import { setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";

/** `bridge` is as it was before this call's port came, which has the MTU that is wanted. */
export function raiseMtu(host: Host, node: RouteSocket, bridge: Link, wanted: number | undefined): void {
  if (wanted === undefined || bridge.mtu >= wanted) return;
  try {
    raise(host, node, bridge, wanted);
  } catch (error) {
    throw inContext(error, `failed to raise the MTU of "${bridge.name}"`, host);
  }
}

function raise(host: Host, node: RouteSocket, bridge: Link, wanted: number): void {
  const mtu = node.link.get(bridge.ifIndex)?.mtu ?? wanted;
  if (mtu >= wanted) return;
  const ports = node.link.list().filter(({ masterIfIndex }) => masterIfIndex === bridge.ifIndex);
  const smallest = Math.min(wanted, ...ports.map((port) => port.mtu));
  if (smallest > mtu) node.change(setLink(bridge.ifIndex, { mtu: smallest }));
  if (smallest === wanted) return;
  const small = ports.filter((port) => port.mtu < wanted).map(({ name }) => name);
  host.log(
    `bridge: "${bridge.name}" has MTU ${smallest}, configured ${wanted}: make the containers of its smaller ports anew: ${small.join(", ")}`,
  );
}
