import { delegateVerb } from "../../lib/cni/delegate.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { BridgeConf } from "./conf.ts";

/** Has the IPAM plugin free what no valid attachment holds. */
export async function gc(request: GcRequest<BridgeConf>, host: Host): Promise<void> {
  const { ipam } = request.conf;
  if (ipam !== undefined) await delegateVerb(request, host, "GC", ipam, request.source.text);
}
