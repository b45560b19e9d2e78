// Choosing an address out of a range set, under the store's lock.
import { CniError } from "../../lib/cni/error.ts";
import type { Host, PreparedFile } from "../../lib/host/host.ts";
import { equalIps, formatIp, type Ip } from "../../lib/ip/ip.ts";
import { exhaustion } from "./fullness.ts";
import { namedOwner } from "./owner.ts";
import { candidates, formatSet, gives, rangeOf, type Range, type RangeSet } from "./ranges.ts";
import { leftBehind, goneByCache } from "./reclaim.ts";
import type { Holding, LockedStore } from "./store.ts";

export interface Allocation {
  readonly ip: Ip;
  readonly range: Range;
}

/** What an allocation works on. */
export interface Pool {
  readonly host: Host;
  readonly network: string;
  readonly directory: string;
  readonly store: LockedStore;
}

/** Gives a reservation the address that was asked for. Throws a CniError (999) when it cannot be had. */
export function allocateRequested(pool: Pool, reservation: PreparedFile, set: RangeSet, ip: Ip): Allocation {
  const { store } = pool;
  const text = formatIp(ip);
  const fault = (msg: string, hint: string) => new CniError("internal", msg, { hint });
  const range = rangeOf(set, ip);
  if (range === undefined) throw fault(`${text} not in range set ${formatSet(set)}`, "request an address of the range");
  if (equalIps(ip, range.gateway)) throw fault(`requested ip ${text} is subnet's gateway`, "request another address");
  if (store.reserve(reservation, ip)) return { ip, range };
  const holding = store.holding(text);
  if (holding !== undefined && reclaim(pool, [holding]) > 0 && store.reserve(reservation, ip)) return { ip, range };
  const owner = namedOwner(holding?.owner ?? "nobody");
  throw fault(
    `requested IP address ${text} is not available in range set ${formatSet(set)}`,
    owner === undefined
      ? `the file of that name in the network's directory takes it, and names no container: remove the file`
      : `container ${owner.containerId} holds it`,
  );
}

/** Gives a reservation the next free address. Throws a CniError (999) when there is none. */
export function allocateNext(pool: Pool, reservation: PreparedFile, set: RangeSet, rangeSet: number): Allocation {
  const { host, network, directory, store } = pool;
  const last = store.lastReserved(rangeSet);
  const free = reserveFirst(store, reservation, set, last);
  if (free !== undefined) return free;
  const holdings = store.holdings().filter(({ ip }) => gives(set, ip));
  const reclaimed = reclaim(pool, holdings) > 0 ? reserveFirst(store, reservation, set, last) : undefined;
  if (reclaimed !== undefined) return reclaimed;
  throw exhaustion("ADD", set, holdings, goneByCache(host, network, holdings), directory);
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
    taken ??= new Set(store.names());
  }
  return undefined;
}

/** Frees those of the holdings that nobody can be using any more; how many those were. */
export function reclaim({ host, network, store }: Pool, holdings: readonly Holding[]): number {
  const left = leftBehind(host, network, holdings, "in ADD");
  for (const { name, owner } of left) {
    store.free(name);
    const whose = namedOwner(owner)?.containerId;
    host.log(
      whose === undefined
        ? `host-local: ${name} is free again: its file was empty, as a crash leaves it`
        : `host-local: ${name} is free again: container ${whose} had it before this boot, and is no more`,
    );
  }
  return left.length;
}
