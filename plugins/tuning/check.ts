// CHECK: every setting and every property of the link that is configured has its value. What is not configured is whatever
// it is: a sniffer in the container makes no difference.
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { vethPeer } from "../../lib/netlink/route/peer.ts";
import { backupName, readBackup } from "./backup.ts";
import { linkDifferences, settingDifferences } from "./compare.ts";
import { changesLink, type TuningConf } from "./conf.ts";
import { settingsOf } from "./sysctls.ts";

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
    const ofLink = changesLink(conf.link) ? podDifferences(request, host, netns) : [];
    differences = [...settingDifferences(host, netns, settings), ...ofLink];
  } finally {
    netns.close();
  }
  if (differences.length === 0) return;
  throw new CniError("internal", differences.join("; "), {
    hint: "delete the container and let it be made again, or put these right by hand",
  });
}

function podDifferences({ conf, attachment }: Check, host: Host, netns: Netns): string[] {
  const pod = openRoute(host, netns);
  const node = openRoute(host);
  try {
    const link = pod.link.get(attachment.ifName);
    const differences = link === undefined ? [] : linkDifferences(link, conf.link);
    if (link === undefined) {
      differences.push(`Cannot find container link ${attachment.ifName}`);
      return differences;
    }
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
