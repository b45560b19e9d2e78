// The container's link: what is changed, what is kept of it before, and how it is given back.
import { inContext } from "../../lib/cni/boundary.ts";
import type { Host } from "../../lib/host/host.ts";
import { setLink, type Link, type LinkChange } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { NetlinkError } from "../../lib/netlink/wire/error.ts";
import type { Backup } from "./backup.ts";
import type { LinkConf } from "./conf.ts";

/** One change of one property, in the order in which Go's plugin makes them. */
export type Step = LinkChange;

/** What ADD changes. */
export function stepsOf({ mac, promisc, mtu, allMulti, txQueueLength }: LinkConf): Step[] {
  const steps = [{ mac }, { promisc }, { mtu }, { allMulti }, { txQueueLength }];
  return steps.filter((step) => Object.values(step).some((value) => value !== undefined)) as Step[];
}

/** What DEL changes. */
export function stepsBack({ mac, promisc, mtu, allmulti, txQLen }: Backup): Step[] {
  const steps = [{ mtu }, { mac }, { promisc }, { allMulti: allmulti }, { txQueueLength: txQLen }];
  return steps.filter((step) => Object.values(step).some((value) => value !== undefined)) as Step[];
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

/** Makes the changes in one datagram; what the kernel refuses is named. */
export function changeLink(host: Host, route: RouteSocket, { ifIndex, name }: Link, steps: readonly Step[]): void {
  const requests = steps.map((step) => setLink(ifIndex, step));
  try {
    route.change(...requests);
  } catch (error) {
    const operation = error instanceof NetlinkError ? error.operation : undefined;
    const refused = requests.findIndex((request) => request.operation === operation);
    const [[property, value] = ["link", ""]] = Object.entries(steps[refused] ?? {});
    throw inContext(error, `failed to set ${property} of "${name}" to "${value}"`, host);
  }
}
