// The node's side of a gateway: the addresses of the bridge, and forwarding. Shared by every attachment of the bridge,
// and never taken back.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Family } from "../../lib/ip/ip.ts";
import { equalPrefixes, formatPrefix, maskPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import { addAddr, delAddr } from "../../lib/netlink/route/addr.ts";
import { setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { RTPROT_RA } from "../../lib/netlink/route/route.ts";
import type { BridgeConf } from "./conf.ts";
import { overlap } from "./desired.ts";
import { recordIn } from "./gateway-record.ts";
import { mustGo, usersOf, type Claim } from "./gateway-room.ts";
import { lockedBridge } from "./lock.ts";

/** The link that is to carry gateway addresses, and what decides about those it has. */
export interface GatewayPlace extends Omit<Claim, "subnets"> {
  readonly link: Link;
  /** Asked for only where an address is missing. */
  readonly subnets: () => readonly Prefix[];
}

/** Sees that the link has these addresses. Where it has them all, nothing is locked and nothing changed. */
export function ensureGateways(
  host: Host,
  node: RouteSocket,
  place: GatewayPlace,
  gateways: readonly Prefix[],
  conf: Pick<BridgeConf, "bridge" | "dad">,
): void {
  const { link, network } = place;
  const { ifIndex } = link;
  const isIn = (list: readonly Prefix[]) => (each: Prefix) => list.some((other) => equalPrefixes(other, each));
  // What seems missing is added, and the kernel says where it was there.
  const look = () => node.addr.listLoosely(ifIndex).map(({ prefix }) => prefix);
  const lacks = (present: readonly Prefix[]) => gateways.filter((wanted) => !isIn(present)(wanted));
  const before = look();
  // An address that a Go plugin put there is noted as soon as it is ours, too.
  if (lacks(before).length === 0 && recordIn(link.alias, network, gateways, before) === undefined) return;

  lockedBridge(host, conf.bridge, () => {
    const now = node.link.get(ifIndex);
    if (now === undefined)
      throw new CniError("tryAgainLater", `"${link.name}" went away`, {
        hint: "something else on this node removes it: find out what",
      });
    const claim: Claim = { ...place, subnets: place.subnets() };
    let present = look();
    const lacking = lacks(present);
    for (const wanted of lacking) {
      const others = present.filter((each) => !isIn(gateways)(each));
      const outdated = others.filter((other) => mustGo(node, now, other, wanted, claim));
      try {
        // In one datagram, so that no kill comes between.
        node.change(
          ...outdated.map((other) => delAddr(ifIndex, other)),
          addAddr(ifIndex, wanted, { noDad: !conf.dad }),
        );
      } catch (error) {
        // A Go plugin, which knows nothing of our lock, was as fast, be it to add or to delete.
        if (!isErrno(error, "EEXIST", "EADDRNOTAVAIL") || !isIn(look())(wanted))
          throw inContext(error, `could not add IP address ${formatPrefix(wanted)} to "${link.name}"`, host);
      }
      // What the configuration asks for needs no word.
      for (const other of place.forceAddress ? [] : outdated)
        host.log(`bridge: replaced ${formatPrefix(other)} of "${link.name}" by ${formatPrefix(wanted)}`);
      const gone = outdated.filter((other) => !isKept(node, ifIndex, other, wanted, claim));
      present = [...present.filter((each) => !isIn(gone)(each)), wanted];
    }
    const alias = recordIn(now.alias, network, gateways, present);
    if (lacking.length === 0 && alias === undefined) return;
    // To set a MAC is to keep it: a bridge that another tool made stops following its ports. It keeps the one it had
    // before ours joined, which its neighbours know; unless that was the MAC of another new port of ours.
    const mac = link.mac?.startsWith("fe:") ? now.mac : link.mac;
    node.change(setLink(ifIndex, { ...(mac === undefined ? {} : { mac }), ...(alias === undefined ? {} : { alias }) }));
  });
}

/** Another ADD that found the old address in its place at the very last moment gets it back, unless both cannot be. */
function isKept(node: RouteSocket, ifIndex: number, other: Prefix, wanted: Prefix, claim: Claim): boolean {
  if (overlap(other, wanted) || usersOf(node, maskPrefix(other), claim).length === 0) return false;
  node.change(addAddr(ifIndex, other, { noDad: true }));
  return true;
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
