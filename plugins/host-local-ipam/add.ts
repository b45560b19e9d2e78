import { inContext, saidBy } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment, AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host, PreparedFile } from "../../lib/host/host.ts";
import { formatIp, type Ip } from "../../lib/ip/ip.ts";
import { allocateNext, allocateRequested, reclaim, type Allocation, type Pool } from "./allocate.ts";
import type { HostLocalConf } from "./conf.ts";
import { rangeOf, type RangeSet } from "./ranges.ts";
import { noteAdd } from "./reclaim.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { openStore, type Holding, type LockedStore } from "./store.ts";

/** Reserves one address of each range set for the attachment; all of them or none. */
export function add({ conf, attachment, network }: AttachmentRequest<HostLocalConf>, host: Host): Result {
  const dns = conf.resolvConf === "" ? {} : parseResolvConf(host.files.read(conf.resolvConf));
  const store = openStore(host, conf.directory, { create: true });
  const reservations: PreparedFile[] = [];
  noteAdd(host);
  try {
    for (const _ of conf.rangeSets) reservations.push(store.prepare(attachment));
    const allocations = store.locked((locked) =>
      allocateAll({ host, network, directory: conf.directory, store: locked }, attachment, conf, reservations),
    );
    return {
      interfaces: [],
      ips: allocations.map(({ ip, range }) => ({
        address: { ip, length: range.subnet.length },
        gateway: range.gateway,
      })),
      routes: conf.routes,
      dns,
    };
  } finally {
    for (const reservation of reservations) reservation.discard();
  }
}

function allocateAll(
  pool: Pool,
  attachment: Attachment,
  { rangeSets, requested }: HostLocalConf,
  reservations: readonly PreparedFile[],
): Allocation[] {
  const { host, store } = pool;
  const held = store.heldBy(attachment);
  const left = [...requested];
  const done: Allocation[] = [];
  try {
    for (const [at, set] of rangeSets.entries()) {
      const reservation = reservations[at];
      if (reservation === undefined) continue;
      const ip = takeOneOf(left, set);
      try {
        if (ip === undefined) refuseDuplicate(pool, held, set, attachment.containerId);
        const allocation =
          ip === undefined ? allocateNext(pool, reservation, set, at) : allocateRequested(pool, reservation, set, ip);
        done.push(allocation);
        store.setLastReserved(at, allocation.ip);
      } catch (error) {
        throw inContext(error, `failed to allocate for range ${at}`, host);
      }
    }
    if (left.length > 0)
      throw new CniError("internal", `failed to allocate all requested IPs: ${left.map(formatIp).join(" ")}`, {
        hint: "each requested address must lie in a range set of its own",
      });
    return done;
  } catch (error) {
    freeAll(store, done, host);
    throw error;
  }
}

/** The first of the requested addresses that lies in the set, taken off the list. */
function takeOneOf(requested: Ip[], set: RangeSet): Ip | undefined {
  const at = requested.findIndex((ip) => rangeOf(set, ip) !== undefined);
  return at < 0 ? undefined : requested.splice(at, 1)[0];
}

/**
 * One attachment, one address in a set: asked twice, something upstream lost count. But a container that is started anew
 * after a reboot has a right to forget what it had before.
 */
function refuseDuplicate(pool: Pool, held: readonly Holding[], set: RangeSet, containerId: string): void {
  const duplicates = held.filter(({ ip }) => rangeOf(set, ip) !== undefined);
  const [duplicate] = duplicates;
  if (duplicate === undefined || reclaim(pool, duplicates) === duplicates.length) return;
  throw new CniError(
    "internal",
    `${formatIp(duplicate.ip)} has been allocated to ${containerId}, duplicate allocation is not allowed`,
    { hint: "this attachment was added before and never deleted: call DEL for it first" },
  );
}

/** Gives up what this call reserved, and nothing that was held before. The error that led here is the one that counts. */
function freeAll(store: LockedStore, allocations: readonly Allocation[], host: Host): void {
  for (const { ip } of allocations) {
    try {
      store.free(formatIp(ip));
    } catch (error) {
      host.log(`host-local: undo: ${saidBy(error)}`);
    }
  }
}
