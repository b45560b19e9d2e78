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
import { ipv6Settings } from "./container.ts";
import type { Expected } from "./expect.ts";
import type { Places } from "./pair.ts";

export interface Observed {
  readonly bridge: Link | undefined;
  /** Read only where the bridge's MAC is not the recorded one. */
  readonly bridgePortMacs: readonly Mac[];
  readonly container: Link | undefined;
  /** The other end of the container's link, where that is on the node. */
  readonly port: Link | undefined;
  /** Read only where the configuration names VLANs. */
  readonly portVlans: readonly PortVlan[];
  readonly addresses: readonly Prefix[];
  readonly routes: readonly Route[];
  readonly gatewayAddresses: readonly Prefix[];
  /** Families the node forwards. Read only where there are gateways. */
  readonly forwarding: ReadonlySet<Family>;
  /** Of the container's link, the value of each of ipv6Settings that the kernel has; none where IPAM gave no IPv6. */
  readonly ipv6Settings: ReadonlyMap<string, string>;
}

export function observe(host: Host, { node, pod, netns }: Places, expected: Expected): Observed {
  const { conf, ifName, gateways } = expected;
  const bridge = node.link.get(conf.bridge);
  const container = pod.link.get(ifName);
  const peer = container?.peerIfIndex === undefined ? undefined : node.link.get(container.peerIfIndex);
  const port = peer?.kind === "veth" && peer.peerIfIndex === container?.ifIndex ? peer : undefined;
  const gatewayLink = gateways.length === 0 || conf.vlan === undefined ? bridge : node.link.get(expected.gatewayLink);
  const wanted = [...expected.addresses, ...expected.routes.map(({ dst }) => dst)];
  const prefixes = (socket: RouteSocket, link: Link | undefined) =>
    link === undefined ? [] : socket.addr.list(link.ifIndex).map(({ prefix }) => prefix);
  return {
    bridge,
    bridgePortMacs: bridge === undefined || sameMac(expected.bridge?.mac, bridge.mac) ? [] : portMacs(node, bridge),
    container,
    port,
    portVlans: port === undefined || expected.vlans === undefined ? [] : node.vlan.list(port.ifIndex),
    addresses: prefixes(pod, container),
    routes: families(wanted).flatMap((family) => pod.route.list(family)),
    gatewayAddresses: gateways.length === 0 ? [] : prefixes(node, gatewayLink),
    forwarding: new Set(families(gateways).filter((family) => isForwarding(host, family))),
    ipv6Settings:
      container === undefined || !families(expected.addresses).includes(6)
        ? new Map()
        : readIpv6Settings(host, netns, ifName),
  };
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

function readIpv6Settings(host: Host, netns: Netns, ifName: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const name of Object.keys(ipv6Settings)) {
    const value = readSysctl(host, `net/ipv6/conf/${ifName}/${name}`, netns);
    if (value !== undefined) settings.set(name, value);
  }
  return settings;
}

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
