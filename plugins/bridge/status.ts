// STATUS: whether an ADD could work is IPAM's to say; the bridge is made when it is needed.
import { delegateVerb } from "../../lib/cni/delegate.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { BridgeConf } from "./conf.ts";

export async function status(request: Request<BridgeConf>, host: Host): Promise<void> {
  const { ipam } = request.conf;
  if (ipam !== undefined) await delegateVerb(request, host, "STATUS", ipam, request.source.text);
}
