// Which reservations nobody can be using: what a crash left empty, and what a reboot left. The files outlive a reboot,
// containers do not, and a runtime that forgot them never calls DEL.
//
// A reservation is left behind by a reboot when all of this holds:
//   * it was written before the kernel started, by /proc/stat;
//   * it was written before any ADD of this boot, by firstAdd: ours is never older than that file, whatever the clock
//     does, since each ADD makes sure of it first. A clock that is set moves what /proc/stat says, too;
//   * libcni's cache knows no network namespace for its owner that is there.
// The boot's id is not needed for that, and would say nothing of what the Go plugin wrote. When in doubt it stays.
import { cachedNames, livesByCache } from "../../lib/cni/result-cache.ts";
import type { Host } from "../../lib/host/host.ts";
import { namedOwner, type NamedOwner } from "./owner.ts";
import type { Holding } from "./store.ts";

/** Its modification time is the earliest the clock said at any ADD since /run was made, which is at boot. */
const firstAdd = "/run/cni/host-local-first-add";

/** Time stamps are as coarse as the kernel's tick, and its start is told in seconds. */
const marginMs = 1000;

/** Keeps the earliest time of an ADD in this boot. To be called before a reservation is written. */
export function noteAdd(host: Host): void {
  const { files } = host;
  const text = "the first ADD of host-local since this boot: reservations older than this file are an earlier boot's\n";
  try {
    const known = files.stat(firstAdd);
    if (known === undefined) {
      files.makeDirectory("/run/cni", 0o755);
      const note = files.prepare("/run/cni", text, 0o644);
      // Where another ADD was first, its time is the earlier one.
      note.publish(firstAdd);
      note.discard();
    } else if (host.wallClockMs() < known.mtimeMs) files.replace(firstAdd, text, 0o644);
  } catch (error) {
    host.log(`host-local: ${(error as Error).message}: nothing an earlier boot left is reclaimed`);
  }
}

/** The time before which everything is an earlier boot's; undefined where that is not known. */
function startOfBoot(host: Host, asked: "in ADD" | "at any time"): number | undefined {
  const [, seconds] = /^btime (\d+)$/m.exec(host.files.read("/proc/stat", 16 << 20)) ?? [];
  // Missing in ADD: it could not be noted, now or by ADDs before. At another time: there was none in this boot.
  const first = host.files.stat(firstAdd)?.mtimeMs ?? (asked === "in ADD" ? undefined : Infinity);
  if (seconds === undefined || first === undefined) return undefined;
  return Math.min(Number(seconds) * 1000, first) - marginMs;
}

/**
 * Those of the holdings whose owner is gone by libcni's cache, for people to read. Where the cache has nothing of the
 * network, the runtime keeps it elsewhere: then it says nothing about anyone.
 */
export function goneByCache(host: Host, network: string, holdings: readonly Holding[]): Holding[] {
  const isKept = [...cachedNames(host)].some((name) => name.startsWith(`${network}-`));
  return isKept ? withoutTrace(host, network, holdings) : [];
}

/** Those of the holdings whose owner has no namespace in libcni's cache. */
function withoutTrace(host: Host, network: string, holdings: readonly Holding[]): Holding[] {
  const cached = cachedNames(host);
  const lives = ({ containerId, ifName }: NamedOwner): boolean => {
    const start = `${network}-${containerId}-`;
    if (ifName !== undefined) return cached.has(start + ifName) && livesByCache(host, start + ifName);
    return [...cached].some((name) => name.startsWith(start) && livesByCache(host, name));
  };
  return holdings.filter(({ owner }) => {
    const named = namedOwner(owner);
    return named !== undefined && !lives(named);
  });
}

/** Those of the holdings that nobody can be using any more. */
export function leftBehind(
  host: Host,
  network: string,
  holdings: readonly Holding[],
  asked: "in ADD" | "at any time",
): Holding[] {
  const empty = holdings.filter(({ owner }) => owner === "empty");
  const start = startOfBoot(host, asked);
  if (start === undefined) return empty;
  const older = holdings.filter(({ writtenMs }) => writtenMs < start);
  return [...empty, ...withoutTrace(host, network, older)];
}
