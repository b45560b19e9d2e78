// The gateway of a VLAN: a second pair, all on the node, one end a port of the bridge in that VLAN and the other with the
// gateway's addresses. The Go plugin made it so, and never took it away; both stay true here.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { localMac } from "../../lib/ip/mac.ts";
import { addVeth, setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { lockedBridge } from "./lock.ts";
import { vlanGatewayName, vlanPortNames } from "./names.ts";
import { setVlans } from "./pair.ts";

/** The link that carries this VLAN's gateway addresses, up. */
export function ensureVlanGateway(
  host: Host,
  node: RouteSocket,
  bridge: Link,
  vlan: number,
  preserveDefaultVlan: boolean,
): Link {
  const name = vlanGatewayName(bridge.name, vlan);
  try {
    const found = node.link.get(name);
    // It is taken up last: what is up is complete.
    if (found?.up) return found;
    return lockedBridge(host, bridge.name, () => {
      const link = node.link.get(name) ?? addPair(host, node, bridge, name, vlan);
      if (!link.up) complete(node, bridge, link, { vlan, trunk: [], preserveDefaultVlan });
      return { ...link, up: true };
    });
  } catch (error) {
    throw inContext(error, "failed to create vlan interface", host);
  }
}

function addPair(host: Host, node: RouteSocket, bridge: Link, name: string, vlan: number): Link {
  const { mtu } = bridge;
  const names = vlanPortNames(host, bridge.name, vlan);
  for (const portName of names) {
    const random = host.random(12);
    const peer = { name: portName, mac: localMac(random.fill(0xfe, 0, 1)), mtu };
    try {
      node.change(addVeth({ name, mac: localMac(random.subarray(6)), mtu, peer }));
    } catch (error) {
      // The name we need was free a moment ago, under the lock: it is the port's name that somebody has.
      if (!isErrno(error, "EEXIST")) throw error;
    }
    const link = node.link.get(name);
    if (link !== undefined) return link;
  }
  throw new CniError("internal", `every name for the bridge's end of "${name}" is taken`, {
    details: `names ${names.join(", ")}`,
    hint: "delete those of these links that nobody uses",
  });
}

function complete(node: RouteSocket, bridge: Link, link: Link, vlans: Parameters<typeof setVlans>[2]): void {
  if (link.kind !== "veth" || link.peerIfIndex === undefined || link.peerNetnsId !== undefined) {
    throw new CniError("invalidConfig", `"${link.name}" is no veth with both ends on the node`, {
      hint: `remove that link, or choose another "bridge" or "vlan"`,
    });
  }
  node.change(setLink(link.peerIfIndex, { masterIfIndex: bridge.ifIndex }));
  setVlans(node, link.peerIfIndex, vlans);
  node.change(setLink(link.peerIfIndex, { up: true }), setLink(link.ifIndex, { up: true }));
}
