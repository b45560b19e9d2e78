// STATUS is asked every few seconds for as long as the node runs: nothing is written, one look at the names, no lock and
// no content. Only a full set is looked into.
import type { Request } from "../../lib/cni/plugin.ts";
import { refuseUnwritable } from "../../lib/cni/writable.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import { exhaustion, takenIn } from "./fullness.ts";
import { capacityOf, formatSet, gives, type RangeSet } from "./ranges.ts";
import { leftBehind, goneByCache } from "./reclaim.ts";
import { openStore } from "./store.ts";

/** Fewer free than one in this many is worth a warning. */
const warnBelowOneIn = 10n;

/** An ADD could succeed now. That the configuration is one has been seen before this is called. */
export function status({ conf, network }: Request<HostLocalConf>, host: Host): void {
  refuseUnwritable(host, conf.directory, "reservation");
  const store = openStore(host, conf.directory, { create: false });
  const names = store.names();
  for (const set of conf.rangeSets) {
    const capacity = capacityOf(set);
    const nearlyAll = capacity - capacity / warnBelowOneIn;
    // Few files in all take few of any set: an IPv6 /64, or a /16, is never counted.
    if (BigInt(names.length) < nearlyAll) continue;
    const taken = BigInt(takenIn(set, names));
    if (taken >= capacity) refuseFull(set);
    else if (taken >= nearlyAll)
      host.log(`host-local: warning: ${taken} of ${capacity} addresses of range set ${formatSet(set)} are taken`);
  }

  function refuseFull(set: RangeSet): void {
    const holdings = store.holdings().filter(({ ip }) => gives(set, ip));
    const left = leftBehind(host, network, holdings, "at any time");
    // Not a refusal: a node that is not ready gets no ADD, which would reclaim them.
    if (left.length === 0)
      throw exhaustion("STATUS", set, holdings, goneByCache(host, network, holdings), conf.directory);
    host.log(
      `host-local: warning: every address of range set ${formatSet(set)} is taken; the next ADD reclaims ${left.length} that nobody uses`,
    );
  }
}
