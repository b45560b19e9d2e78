// CHECK: every port still leads to this container: its rules and the shared way to them are there, nobody else's mapping
// comes before them, and 127.0.0.1 may leave by the container's link.
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { containerAddresses, type Addresses } from "./address.ts";
import { chooseBackend } from "./choose.ts";
import type { PortmapConf } from "./conf.ts";
import { holderText } from "./holder.ts";
import { localnetSetting } from "./localnet.ts";
import { whoseTests } from "./own.ts";

/** Throws a CniError that names every difference. */
export function check(request: AttachmentRequest<PortmapConf>, host: Host): void {
  const { conf, network, attachment } = request;
  const prevResult = request.prevResult();
  if (prevResult === undefined)
    throw new CniError("invalidConfig", "Required prevResult missing", {
      hint: "a runtime passes the result of ADD to CHECK",
    });
  if (conf.mappings.length === 0) return;
  const addresses = containerAddresses(prevResult, attachment.ifName);
  const owner = { network, attachment, ...whoseTests(host, request, addresses) };
  const { missing, holders } = chooseBackend(conf, host).compare({ conf, ...owner, addresses }, host);
  const differences = [
    ...missing.map((rule) => `missing rule: ${rule}`),
    ...holders.map(holderText),
    ...localnetDifference(conf, addresses, host),
  ];
  if (differences.length === 0) return;
  throw new CniError("internal", differences.join("; "), {
    hint: "delete the container and let it be made again; did something flush or reload the firewall?",
  });
}

function localnetDifference({ snat }: PortmapConf, addresses: Addresses, host: Host): string[] {
  const setting = snat && addresses[4] !== undefined ? localnetSetting(host, addresses[4].ip) : undefined;
  return setting === undefined || host.readSysctl(setting) === "1" ? [] : [`${setting} is not 1`];
}
