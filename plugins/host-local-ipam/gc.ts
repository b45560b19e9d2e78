import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import type { Owner } from "./owner.ts";
import { openStore } from "./store.ts";

/**
 * Frees every address that no valid attachment holds, whatever the ranges are by now, and what a crash left. What no
 * plugin makes stays: names that are no addresses, and directories.
 */
export function gc({ conf, valid }: GcRequest<HostLocalConf>, host: Host): void {
  const containers = new Set(valid.map(({ containerId }) => containerId));
  const attachments = new Set(valid.map(({ containerId, ifName }) => `${containerId}\n${ifName}`));
  const stays = (owner: Owner): boolean => {
    if (typeof owner !== "object") return owner === "no file";
    // The container id alone stands for all its interfaces.
    if (owner.ifName === undefined) return containers.has(owner.containerId);
    return attachments.has(`${owner.containerId}\n${owner.ifName}`);
  };
  const faults = new Faults(host);
  openStore(host, conf.directory, { create: false }).locked((store) => {
    for (const name of store.names())
      faults.attempt(() => {
        const holding = store.holding(name);
        if (holding !== undefined && !stays(holding.owner)) store.free(name);
      });
  });
  faults.attempt(() => host.files.removeAbandoned(conf.directory));
  faults.end();
}
