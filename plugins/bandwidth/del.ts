import { Faults } from "../../lib/cni/faults.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { BandwidthConf } from "./conf.ts";
import { ownIfbs } from "./ifb.ts";

/** Deletes the link that was made for the attachment; what is on the veth pair goes with that. Needs neither netns nor result. */
export function del({ network, attachment }: AttachmentRequest<BandwidthConf>, host: Host): void {
  const faults = new Faults(host);
  const node = openRoute(host);
  try {
    for (const { ifIndex } of ownIfbs(host, node, network, attachment))
      faults.attempt(() => void node.link.del(ifIndex));
  } finally {
    node.close();
  }
  faults.end();
}
