// STATUS: whether an ADD could work. The bridge is made when it is needed, so nothing may stand in its place; the rest is
// IPAM's to say. A kubelet asks every five seconds for ever: one look, and no more.
import { delegateVerb } from "../../lib/cni/delegate.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { BridgeConf } from "./conf.ts";
import { notABridge } from "./ensure-bridge.ts";

/** Throws a CniError (50) where a link of the bridge's name is no bridge, else what the IPAM plugin throws. */
export async function status(request: Request<BridgeConf>, host: Host): Promise<void> {
  const { bridge, ipam } = request.conf;
  const node = openRoute(host);
  try {
    const link = node.link.get(bridge);
    if (link !== undefined && link.kind !== "bridge") throw notABridge("STATUS", link);
  } finally {
    node.close();
  }
  if (ipam !== undefined) await delegateVerb(request, host, "STATUS", ipam, request.source.text);
}
