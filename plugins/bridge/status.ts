// STATUS: whether an ADD could work. The bridge is made when it is needed, so nothing may stand in its place; the rest is
// IPAM's to say. A kubelet asks every five seconds for ever, so it must be cheap.
import { delegateVerb } from "../../lib/cni/delegate.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { BridgeConf } from "./conf.ts";
import { notABridge } from "./ensure-bridge.ts";

/** Throws a CniError (50) where a link of the bridge's name is no bridge, else what the IPAM plugin throws. */
export async function status(request: Request<BridgeConf>, host: Host): Promise<void> {
  const { bridge, ipam } = request.conf;
  if (!isShownAsBridge(host, bridge)) lookForAnother(host, bridge);
  if (ipam !== undefined) await delegateVerb(request, host, "STATUS", ipam, request.source.text);
}

/**
 * What sysfs shows costs one call, and waits for nobody; netlink waits for whoever changes links just now. It shows the
 * links of the netns it was mounted in, so that it shows none says nothing.
 */
const isShownAsBridge = (host: Host, name: string): boolean =>
  host.files.stat(`/sys/class/net/${name}/bridge`) !== undefined;

function lookForAnother(host: Host, name: string): void {
  const node = openRoute(host);
  try {
    const link = node.link.get(name);
    if (link !== undefined && link.kind !== "bridge") throw notABridge("STATUS", link);
  } finally {
    node.close();
  }
}
