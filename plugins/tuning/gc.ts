import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import { removeStale } from "../../lib/cni/stale-file.ts";
import type { Host } from "../../lib/host/host.ts";
import { backupName, listBackups } from "./backup.ts";
import type { TuningConf } from "./conf.ts";

/**
 * Removes what this network keeps of links of no valid attachment: where they were is not known any more. Files of Go's
 * plugin do not say whose they are; a runtime finds their attachments in its results, and DELs them before it asks for GC.
 */
export function gc({ network, conf, valid }: GcRequest<TuningConf>, host: Host): void {
  const validNames = new Set(valid.map(backupName));
  const faults = new Faults(host);
  for (const { name, path, backup } of listBackups(conf.dataDir, host)) {
    if (backup?.network !== network || validNames.has(name)) continue;
    host.log(`tuning: removing ${path}, of no valid attachment`);
    faults.attempt(() => removeStale("tuning", host, () => host.files.remove(path)));
  }
  faults.attempt(() => removeStale("tuning", host, () => host.files.removeAbandoned(conf.dataDir)));
  faults.end();
}
