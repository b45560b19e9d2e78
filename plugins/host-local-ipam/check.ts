import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, formatIp } from "../../lib/ip/ip.ts";
import type { HostLocalConf } from "./conf.ts";
import { rangeOf } from "./ranges.ts";
import { openStore } from "./store.ts";

/** The attachment holds an address, and every address of its result that is ours to give. */
export function check(request: AttachmentRequest<HostLocalConf>, host: Host): void {
  const { conf, network, attachment } = request;
  const store = openStore(host, conf.dataDir, network, { create: false });
  const held = store?.locked((locked) => locked.heldBy(attachment)) ?? [];
  if (held.length === 0)
    throw new CniError("internal", `host-local: Failed to find address added by container ${attachment.containerId}`, {
      details: `no file in ${conf.dataDir}/${network} names ${attachment.containerId} and ${attachment.ifName}`,
      hint: "the reservation is lost and its address may be given to another: delete and add the container anew",
    });
  const ours = (request.prevResult()?.ips ?? [])
    .map(({ address }) => address.ip)
    .filter((ip) => conf.rangeSets.some((set) => rangeOf(set, ip) !== undefined));
  const lost = ours.filter((ip) => !held.some((each) => equalIps(each, ip)));
  if (lost.length === 0) return;
  throw new CniError(
    "internal",
    `host-local: ${lost.map(formatIp).join(", ")} of container ${attachment.containerId} is not reserved for it`,
    {
      details: `it holds ${held.map(formatIp).join(", ")} in ${conf.dataDir}/${network}`,
      hint: "its address may be given to another: delete and add the container anew",
    },
  );
}
