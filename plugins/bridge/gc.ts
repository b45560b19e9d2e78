// GC: links first, so that no address is given away while a link still has it, then packet filter rules, IPAM last. Only
// what is provably of this network is touched: ports that say so in their alias, rules that do in their comment, what is
// for a port that is no more, and what an ADD of ours never finished. Links that a Go plugin
// made say nothing; a runtime finds those in its results, and DELs them before it asks for GC.
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { delGroup, setLink, type Link } from "../../lib/netlink/route/link.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";
import type { NetlinkError } from "../../lib/netlink/wire/error.ts";
import type { BridgeConf } from "./conf.ts";
import { hostVethNames, isHostVethName, networkAlias } from "./names.ts";
import { removeStaleRules } from "./rules.ts";

type Gc = GcRequest<BridgeConf>;

/** Deletes the links of attachments that are not valid, then has the IPAM plugin free what none of the valid holds. */
export function gc(request: Gc, host: Host): void {
  const { ipam } = request.conf;
  const faults = new Faults(host);
  // Where the links could not be read, no port is taken for gone.
  let remaining: ReadonlySet<string> | undefined;
  faults.attempt(() => {
    remaining = removeStale(request, host);
  });
  removeStaleRules(host, request, remaining, faults);
  if (ipam !== undefined) faults.attempt(() => delegateVerb(request, host, "GC", ipam, request.source));
  faults.end();
}

/** Returns the names of the links that stay. */
function removeStale(request: Gc, host: Host): ReadonlySet<string> {
  const node = openRoute(host);
  try {
    const links = node.link.list();
    const stale = staleLinks(request, host, links);
    if (stale.length > 0) {
      const named = stale.map(({ name, alias }) => (alias === undefined ? name : `${name} (${alias})`));
      host.log(`bridge: deleting links of no valid attachment: ${named.join(", ")}`);
      removeAll(host, node, stale, links);
    }
    return new Set(links.filter((link) => !stale.includes(link)).map(({ name }) => name));
  } finally {
    node.close();
  }
}

function staleLinks({ network, valid, conf }: Gc, host: Host, links: readonly Link[]): Link[] {
  const bridge = links.find(({ name, kind }) => name === conf.bridge && kind === "bridge");
  const validNames = new Set(valid.flatMap((attachment) => hostVethNames(host, network, attachment).all()));
  const mark = networkAlias(network);
  return links.filter(({ kind, name, alias, peerNetnsId, ...link }) => {
    // The pair that carries a VLAN's gateway has such names too, and both its ends on the node.
    if (kind !== "veth" || !isHostVethName(name) || peerNetnsId === undefined || validNames.has(name)) return false;
    return alias === undefined ? isUnfinished(link, bridge) : alias.startsWith(mark);
  });
}

/** As a killed ADD of ours leaves a port; no ADD is at work while GC is. Go's plugin attaches what is up already. */
const isUnfinished = ({ up, mac, masterIfIndex }: Pick<Link, "up" | "mac" | "masterIfIndex">, bridge?: Link): boolean =>
  !up && mac?.startsWith("fe:") === true && bridge !== undefined && masterIfIndex === bridge.ifIndex;

/** Acks of so many requests at once fit a socket's buffer. */
const atOnce = 64;

/**
 * The kernel waits for an RCU grace period after each deletion, however many one datagram asks for (measured: 37 ms for
 * each of twenty), but only once for a group (80 ms for all). So the links are put into a group that no link is in.
 */
function removeAll(host: Host, node: RouteSocket, stale: readonly Link[], links: readonly Link[]): void {
  const group = unusedGroup(host, links);
  const faults = new Faults(host);
  for (let at = 0; at < stale.length; at += atOnce)
    faults.attempt(() => {
      const requests = stale.slice(at, at + atOnce).map(({ ifIndex }) => setLink(ifIndex, { group }));
      for (const refusal of node.attempt(...requests)) if (!isGone(refusal)) faults.add(refusal);
    });
  faults.attempt(() => {
    for (const refusal of node.attempt(delGroup(group))) if (!isGone(refusal)) throw refusal;
  });
  faults.end();
}

/** A container that ends takes its links with it. */
const isGone = (refusal: NetlinkError): boolean => isErrno(refusal, "ENODEV");

function unusedGroup(host: Host, links: readonly Link[]): number {
  for (;;) {
    const group = host.random(4).reduce((number, byte) => (number & 0x7fffff) * 256 + byte, 0);
    if (group !== 0 && !links.some((link) => link.group === group)) return group;
  }
}
