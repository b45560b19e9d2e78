// GC: the rules of the network's attachments that are not valid go, out of both backends. The Go plugin's rules say nothing
// of whose they are; a runtime finds those attachments in its results, and DELs them first.
import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { removeByIptables } from "./iptables.ts";
import { removeStaleByNft } from "./nft.ts";
import { allNoted, forget, isSameOwner } from "./records.ts";
import type { Owner } from "./wish.ts";

export function gc({ network, valid }: GcRequest<unknown>, host: Host): void {
  const owners = valid.map((attachment): Owner => ({ network, ...attachment }));
  const faults = new Faults(host);
  faults.attempt(() => removeStaleByNft(host, network, valid));
  faults.attempt(() => removeStaleByIptables(host, network, owners));
  faults.end();
}

/**
 * An address that is noted for somebody gone may be a valid attachment's by now, where the Go plugin took it back and gave
 * it away without a note. So nothing goes while there is a valid one without any.
 */
function removeStaleByIptables(host: Host, network: string, valid: readonly Owner[]): void {
  const all = allNoted(host);
  const isOf = (owner: Owner) => (each: { readonly owner: Owner }) => isSameOwner(each.owner, owner);
  const stale = all.filter(({ owner }) => owner.network === network && !valid.some((each) => isSameOwner(each, owner)));
  if (stale.length === 0) return;
  const unknown = valid.filter((owner) => !all.some(isOf(owner)));
  if (unknown.length > 0) {
    const ids = unknown.map(({ containerId }) => containerId).join(", ");
    host.log(`firewall: rules of ${stale.length} addresses stay, which may be those of ${ids}, made by another plugin`);
    return;
  }
  removeByIptables(
    host,
    stale.map(({ ip }) => ip),
  );
  for (const { ip } of stale) forget(host, ip);
}
