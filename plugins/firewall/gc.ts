// GC: the rules of the network's attachments that are not valid go, out of both backends, and policies of bridges that are
// gone. The Go plugin's rules say nothing of whose they are; a runtime finds those attachments in its results, and DELs them
// first.
import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import { removeStale } from "../../lib/cni/stale-file.ts";
import type { Host } from "../../lib/host/host.ts";
import { allNoted, isSameAttachment, removeAbandoned, type Noted } from "./records.ts";
import { removeAddresses } from "./remove.ts";

export function gc(request: GcRequest<unknown>, host: Host): void {
  const faults = new Faults(host);
  faults.attempt(() =>
    removeAddresses(
      host,
      stale(request, host).map(({ ip }) => ip),
    ),
  );
  faults.attempt(() => removeStale("firewall", host, () => removeAbandoned(host)));
  faults.end();
}

/**
 * An address that is noted for somebody gone may be a valid attachment's by now, where the Go plugin took it back and gave
 * it away without a note. So nothing goes while there is a valid one without any.
 */
function stale({ network, valid }: GcRequest<unknown>, host: Host): Noted[] {
  const all = allNoted(host);
  const found = all.filter(
    ({ owner }) => owner.network === network && !valid.some((each) => isSameAttachment(each, owner)),
  );
  const unknown = valid.filter((each) => !all.some(({ owner }) => isSameAttachment(each, owner)));
  if (found.length === 0 || unknown.length === 0) return found;
  const ids = unknown.map(({ containerId }) => containerId).join(", ");
  host.log(`firewall: rules of ${found.length} addresses stay, which may be those of ${ids}, made by another plugin`);
  return [];
}
