// STATUS: whether an ADD could work. The bridge is made when it is needed, so nothing may stand in its place; the rest is
// IPAM's to say. A kubelet asks every five seconds for ever, so it must be cheap.
import { delegateVerb } from "../../lib/cni/delegate.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { BridgeConf } from "./conf.ts";
import { refuseForeignLink } from "./foreign-link.ts";
import { checkRulesPossible } from "./rules.ts";

/**
 * Throws a CniError (50) where a link of the bridge's name is no bridge, or packet filter rules that are asked for could
 * not be made, else what the IPAM plugin throws.
 */
export function status(request: Request<BridgeConf>, host: Host): void {
  const { bridge, ipam, ipMasq, macSpoofCheck } = request.conf;
  if (!isShownAsBridge(host, bridge)) refuseForeignLink(host, bridge);
  if (ipMasq || macSpoofCheck) checkRulesPossible(host, request.conf);
  if (ipam !== undefined) delegateVerb(request, host, "STATUS", ipam, request.source);
}

/**
 * What sysfs shows costs one call and waits for nobody; netlink waits for whoever changes links just now. It shows the links of the netns it was mounted in, so that it shows none says nothing.
 */
const isShownAsBridge = (host: Host, name: string): boolean =>
  host.files.stat(`/sys/class/net/${name}/bridge`) !== undefined;
