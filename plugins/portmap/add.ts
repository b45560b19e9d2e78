// ADD: ports of the node come to lead to the container. The rules are made in one step for each family, and taken back
// when anything fails; what several containers share stays.
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import { Faults } from "../../lib/cni/faults.ts";
import { Undo } from "../../lib/cni/undo.ts";
import type { Host } from "../../lib/host/host.ts";
import { containerAddresses, familiesOf } from "./address.ts";
import { chooseBackend } from "./choose.ts";
import type { PortmapConf } from "./conf.ts";
import { forgetFlows } from "./flows.ts";
import { Judge } from "./holder.ts";
import { allowLocalnet } from "./localnet.ts";
import { whoseTests } from "./own.ts";
import { removeRules } from "./remove.ts";

/** Maps the ports to the addresses of the result before it, which it passes on. Without mappings it looks at nothing. */
export function add(request: AttachmentRequest<PortmapConf>, host: Host): Result {
  const { conf, network, attachment } = request;
  const before = request.prevResult();
  if (before === undefined)
    throw new CniError("invalidConfig", "must be called as chained plugin", {
      hint: "portmap comes after the plugin that gives the container its addresses",
    });
  if (conf.mappings.length === 0) return before;
  const addresses = containerAddresses(before, attachment.ifName);
  const owner = { network, attachment, ...whoseTests(host, request, addresses) };
  const backend = chooseBackend(conf, host);
  const undo = new Undo();
  try {
    undo.push("remove the rules", () => {
      const faults = new Faults(host);
      removeRules(host, owner, faults);
      faults.end();
    });
    backend.ensure({ conf, ...owner, addresses }, new Judge(host, conf), host);
    if (conf.snat && addresses[4] !== undefined) allowLocalnet(host, addresses[4].ip);
  } catch (error) {
    undo.run(host);
    throw error;
  }
  forgetFlows(host, familiesOf(addresses), conf.mappings);
  return before;
}
