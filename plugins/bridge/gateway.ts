// The node's side of a gateway: the addresses of the bridge, and forwarding. Shared by every attachment of the bridge,
// and never taken back.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Family } from "../../lib/ip/ip.ts";
import { equalPrefixes, formatPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import { addAddr, delAddr } from "../../lib/netlink/route/addr.ts";
import { setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { RTPROT_RA } from "../../lib/netlink/route/route.ts";
import type { BridgeConf } from "./conf.ts";
import { overlap } from "./desired.ts";
import { lockedBridge } from "./lock.ts";

/** What is asked of a link that is to carry gateway addresses. */
export interface GatewayLink {
  readonly link: Link;
  /** The bridge behind it, or itself. */
  readonly bridgeIfIndex: number;
  /** Ports that come with this call: they do not keep another subnet's address in its place. */
  readonly ownPorts: readonly number[];
}

/** Sees that the link has these addresses. Where it has them all, nothing is locked and nothing changed. */
export function ensureGateways(
  host: Host,
  node: RouteSocket,
  place: GatewayLink,
  gateways: readonly Prefix[],
  conf: Pick<BridgeConf, "bridge" | "forceAddress" | "dad">,
): void {
  const { link } = place;
  const missing = () => {
    const present = node.addr.list(link.ifIndex).map(({ prefix }) => prefix);
    return { present, absent: gateways.filter((wanted) => !present.some((each) => equalPrefixes(each, wanted))) };
  };
  if (missing().absent.length === 0) return;
  lockedBridge(host, conf.bridge, () => {
    const { present, absent } = missing();
    for (const wanted of absent) {
      for (const other of present.filter((each) => !gateways.some((own) => equalPrefixes(own, each))))
        makeRoom(node, place, other, wanted, conf.forceAddress);
      try {
        node.change(addAddr(link.ifIndex, wanted, { noDad: !conf.dad }));
      } catch (error) {
        // A Go plugin, which knows nothing of our lock, came first with the same address.
        if (!isErrno(error, "EEXIST") || missing().absent.some((each) => equalPrefixes(each, wanted))) {
          throw inContext(error, `could not add IP address ${formatPrefix(wanted)} to "${link.name}"`, host);
        }
      }
    }
    // To set a MAC, be it the same, is to keep it: a bridge that another tool made stops following its ports.
    const mac = node.link.get(link.ifIndex)?.mac;
    if (absent.length > 0 && mac !== undefined) node.change(setLink(link.ifIndex, { mac }));
  });
}

/** Sees that `wanted` may be added beside `other`, or in its place. */
function makeRoom(
  node: RouteSocket,
  { link, bridgeIfIndex, ownPorts }: GatewayLink,
  other: Prefix,
  wanted: Prefix,
  force: boolean,
): void {
  const inTheWay = overlap(other, wanted);
  const replaceable = force && other.ip.family === wanted.ip.family && (inTheWay || wanted.ip.family === 4);
  if (!inTheWay && !replaceable) return;
  const used =
    replaceable &&
    node.link
      .list()
      .some(({ masterIfIndex, ifIndex }) => masterIfIndex === bridgeIfIndex && !ownPorts.includes(ifIndex));
  if (replaceable && !used) {
    node.change(delAddr(link.ifIndex, other));
    return;
  }
  if (!inTheWay) return;
  const has = formatPrefix(other);
  throw new CniError("internal", `"${link.name}" already has an IP address different from ${formatPrefix(wanted)}`, {
    details: used ? `it has ${has}, and other containers are attached` : `it has ${has}`,
    hint: used
      ? `delete the containers of ${has} first`
      : `if nothing uses it any more: ip addr del ${has} dev ${link.name}, or set "forceAddress" to true`,
  });
}

/** Sees that the node forwards packets of these families. */
export function ensureForwarding(host: Host, node: RouteSocket, families: Iterable<Family>): void {
  for (const family of families) {
    const setting = family === 4 ? "net/ipv4/ip_forward" : "net/ipv6/conf/all/forwarding";
    if (host.readSysctl(setting) === "1") continue;
    if (family === 6) keepAdvertisedRoutes(host, node);
    host.writeSysctl(setting, "1");
  }
}

/**
 * A node that forwards IPv6 stops listening to routers, and loses the default route it learned from one, unless
 * accept_ra is 2 (Documentation/networking/ip-sysctl.rst).
 */
function keepAdvertisedRoutes(host: Host, node: RouteSocket): void {
  const learned = node.route.list(6).filter(({ dst, protocol }) => dst.length === 0 && protocol === RTPROT_RA);
  for (const { ifIndex } of learned.flatMap((route) => route.hops ?? [route])) {
    const name = ifIndex === undefined ? undefined : node.link.get(ifIndex)?.name;
    if (name === undefined) continue;
    const setting = `net/ipv6/conf/${name}/accept_ra`;
    if (host.readSysctl(setting) === "1") host.writeSysctl(setting, "2");
  }
}
