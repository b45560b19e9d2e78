// ADD: a bucket on the node's end of the pair for what the container receives; for what it sends, a link of its own that
// the node's end redirects to, with a bucket. What fails half-way is taken back.
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import { Undo } from "../../lib/cni/undo.ts";
import type { Host } from "../../lib/host/host.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";
import { openTc, type TcSocket } from "../../lib/netlink/tc/open.ts";
import type { BandwidthConf, Limit } from "./conf.ts";
import { hostLink } from "./host-link.ts";
import { makeIfb } from "./ifb.ts";
import { putBucket, putRedirect } from "./shape.ts";
import { cappedBurst, tbfOf, ticksPerMicrosecond } from "./tbf.ts";

type Add = AttachmentRequest<BandwidthConf>;

export interface Places {
  readonly node: RouteSocket;
  readonly pod: RouteSocket;
  readonly tc: TcSocket;
}

/** Shapes an attachment, and passes on what the plugins before made, with the link it was given. */
export function add(request: Add, host: Host): Result {
  const { conf } = request;
  const before = request.prevResult();
  if (before === undefined) {
    throw new CniError("invalidConfig", "must be called as chained plugin", {
      hint: "bandwidth shapes what another plugin made: put it behind that one in the list",
    });
  }
  if (conf.ingress === undefined && conf.egress === undefined) return before;
  const undo = new Undo();
  const open: { close(): void }[] = [];
  const opened = <T extends { close(): void }>(each: T): T => {
    open.push(each);
    return each;
  };
  try {
    const netns = opened(openContainer(request.netns, host));
    const pod = opened(openRoute(host, netns));
    const node = opened(openRoute(host));
    const tc = opened(openTc(host));
    return shape(request, host, { node, pod, tc }, before, undo);
  } catch (error) {
    undo.run(host);
    throw error;
  } finally {
    for (const each of open) each.close();
  }
}

function shape({ network, attachment, conf }: Add, host: Host, places: Places, before: Result, undo: Undo): Result {
  const { node, pod, tc } = places;
  const link = hostLink(node, pod, attachment.ifName, before);
  const bucketOf = bucketsOf(host, conf, link.mtu);
  if (conf.ingress !== undefined) putBucket(host, tc, link, bucketOf(conf.ingress), undo);
  if (conf.egress === undefined) return before;
  const ifb = makeIfb(host, places, network, attachment, link, undo);
  putBucket(host, tc, ifb, bucketOf(conf.egress), undo);
  putRedirect(host, tc, link, ifb, undo);
  return { ...before, interfaces: [...before.interfaces, { name: ifb.name, mac: ifb.mac }] };
}

/** The buckets of a link with this MTU. */
export function bucketsOf(host: Host, { latencyMs, capBurst }: BandwidthConf, mtu: number) {
  const ticks = ticksPerMicrosecond(host);
  return (limit: Limit) => tbfOf(capBurst ? { ...limit, burst: cappedBurst(limit, mtu) } : limit, latencyMs, ticks);
}
