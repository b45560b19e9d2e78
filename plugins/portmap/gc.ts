// GC: the rules of the network's attachments that are not valid go, out of both backends. Rules of nf_tables that the Go
// plugin made do not say of which network they are; a runtime finds those attachments in its results, and DELs them first.
import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { removeStaleRules } from "./remove.ts";

export function gc({ network, valid }: GcRequest<unknown>, host: Host): void {
  const faults = new Faults(host);
  removeStaleRules(host, network, valid, faults);
  faults.end();
}
