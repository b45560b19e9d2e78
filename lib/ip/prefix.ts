// An address with a prefix length, host bits kept: "10.1.2.3/24". A subnet is a prefix whose host bits are zero.
import { bitsOf, equalIps, formatIp, parseIp, type Family, type Ip } from "./ip.ts";

export interface Prefix {
  readonly ip: Ip;
  /** 0 to 32 or 128. */
  readonly length: number;
}

/** Reads "address/length" as Go's net.ParseCIDR does, host bits kept; undefined when it is none. */
export function parsePrefix(text: string): Prefix | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return undefined;
  const address = text.slice(0, slash);
  const ip = parseIp(address);
  const digits = text.slice(slash + 1);
  if (ip === undefined || !/^\d+$/.test(digits)) return undefined;
  const written: Family = ip.family === 6 || address.includes(":") ? 6 : 4;
  const length = Number(digits);
  if (length > bitsOf(written)) return undefined;
  // "::ffff:10.0.0.1/120" is an IPv4 address under an IPv6 mask: Go reads it, and then no plugin can use it.
  if (written === 6 && ip.family === 4) return undefined;
  return { ip, length };
}

export const formatPrefix = (prefix: Prefix): string => `${formatIp(prefix.ip)}/${prefix.length}`;

const hostMask = (prefix: Prefix): bigint => (1n << BigInt(bitsOf(prefix.ip.family) - prefix.length)) - 1n;

/** The first address: all host bits zero. */
export function networkOf(prefix: Prefix): Ip {
  return { family: prefix.ip.family, value: prefix.ip.value & ~hostMask(prefix) };
}

/** The last address: all host bits one; IPv4's broadcast address. */
export function lastOf(prefix: Prefix): Ip {
  return { family: prefix.ip.family, value: prefix.ip.value | hostMask(prefix) };
}

/** The prefix with its host bits cleared. */
export const maskPrefix = (prefix: Prefix): Prefix => ({ ip: networkOf(prefix), length: prefix.length });

/** Whether the address lies in the prefix. */
export function containsIp(prefix: Prefix, ip: Ip): boolean {
  return ip.family === prefix.ip.family && (ip.value & ~hostMask(prefix)) === networkOf(prefix).value;
}

export const equalPrefixes = (a: Prefix, b: Prefix): boolean => a.length === b.length && equalIps(a.ip, b.ip);

/** 0.0.0.0/0 and ::/0. */
export const defaultRoute = (family: Family): Prefix => ({ ip: { family, value: 0n }, length: 0 });
