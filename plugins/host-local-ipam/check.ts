import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, formatIp } from "../../lib/ip/ip.ts";
import type { HostLocalConf } from "./conf.ts";
import { rangeOf } from "./ranges.ts";
import { openStore } from "./store.ts";

const hint = "the reservation is lost and its address may be given to another: delete and add the container anew";

/** The attachment holds an address, and every address of its result that is ours to give. */
export function check(request: AttachmentRequest<HostLocalConf>, host: Host): void {
  const { conf, attachment } = request;
  const { containerId, ifName } = attachment;
  const held = openStore(host, conf.directory, { create: false }).locked((store) => store.heldBy(attachment));
  if (held.length === 0)
    throw new CniError("internal", `host-local: Failed to find address added by container ${containerId}`, {
      details: `no file in ${conf.directory} names ${containerId} and ${ifName}`,
      hint,
    });
  const lost = (request.prevResult()?.ips ?? [])
    .map(({ address }) => address.ip)
    .filter((ip) => conf.rangeSets.some((set) => rangeOf(set, ip) !== undefined))
    .filter((ip) => !held.some((each) => equalIps(each.ip, ip)));
  if (lost.length === 0) return;
  throw new CniError(
    "internal",
    `host-local: ${lost.map(formatIp).join(", ")} is not held by container ${containerId}`,
    {
      details: `in ${conf.directory} it holds ${held.map(({ name }) => name).join(", ")}`,
      hint,
    },
  );
}
