// The bridge itself: made where missing, completed where a killed call or another tool left it half done, otherwise
// only looked at. It is shared, so nothing here is ever taken back, but a bridge that cannot do what was asked.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { localMac } from "../../lib/ip/mac.ts";
import { addBridge, setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import type { BridgeConf } from "./conf.ts";
import { isGatewayOfOurs } from "./gateway-record.ts";
import { notABridge } from "./foreign-link.ts";
import { lockedBridge } from "./lock.ts";
import { ignoresRouters } from "./settings.ts";
import { writeSetting } from "./sysctl.ts";

type Conf = Pick<BridgeConf, "bridge" | "mtu" | "promisc" | "vlanFiltering">;

/** What a bridge has whose ports are gone and whose MAC nobody set. The kernel refuses to set it. */
const noMac = "00:00:00:00:00:00";

/** The bridge, up, with what the configuration asks of it. The steady state costs one look. */
export function ensureBridge(host: Host, node: RouteSocket, conf: Conf): Link {
  try {
    const found = node.link.get(conf.bridge);
    if (found !== undefined && isReady(found, conf)) {
      // Whoever made it.
      if (!isGatewayOfOurs(found)) writeSetting(host, ignoresRouters(conf.bridge));
      return found;
    }
    return lockedBridge(host, conf.bridge, () => completeBridge(host, node, conf));
  } catch (error) {
    throw inContext(error, `failed to create bridge "${conf.bridge}"`, host);
  }
}

/** Being up is what a bridge gets last: one that is not may lack anything else. */
function isReady(link: Link, { promisc, vlanFiltering }: Conf): boolean {
  if (link.kind !== "bridge") throw notABridge("ADD", link);
  return link.up && link.mac !== noMac && (link.promisc || !promisc) && (!vlanFiltering || link.vlanFiltering === true);
}

function completeBridge(host: Host, node: RouteSocket, conf: Conf): Link {
  const { bridge: name, mtu, promisc, vlanFiltering } = conf;
  const mac = localMac(host.random(6));
  let made = false;
  let link = node.link.get(name);
  if (link === undefined) {
    try {
      // With a MAC of its own from the start: otherwise it takes on a port's, and another one whenever ports change.
      node.change(addBridge({ name, mac, mtu, vlanFiltering }));
      made = true;
    } catch (error) {
      // A Go plugin knows nothing of our lock: what it made in this moment is as good.
      if (!isErrno(error, "EEXIST")) throw error;
    }
    link = node.link.get(name);
  }
  if (link === undefined)
    throw new CniError("tryAgainLater", `"${name}" went away`, {
      hint: "something else on this node removes it: find out what",
    });
  if (isReady(link, conf)) return link;
  if (vlanFiltering && link.vlanFiltering !== true) {
    try {
      turnOnVlans(node, link);
    } catch (error) {
      if (made) node.link.del(link.ifIndex);
      throw error;
    }
  }
  writeSetting(host, ignoresRouters(name));
  // To set a MAC, be it the same, is to keep it.
  const kept = link.mac === undefined || link.mac === noMac ? mac : link.mac;
  node.change(setLink(link.ifIndex, { mac: kept, up: true, ...(promisc ? { promisc } : {}) }));
  return { ...link, mac: kept, up: true };
}

/** Makes an existing bridge keep VLANs apart, where that takes no running port's connection away. */
function turnOnVlans(node: RouteSocket, bridge: Link): void {
  if (bridge.vlanFiltering === undefined) {
    throw new CniError("unsupportedField", '"vlan" and "vlanTrunk" need a kernel with CONFIG_BRIDGE_VLAN_FILTERING', {
      hint: "take them out of the network configuration, or run another kernel",
    });
  }
  const ports = node.link.list().filter(({ masterIfIndex }) => masterIfIndex === bridge.ifIndex);
  const natives = new Set<number>();
  for (const port of ports) {
    const [vlan, ...others] = node.vlan.list(port.ifIndex);
    if (vlan === undefined || others.length > 0 || !vlan.pvid || !vlan.untagged) {
      throw new CniError(
        "invalidConfig",
        `"${bridge.name}" does not keep VLANs apart, and its port "${port.name}" has VLANs of its own`,
        {
          hint: `see that its ports may be kept apart, then: ip link set ${bridge.name} type bridge vlan_filtering 1`,
        },
      );
    }
    natives.add(vlan.id);
  }
  if (natives.size > 1) {
    throw new CniError(
      "invalidConfig",
      `"${bridge.name}" does not keep VLANs apart, and its ports have different ones`,
      {
        hint: `see that its ports may be kept apart, then: ip link set ${bridge.name} type bridge vlan_filtering 1`,
      },
    );
  }
  node.change(setLink(bridge.ifIndex, { vlanFiltering: true }));
}
