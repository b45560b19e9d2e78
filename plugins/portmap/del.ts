// DEL: whatever an ADD made for this attachment goes, out of both backends. What it is called follows from the request, so
// that neither mappings nor a result are needed; where nobody has mappings, a look at a few names is all there is to do.
import { Faults } from "../../lib/cni/faults.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { backends } from "./choose.ts";
import type { PortmapConf } from "./conf.ts";
import { forgetFlows } from "./flows.ts";

export function del({ conf, network, attachment }: AttachmentRequest<PortmapConf>, host: Host): void {
  const faults = new Faults(host);
  for (const backend of Object.values(backends)) faults.attempt(() => backend.remove({ network, attachment }, host));
  // Flows that go on would be sent to an address that another container may have next.
  forgetFlows(host, [4, 6], conf.mappings);
  faults.end();
}
