// Choosing an address out of a range set, under the store's lock.
import { CniError } from "../../lib/cni/error.ts";
import type { PreparedFile } from "../../lib/host/host.ts";
import { equalIps, formatIp, type Ip } from "../../lib/ip/ip.ts";
import { namedOwner } from "./owner.ts";
import { candidates, capacityOf, formatSet, rangeOf, type Range, type RangeSet } from "./ranges.ts";
import type { Holding, LockedStore } from "./store.ts";

export interface Allocation {
  readonly ip: Ip;
  readonly range: Range;
}

/** Gives a reservation the address that was asked for. Throws a CniError (999) when it cannot be had. */
export function allocateRequested(store: LockedStore, reservation: PreparedFile, set: RangeSet, ip: Ip): Allocation {
  const text = formatIp(ip);
  const fault = (msg: string, hint: string) => new CniError("internal", msg, { hint });
  const range = rangeOf(set, ip);
  if (range === undefined) throw fault(`${text} not in range set ${formatSet(set)}`, "request an address of the range");
  if (equalIps(ip, range.gateway)) throw fault(`requested ip ${text} is subnet's gateway`, "request another address");
  if (store.reserve(reservation, ip)) return { ip, range };
  const isThis = (holding: Holding) => equalIps(holding.ip, ip);
  const holding = store.holdings().find(isThis);
  if (freeEmpty(store, isThis) && store.reserve(reservation, ip)) return { ip, range };
  const owner = namedOwner(holding?.owner);
  throw fault(
    `requested IP address ${text} is not available in range set ${formatSet(set)}`,
    owner === undefined
      ? `the file of that name in the network's directory takes it, and names no container: remove the file`
      : `container ${owner.containerId} holds it`,
  );
}

/** Gives a reservation the next free address. Throws a CniError (999) when there is none. */
export function allocateNext(
  store: LockedStore,
  reservation: PreparedFile,
  set: RangeSet,
  rangeSet: number,
  directory: string,
): Allocation {
  const last = store.lastReserved(rangeSet);
  const found =
    reserveFirst(store, reservation, set, last) ??
    (freeEmpty(store, ({ ip }) => rangeOf(set, ip) !== undefined)
      ? reserveFirst(store, reservation, set, last)
      : undefined);
  if (found === undefined) throw exhausted(store, set, directory);
  return found;
}

/** Nearly always the first candidate is free; where it is not, one look at the directory tells which are. */
function reserveFirst(
  store: LockedStore,
  reservation: PreparedFile,
  set: RangeSet,
  last: Ip | undefined,
): Allocation | undefined {
  let taken: ReadonlySet<string> | undefined;
  for (const candidate of candidates(set, last)) {
    if (taken?.has(formatIp(candidate.ip))) continue;
    if (store.reserve(reservation, candidate.ip)) return candidate;
    taken ??= store.names();
  }
  return undefined;
}

/** Frees those of these addresses whose files are empty, which only a crash leaves behind. True when there were some. */
function freeEmpty(store: LockedStore, which: (holding: Holding) => boolean): boolean {
  const empty = store.holdings().filter((holding) => holding.owner === "empty" && which(holding));
  for (const { name } of empty) store.free(name);
  return empty.length > 0;
}

function exhausted(store: LockedStore, set: RangeSet, directory: string): CniError {
  const held = store.holdings().filter(({ ip }) => rangeOf(set, ip) !== undefined);
  const ids = held.flatMap(({ owner }) => namedOwner(owner)?.containerId ?? []);
  const nameless = held.filter(({ owner }) => namedOwner(owner) === undefined).map(({ name }) => name);
  const unread =
    nameless.length === 0 ? "" : `; ${nameless.length} files name no container: ${nameless.slice(0, 3).join(", ")}`;
  return new CniError("internal", `no IP addresses available in range set: ${formatSet(set)}`, {
    details: `${capacityOf(set)} addresses can be given; ${held.length} files in ${directory} take them, for ${new Set(ids).size} containers${unread}`,
    hint: "each file holds the id of its container: where that no longer runs, its DEL never came, and the file can be removed",
  });
}
