// CHECK: every setting and every property of the link that is configured has its value. What is not configured is whatever
// it is: a sniffer in the container makes no difference.
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { vethPeer } from "../../lib/netlink/route/peer.ts";
import { backupName, readBackup } from "./backup.ts";
import { changesLink, type LinkConf, type TuningConf } from "./conf.ts";
import { settingDifferences, settingsOf } from "./sysctls.ts";

type Check = AttachmentRequest<TuningConf>;

/** Throws a CniError that names every difference. */
export function check(request: Check, host: Host): void {
  const { conf, attachment } = request;
  const settings = settingsOf(conf.sysctls, attachment.ifName);
  if (request.prevResult() === undefined) {
    throw new CniError("invalidConfig", "Required prevResult missing", {
      hint: "a runtime passes the result of ADD to CHECK",
    });
  }
  const netns = openContainer(request.netns, host);
  let differences: string[];
  try {
    differences = settingDifferences(host, netns, settings);
    if (changesLink(conf.link)) differences.push(...linkDifferences(request, host, netns));
  } finally {
    netns.close();
  }
  if (differences.length === 0) return;
  throw new CniError("internal", differences.join("; "), {
    hint: "delete the container and let it be made again, or put these right by hand",
  });
}

function linkDifferences({ conf, attachment }: Check, host: Host, netns: Netns): string[] {
  const pod = openRoute(host, netns);
  const node = openRoute(host);
  try {
    const link = pod.link.get(attachment.ifName);
    if (link === undefined) return [`Cannot find container link ${attachment.ifName}`];
    const differences = compare(link, conf.link);
    const { mtu } = conf.link;
    // Go's plugin leaves the node's end alone, and ours may have: then nothing is kept of it.
    const kept = mtu === undefined ? undefined : readBackup(conf.dataDir, backupName(attachment), host)?.backup?.peer;
    const peer = kept === undefined ? undefined : vethPeer(node, link, (name) => name === kept.name);
    if (peer !== undefined && peer.mtu !== mtu)
      differences.push(`Tuning configured MTU of ${peer.name} is ${mtu}, current value is ${peer.mtu}`);
    return differences;
  } finally {
    pod.close();
    node.close();
  }
}

function compare(link: Link, conf: LinkConf): string[] {
  const properties = [
    ["Ethernet", conf.mac, link.mac],
    ["promisc", conf.promisc, link.promisc],
    ["MTU", conf.mtu, link.mtu],
    ["all-multicast mode", conf.allMulti, link.allMulti],
    ["Transmit Queue Length", conf.txQueueLength, link.txQueueLength],
  ] as const;
  return properties
    .filter(([, wanted, found]) => wanted !== undefined && wanted !== found)
    .map(
      ([what, wanted, found]) => `Tuning configured ${what} of ${link.name} is ${wanted}, current value is ${found}`,
    );
}
