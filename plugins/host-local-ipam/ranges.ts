// Ranges as values: a subnet, its first and last address to hand out, its gateway. The order of the checks and their
// texts are the Go plugin's, which operators search for.
import { addToIp, bitsOf, compareIps, equalIps, formatIp, type Ip } from "../../lib/ip/ip.ts";
import { containsIp, formatPrefix, lastOf, networkOf, type Prefix } from "../../lib/ip/prefix.ts";

export interface GivenRange {
  /** "mapped": of IPv4, written as IPv6. */
  readonly subnet: Prefix | "mapped" | undefined;
  readonly rangeStart: Ip | undefined;
  readonly rangeEnd: Ip | undefined;
  readonly gateway: Ip | undefined;
}

export interface Range {
  readonly subnet: Prefix;
  readonly start: Ip;
  /** Included. */
  readonly end: Ip;
  readonly gateway: Ip;
}

/** Alternatives, tried in order; yields one address. */
export type RangeSet = readonly Range[];

/** A range that cannot be: the message names it and the rule. */
export class RangeFault extends Error {}

/** Fills in what was left out and checks the rest. Throws a RangeFault. */
export function canonicalRange({ subnet, rangeStart, rangeEnd, gateway }: GivenRange): Range {
  if (subnet === undefined) throw new RangeFault("IP <nil> not v4 nor v6");
  if (subnet === "mapped") throw new RangeFault("IPNet IP and Mask version mismatch");
  const text = formatPrefix(subnet);
  if (subnet.length > bitsOf(subnet.ip.family) - 2) throw new RangeFault(`Network ${text} too small to allocate from`);
  const network = networkOf(subnet);
  if (!equalIps(network, subnet.ip))
    throw new RangeFault(
      `Network has host bits set. For a subnet mask of length ${subnet.length} the network address is ${formatIp(network)}`,
    );
  // IPv4's last address is for broadcast; IPv6 has none.
  const last = subnet.ip.family === 4 ? addToIp(lastOf(subnet), -1) : lastOf(subnet);
  const start = rangeStart ?? addToIp(network, 1);
  const end = rangeEnd ?? last;
  if (
    !containsIp(subnet, start) ||
    (rangeStart !== undefined && rangeEnd !== undefined && compareIps(start, rangeEnd) > 0)
  )
    throw new RangeFault(`RangeStart ${formatIp(start)} not in network ${text}`);
  if (!containsIp(subnet, end) || compareIps(end, start) < 0)
    throw new RangeFault(
      rangeEnd === undefined
        ? `RangeStart ${formatIp(start)} leaves no address before the end of network ${text}`
        : `RangeEnd ${formatIp(end)} not in network ${text}`,
    );
  return { subnet, start, end, gateway: gateway ?? addToIp(network, 1) };
}

export const rangeContains = ({ start, end }: Range, ip: Ip): boolean =>
  ip.family === start.family && ip.value >= start.value && ip.value <= end.value;

/** The range an address lies in; undefined when the set has none such. */
export const rangeOf = (set: RangeSet, ip: Ip): Range | undefined => set.find((range) => rangeContains(range, ip));

/** Whether an address is one the set hands out. */
export function gives(set: RangeSet, ip: Ip): boolean {
  const range = rangeOf(set, ip);
  return range !== undefined && !equalIps(ip, range.gateway);
}

const overlap = (a: Range, b: Range): boolean => rangeContains(a, b.start) || rangeContains(b, a.start);

export const formatRange = ({ start, end }: Range): string => `${formatIp(start)}-${formatIp(end)}`;
export const formatSet = (set: RangeSet): string => set.map(formatRange).join(",");

/** How many addresses a set hands out. */
export const capacityOf = (set: RangeSet): bigint =>
  set.reduce((sum, range) => {
    const { start, end, gateway } = range;
    return sum + end.value - start.value + (rangeContains(range, gateway) ? 0n : 1n);
  }, 0n);

/** Checks the ranges of one set against each other. Throws a RangeFault. */
export function canonicalSet(ranges: readonly GivenRange[]): RangeSet {
  if (ranges.length === 0) throw new RangeFault("empty range set");
  const set = ranges.map(canonicalRange);
  if (set.length === 1) return set;
  const families = new Set(set.map(({ start }) => start.family));
  if (families.size > 1) throw new RangeFault("mixed address families");
  for (const [at, range] of set.entries()) {
    const other = set.slice(at + 1).find((each) => overlap(range, each));
    if (other !== undefined) throw new RangeFault(`subnets ${formatRange(range)} and ${formatRange(other)} overlap`);
  }
  return set;
}

/** The first two sets that share an address. */
export function overlappingSets(sets: readonly RangeSet[]): readonly [number, number] | undefined {
  for (const [first, set] of sets.entries()) {
    for (let second = first + 1; second < sets.length; second++) {
      if (set.some((range) => (sets[second] ?? []).some((other) => overlap(range, other)))) return [first, second];
    }
  }
  return undefined;
}

/**
 * The addresses of a set in the order they are handed out: round robin, from the one after `last` to `last` itself, or
 * from the beginning when `last` is not in the set. A range's own gateway is passed over.
 */
export function* candidates(
  set: RangeSet,
  last: Ip | undefined,
): Generator<{ readonly ip: Ip; readonly range: Range }> {
  const found = last === undefined ? -1 : set.findIndex((range) => rangeContains(range, last));
  const at = Math.max(found, 0);
  const after = found < 0 || last === undefined ? undefined : last.value + 1n;
  for (let step = 0; step <= set.length; step++) {
    const range = set[(at + step) % set.length];
    if (range === undefined) return;
    const { family } = range.start;
    const gateway = range.gateway.family === family ? range.gateway.value : undefined;
    // The range that `last` lies in comes first with what is after it, and once more with the rest.
    const from = step === 0 ? (after ?? range.start.value) : range.start.value;
    const to = step < set.length ? range.end.value : (after ?? from) - 1n;
    for (let value = from; value <= to; value++) if (value !== gateway) yield { ip: { family, value }, range };
  }
}
