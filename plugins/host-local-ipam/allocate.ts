// Choosing an address out of a range set, under the store's lock.
import { CniError } from "../../lib/cni/error.ts";
import type { PreparedFile } from "../../lib/host/host.ts";
import { equalIps, formatIp, type Ip } from "../../lib/ip/ip.ts";
import { candidates, formatSet, rangeOf, sizeOf, type Range, type RangeSet } from "./ranges.ts";
import type { LockedStore } from "./store.ts";

export interface Allocation {
  readonly ip: Ip;
  readonly range: Range;
}

/** Reserves a requested address. Throws a CniError (999) when it cannot be had. */
export function allocateRequested(store: LockedStore, reservation: PreparedFile, set: RangeSet, ip: Ip): Allocation {
  const text = formatIp(ip);
  const fault = (msg: string, hint: string) => new CniError("internal", msg, { hint });
  const range = rangeOf(set, ip);
  if (range === undefined) throw fault(`${text} not in range set ${formatSet(set)}`, "request an address of the range");
  if (equalIps(ip, range.gateway)) throw fault(`requested ip ${text} is subnet's gateway`, "request another address");
  if (!store.reserve(reservation, ip))
    throw fault(
      `requested IP address ${text} is not available in range set ${formatSet(set)}`,
      "somebody holds it: the file of that name in the network's directory says who",
    );
  return { ip, range };
}

/** Reserves the next free address of a set. Throws a CniError (999) when there is none. */
export function allocateNext(
  store: LockedStore,
  reservation: PreparedFile,
  set: RangeSet,
  rangeSet: number,
): Allocation {
  const last = store.lastReserved(rangeSet);
  const free =
    firstFree(store, reservation, set, last) ??
    (reclaimEmpty(store, set) ? firstFree(store, reservation, set, last) : undefined);
  if (free === undefined) throw exhausted(store, set);
  return free;
}

function firstFree(
  store: LockedStore,
  reservation: PreparedFile,
  set: RangeSet,
  last: Ip | undefined,
): Allocation | undefined {
  for (const candidate of candidates(set, last)) if (store.reserve(reservation, candidate.ip)) return candidate;
  return undefined;
}

/**
 * Frees the addresses whose files are empty. Every writer fills its file while it holds the lock, so under the lock an
 * empty file is what a crash or a power loss left of one. True when there were some.
 */
function reclaimEmpty(store: LockedStore, set: RangeSet): boolean {
  const empty = store.all().filter(({ ip, content }) => content.trim() === "" && rangeOf(set, ip) !== undefined);
  for (const { ip } of empty) store.free(ip);
  return empty.length > 0;
}

function exhausted(store: LockedStore, set: RangeSet): CniError {
  const held = store.all().filter(({ ip }) => rangeOf(set, ip) !== undefined);
  const owners = new Set(held.map(({ content }) => content.trim().split(/\r?\n/)[0]));
  return new CniError("internal", `no IP addresses available in range set: ${formatSet(set)}`, {
    details: `of ${sizeOf(set)} addresses ${held.length} are held by ${owners.size} containers, and gateways are not handed out`,
    hint: "compare the container ids in the network's directory with the containers that run: files of others are left over and may be removed",
  });
}
