import { Faults } from "../../lib/cni/faults.ts";
import type { Attachment, GcRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import type { Owner } from "./owner.ts";
import { openStore } from "./store.ts";

/** Frees every address that no valid attachment holds, and what a crash left. Files that are no addresses stay. */
export function gc({ conf, valid }: GcRequest<HostLocalConf>, host: Host): void {
  const faults = new Faults(host);
  openStore(host, conf.directory, { create: false }).locked((store) => {
    for (const { name, owner } of store.holdings()) if (!isValid(owner, valid)) faults.attempt(() => store.free(name));
  });
  faults.end();
}

/** The container id alone stands for all its interfaces. A file that names nobody was never anybody's. */
function isValid(owner: Owner, valid: readonly Attachment[]): boolean {
  if (typeof owner !== "object") return false;
  return valid.some(
    ({ containerId, ifName }) => containerId === owner.containerId && (owner.ifName ?? ifName) === ifName,
  );
}
