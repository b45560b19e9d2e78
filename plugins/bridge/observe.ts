// What CHECK finds: the kernel's state of one attachment, read and not judged.
import { isErrno } from "../../lib/host/errno.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import type { Family } from "../../lib/ip/ip.ts";
import type { Mac } from "../../lib/ip/mac.ts";
import type { Prefix } from "../../lib/ip/prefix.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import type { PortVlan } from "../../lib/netlink/route/port.ts";
import type { Route } from "../../lib/netlink/route/route.ts";
import type { Expected } from "./expect.ts";
import { hostVethNames } from "./names.ts";
import type { Places } from "./pair.ts";
import { ignoresRouters, settingName, type Setting } from "./settings.ts";

export interface Observed {
  readonly bridge: Link | undefined;
  /** Read only where the bridge's MAC is not the recorded one. */
  readonly bridgePortMacs: readonly Mac[];
  readonly container: Link | undefined;
  /** The other end of the container's link, where that is on the node. */
  readonly port: Link | undefined;
  /** Its name is one that we give; a port that Go's plugin made lacks what only ours sets. */
  readonly portIsOurs: boolean;
  /** Read only where the configuration names VLANs. */
  readonly portVlans: readonly PortVlan[];
  readonly addresses: readonly Prefix[];
  readonly routes: readonly Route[];
  /** The link that has the gateways' addresses. */
  readonly gatewayLink: Link | undefined;
  readonly gatewayAddresses: readonly Prefix[];
  /** Where that link is a VLAN's own, the other end of its pair, and the VLANs of that. */
  readonly gatewayPort: Link | undefined;
  readonly gatewayPortVlans: readonly PortVlan[];
  /** Families the node forwards. Read only where there are gateways. */
  readonly forwarding: ReadonlySet<Family>;
  /** What the kernel has of the settings that an ADD of ours writes; none where the port is not ours. */
  readonly settings: readonly FoundSetting[];
}

export interface FoundSetting extends Setting {
  /** undefined where the kernel has no such setting. */
  readonly found: string | undefined;
}

export function observe(host: Host, { node, pod, netns }: Places, expected: Expected): Observed {
  const { conf, network, attachment, gateways } = expected;
  const bridge = node.link.get(conf.bridge);
  const container = pod.link.get(attachment.ifName);
  const peer = container?.peerIfIndex === undefined ? undefined : node.link.get(container.peerIfIndex);
  const port = peer?.kind === "veth" && peer.peerIfIndex === container?.ifIndex ? peer : undefined;
  const portIsOurs = port !== undefined && hostVethNames(host, network, attachment).all().includes(port.name);
  const ofVlan = gateways.length > 0 && conf.vlan !== undefined;
  const gatewayLink = ofVlan ? node.link.get(expected.gatewayLink) : bridge;
  const gatewayPort = ofVlan ? otherEnd(node, gatewayLink) : undefined;
  const wanted = [...expected.addresses, ...expected.routes.map(({ dst }) => dst)];
  const prefixes = (socket: RouteSocket, link: Link | undefined) =>
    link === undefined ? [] : socket.addr.list(link.ifIndex).map(({ prefix }) => prefix);
  return {
    bridge,
    bridgePortMacs: bridge === undefined || sameMac(expected.bridge?.mac, bridge.mac) ? [] : portMacs(node, bridge),
    container,
    port,
    portIsOurs,
    portVlans: port === undefined || expected.vlans === undefined ? [] : node.vlan.list(port.ifIndex),
    addresses: prefixes(pod, container),
    routes: families(wanted).flatMap((family) => pod.route.list(family)),
    gatewayLink,
    gatewayAddresses: gateways.length === 0 ? [] : prefixes(node, gatewayLink),
    gatewayPort,
    gatewayPortVlans: gatewayPort === undefined ? [] : node.vlan.list(gatewayPort.ifIndex),
    forwarding: new Set(families(gateways).filter((family) => isForwarding(host, family))),
    settings: !portIsOurs
      ? []
      : [
          ...expected.settings.map((wanted) => found(host, wanted, netns)),
          ...[conf.bridge, port.name].map((link) => found(host, ignoresRouters(link))),
        ],
  };
}

/** The other end of a pair that is all on the node. */
function otherEnd(node: RouteSocket, link: Link | undefined): Link | undefined {
  if (link?.peerIfIndex === undefined || link.peerNetnsId !== undefined) return undefined;
  return node.link.get(link.peerIfIndex);
}

/** Whether a link has the MAC that was recorded for it; one nobody recorded is any. */
export const sameMac = (recorded: Mac | undefined, found: Mac | undefined): boolean =>
  recorded === undefined || recorded === "" || recorded.toLowerCase() === found;

const families = (prefixes: readonly Prefix[]): Family[] =>
  ([4, 6] as const).filter((family) => prefixes.some(({ ip }) => ip.family === family));

function portMacs(node: RouteSocket, { ifIndex }: Link): Mac[] {
  return node.link
    .list()
    .flatMap(({ masterIfIndex, mac }) => (masterIfIndex === ifIndex && mac !== undefined ? [mac] : []));
}

const found = (host: Host, wanted: Setting, netns?: Netns): FoundSetting => ({
  ...wanted,
  found: readSysctl(host, settingName(wanted), netns),
});

const isForwarding = (host: Host, family: Family): boolean =>
  readSysctl(host, family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding") === "1";

/** undefined where the kernel has no such setting. */
function readSysctl(host: Host, name: string, netns?: Netns): string | undefined {
  try {
    return host.readSysctl(name, netns);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}
