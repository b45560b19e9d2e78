import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host, PreparedFile } from "../../lib/host/host.ts";
import { equalIps, formatIp } from "../../lib/ip/ip.ts";
import { allocateNext, allocateRequested, type Allocation } from "./allocate.ts";
import type { HostLocalConf } from "./conf.ts";
import { rangeOf, type RangeSet } from "./ranges.ts";
import { parseResolvConf } from "./resolv-conf.ts";
import { openStore, type LockedStore, type ReservationStore } from "./store.ts";

/** Reserves one address of each range set for the attachment; all of them or none. */
export function add(request: AttachmentRequest<HostLocalConf>, host: Host): Result {
  const { conf, network } = request;
  const dns = conf.resolvConf === "" ? {} : parseResolvConf(host.files.read(conf.resolvConf));
  const store = openStore(host, conf.dataDir, network, { create: true });
  const reservations: PreparedFile[] = [];
  try {
    for (const _ of conf.rangeSets) reservations.push(store.prepare(request.attachment));
    const allocations = store.locked((locked) => allocateAll(locked, request, reservations, host));
    syncOrFree(store, allocations);
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
  store: LockedStore,
  request: AttachmentRequest<HostLocalConf>,
  reservations: readonly PreparedFile[],
  host: Host,
): Allocation[] {
  const { rangeSets, requested } = request.conf;
  const held = store.heldBy(request.attachment);
  const left = [...requested];
  const done: Allocation[] = [];
  try {
    for (const [at, set] of rangeSets.entries()) {
      const reservation = reservations[at];
      if (reservation === undefined) continue;
      const wanted = left.findIndex((ip) => rangeOf(set, ip) !== undefined);
      const ip = wanted < 0 ? undefined : left.splice(wanted, 1)[0];
      try {
        if (ip === undefined) refuseDuplicate(held, set, request.attachment.containerId);
        const allocation =
          ip === undefined ? allocateNext(store, reservation, set, at) : allocateRequested(store, reservation, set, ip);
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
    for (const { ip } of done) if (!held.some((each) => equalIps(each, ip))) store.free(ip);
    throw error;
  }
}

/** One attachment, one address in a set: asked twice, something upstream lost count. */
function refuseDuplicate(
  held: readonly { readonly family: 4 | 6; readonly value: bigint }[],
  set: RangeSet,
  containerId: string,
): void {
  const duplicate = held.find((ip) => rangeOf(set, ip) !== undefined);
  if (duplicate === undefined) return;
  throw new CniError(
    "internal",
    `${formatIp(duplicate)} has been allocated to ${containerId}, duplicate allocation is not allowed`,
    {
      hint: "this attachment was added before and never deleted: call DEL for it first",
    },
  );
}

/** A reservation that might not survive was not made. */
function syncOrFree(store: ReservationStore, allocations: readonly Allocation[]): void {
  try {
    store.sync();
  } catch (error) {
    store.locked((locked) => {
      for (const { ip } of allocations) locked.free(ip);
    });
    throw error;
  }
}
