import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { BandwidthConf } from "./conf.ts";
import { staleIfbs } from "./ifb.ts";

/**
 * Deletes this network's links of no valid attachment. Those of Go's plugin do not say whose they are, and stay; a runtime
 * finds their attachments in its results, and DELs them before it asks for GC.
 */
export function gc({ network, valid }: GcRequest<BandwidthConf>, host: Host): void {
  const faults = new Faults(host);
  const node = openRoute(host);
  try {
    for (const { ifIndex, name, alias } of staleIfbs(host, node.link.list(), network, valid)) {
      host.log(`bandwidth: deleting ${alias === undefined ? name : `${name} (${alias})`}, of no valid attachment`);
      faults.attempt(() => void node.link.del(ifIndex));
    }
  } finally {
    node.close();
  }
  faults.end();
}
