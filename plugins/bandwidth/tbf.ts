// From bits a second to the numbers of the kernel's token bucket, with the roundings of the Go plugin: its CHECK compares
// them exactly. Pure but for the clock's rate, which the kernel tells.
import { CniError } from "../../lib/cni/error.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Tbf } from "../../lib/netlink/tc/qdisc.ts";
import type { Limit } from "./conf.ts";

const microsecondsPerSecond = 1_000_000;
const nanosecondsPerSecond = 1_000_000_000;
const clockPath = "/proc/net/psched";

/** Ticks of the packet scheduler's clock in a microsecond: out of "000003e8 00000040 000f4240 3b9aca00", hexadecimal. */
export function ticksPerMicrosecond(host: Host): number {
  const text = host.files.read(clockPath);
  const [ticks = 0, per = 0, resolution = 0] = text.split(" ").map((word) => Number.parseInt(word, 16));
  // Kernels whose resolution is a nanosecond once said so in the third number.
  const rate = ((resolution === nanosecondsPerSecond ? per : ticks) / per) * (resolution / microsecondsPerSecond);
  if (rate > 0 && Number.isFinite(rate)) return rate;
  throw new CniError("internal", `${clockPath} says "${text.trim()}"`, {
    hint: "this kernel has no packet scheduler: CONFIG_NET_SCHED",
  });
}

/** What does not fit 32 bits wraps, as Go's numbers do on x86_64. */
const u32 = (number: number): number => Math.trunc(number) >>> 0;

/** The least of packets that a capped burst lets through at once. */
const leastPackets = 10;

/** The burst where it is capped: what the rate gives in an eighth of a second, or ten packets of `mtu` bytes. */
export const cappedBurst = ({ rate, burst }: Limit, mtu: number): number =>
  Math.min(burst, Math.max(Math.floor(rate / 8), leastPackets * mtu * 8));

/** The bucket of a limit. A packet waits for at most `latencyMs`. */
export function tbfOf({ rate, burst }: Limit, latencyMs: number, ticks: number): Tbf {
  const [rateBytes, burstBytes] = [Math.floor(rate / 8), u32(burst / 8)];
  return {
    rate: rateBytes,
    limit: u32(u32((rateBytes * latencyMs * 1000) / microsecondsPerSecond) + burstBytes),
    buffer: u32(u32((burstBytes * microsecondsPerSecond) / rateBytes) * ticks),
  };
}
