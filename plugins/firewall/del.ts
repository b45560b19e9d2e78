// DEL: what let the container's packets pass goes, out of both backends. The rules that keep its bridge apart stay while
// there is that bridge, as the Go plugin leaves them: other containers may be on it.
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Ip } from "../../lib/ip/ip.ts";
import { removeRules } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { addressesIn } from "./wish.ts";

export function del(request: AttachmentRequest<FirewallConf>, host: Host): void {
  removeRules(host, request.attachment, knownAddresses(request, host));
}

/** Of the result of ADD, where the runtime passes one that can be read. */
function knownAddresses(request: AttachmentRequest<FirewallConf>, host: Host): Ip[] {
  try {
    const result = request.prevResult();
    return result === undefined ? [] : addressesIn(result);
  } catch (error) {
    host.log(`firewall: ${(error as Error).message}`);
    return [];
  }
}
