// CHECK: each bucket has its numbers, and what the container sends goes through its own.
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { openTc } from "../../lib/netlink/tc/open.ts";
import { bucketsOf, type Places } from "./add.ts";
import { bucketDifferences, redirectDifferences } from "./compare.ts";
import type { BandwidthConf } from "./conf.ts";
import { hostLink } from "./host-link.ts";
import { ifbNames, ownIfbs } from "./ifb.ts";

type Check = AttachmentRequest<BandwidthConf>;

/** Throws a CniError that names every difference. */
export function check(request: Check, host: Host): void {
  const { conf } = request;
  const prevResult = request.prevResult();
  if (prevResult === undefined) {
    throw new CniError("invalidConfig", "must be called as a chained plugin", {
      hint: "a runtime passes the result of ADD to CHECK",
    });
  }
  if (conf.ingress === undefined && conf.egress === undefined) return;
  const open: { close(): void }[] = [];
  const opened = <T extends { close(): void }>(each: T): T => {
    open.push(each);
    return each;
  };
  let differences: string[];
  try {
    const netns = opened(openContainer(request.netns, host));
    const pod = opened(openRoute(host, netns));
    const node = opened(openRoute(host));
    const tc = opened(openTc(host));
    differences = differencesOf(request, host, { node, pod, tc }, prevResult);
  } finally {
    for (const each of open) each.close();
  }
  if (differences.length === 0) return;
  throw new CniError("internal", differences.join("; "), {
    hint: "delete the container and let it be made again, or put these right by hand",
  });
}

function differencesOf(
  { network, attachment, conf }: Check,
  host: Host,
  { node, pod, tc }: Places,
  prevResult: Result,
): string[] {
  const link = hostLink(node, pod, attachment.ifName, prevResult);
  const bucketOf = bucketsOf(host, conf, link.mtu);
  const differences = conf.ingress === undefined ? [] : bucketDifferences(tc, link, bucketOf(conf.ingress));
  if (conf.egress === undefined) return differences;
  const [ifb] = ownIfbs(host, node, network, attachment);
  if (ifb === undefined) {
    const names = ifbNames(host, network, attachment).join(" nor ");
    differences.push(`get ifb device: neither ${names} is this attachment's`);
    return differences;
  }
  if (!ifb.up) differences.push(`ifb device ${ifb.name} is down`);
  return [...differences, ...bucketDifferences(tc, ifb, bucketOf(conf.egress)), ...redirectDifferences(tc, link, ifb)];
}
