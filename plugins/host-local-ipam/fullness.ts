// How full a range set is, and the error where it is full: ADD's (999) and STATUS's (50).
import { CniError } from "../../lib/cni/error.ts";
import { formatIp, parseIp } from "../../lib/ip/ip.ts";
import { namedOwner } from "./owner.ts";
import { capacityOf, formatSet, gives, type RangeSet } from "./ranges.ts";
import type { Holding } from "./store.ts";

/** How many of a set's addresses are taken, of a directory's names. An address in another spelling takes nothing. */
export function takenIn(set: RangeSet, names: readonly string[]): number {
  let count = 0;
  for (const name of names) {
    const ip = parseIp(name);
    if (ip !== undefined && gives(set, ip) && formatIp(ip) === name) count++;
  }
  return count;
}

/** A set has no address left. `holdings` are those of the set, `gone` those of them whose owner is, by libcni's cache. */
export function exhaustion(
  verb: "ADD" | "STATUS",
  set: RangeSet,
  holdings: readonly Holding[],
  gone: readonly Holding[],
  directory: string,
): CniError {
  const ids = new Set(holdings.flatMap(({ owner }) => namedOwner(owner)?.containerId ?? []));
  const nameless = holdings.filter(({ owner }) => namedOwner(owner) === undefined);
  const some = (of: readonly Holding[]) => of.slice(0, 3).map(({ name }) => name) + (of.length > 3 ? ", ..." : "");
  const dead =
    gone.length === 0
      ? ""
      : `; ${gone.length} have no live owner in libcni's cache (/var/lib/cni/results): ${some(gone)}`;
  const unread = nameless.length === 0 ? "" : `; ${nameless.length} files name no container: ${some(nameless)}`;
  return new CniError(
    verb === "ADD" ? "internal" : "unavailable",
    `no IP addresses available in range set: ${formatSet(set)}`,
    {
      details: `${capacityOf(set)} addresses can be given; ${holdings.length} files in ${directory} take them, for ${ids.size} containers${dead}${unread}`,
      hint: "each file holds the id of its container: where that no longer runs, its DEL never came, and GC or removing the file frees the address",
    },
  );
}
