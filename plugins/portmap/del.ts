// DEL: whatever an ADD made for this attachment goes, out of both backends. What it is called follows from the request, so
// that neither mappings nor a result are needed; where nobody has mappings, a look at a few names is all there is to do.
import { Faults } from "../../lib/cni/faults.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { containerAddresses, type Addresses } from "./address.ts";
import type { PortmapConf } from "./conf.ts";
import { forgetFlows } from "./flows.ts";
import { whoseTests } from "./own.ts";
import { removeRules } from "./remove.ts";

type Del = AttachmentRequest<PortmapConf>;

export function del(request: Del, host: Host): void {
  const { conf, network, attachment } = request;
  const faults = new Faults(host);
  removeRules(host, { network, attachment, ...whoseTests(host, request, knownAddresses(request, host)) }, faults);
  // Flows that go on would be sent to an address that another container may have next.
  forgetFlows(host, [4, 6], conf.mappings);
  faults.end();
}

/** Of the result of ADD, where the runtime passes one that can be read. */
function knownAddresses(request: Del, host: Host): Addresses | undefined {
  try {
    const result = request.prevResult();
    return result && containerAddresses(result, request.attachment.ifName);
  } catch (error) {
    host.log(`portmap: ${(error as Error).message}`);
    return undefined;
  }
}
