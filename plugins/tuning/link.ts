// The container's link: what is changed, what is kept of it before, and how it is given back.
import { inContext } from "../../lib/cni/boundary.ts";
import type { Host } from "../../lib/host/host.ts";
import { setLink, type Link, type LinkChange } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import type { Backup } from "./backup.ts";
import type { LinkConf } from "./conf.ts";

type Property = "mtu" | "txQueueLength" | "allMulti" | "promisc" | "mac";

/** One property and its value. */
export type Step = readonly [property: Property, value: string | number | boolean];

/** The MAC is last: that it was set at all can be seen of a link for ever, so nothing that may be refused comes after it. */
const order: readonly Property[] = ["mtu", "txQueueLength", "allMulti", "promisc", "mac"];

const stepsOf = (values: Partial<Record<Property, Step[1] | undefined>>): Step[] =>
  order.flatMap((property): Step[] => {
    const value = values[property];
    return value === undefined ? [] : [[property, value]];
  });

/** What ADD changes. */
export const stepsTo = (conf: LinkConf): Step[] => stepsOf({ ...conf });

/** What of the link is not as it was kept. */
export function stepsBack(link: Link, { mtu, mac, promisc, allmulti, txQLen }: Backup): Step[] {
  const steps = stepsOf({ mtu, mac, promisc, allMulti: allmulti, txQueueLength: txQLen });
  return steps.filter(([property, value]) => link[property] !== value);
}

/** What of the link ADD is going to change, as it is now. */
export function backupOf(link: Link, conf: LinkConf): Backup {
  const kept = <T>(configured: unknown, now: T): T | undefined => (configured === undefined ? undefined : now);
  return {
    mac: kept(conf.mac, link.mac),
    promisc: kept(conf.promisc, link.promisc),
    mtu: kept(conf.mtu, link.mtu),
    allmulti: kept(conf.allMulti, link.allMulti),
    txQLen: kept(conf.txQueueLength, link.txQueueLength),
  };
}

/** Sets one property; what the kernel refuses is named. */
export function changeLink(host: Host, route: RouteSocket, { ifIndex, name }: Link, [property, value]: Step): void {
  try {
    route.change(setLink(ifIndex, { [property]: value } as LinkChange));
  } catch (error) {
    throw inContext(error, `failed to set ${property} of "${name}" to ${JSON.stringify(value)}`, host);
  }
}
