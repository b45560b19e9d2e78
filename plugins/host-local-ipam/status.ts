import { CniError } from "../../lib/cni/error.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import { capacityOf, formatSet, rangeOf } from "./ranges.ts";
import { openStore } from "./store.ts";

/** Every range set has an address left. Whether the configuration is one has been seen before this is called. */
export function status({ conf }: Request<HostLocalConf>, host: Host): void {
  const names = openStore(host, conf.directory, { create: false }).locked((store) => store.addresses());
  for (const set of conf.rangeSets) {
    const held = BigInt(names.filter((ip) => rangeOf(set, ip) !== undefined).length);
    if (held < capacityOf(set)) continue;
    throw new CniError("unavailable", `no IP addresses available in range set: ${formatSet(set)}`, {
      details: `${capacityOf(set)} addresses can be given, and ${held} files in ${conf.directory} take them`,
      hint: "each file holds the id of its container: where that no longer runs, its DEL never came, and GC or removing the file frees it",
    });
  }
}
