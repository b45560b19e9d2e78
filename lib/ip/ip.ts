// IPv4 and IPv6 addresses as values. Text form and leniency follow Go's net package, because file names and rules on a
// node depend on it: no leading zeros, no zones, IPv4-mapped IPv6 is IPv4, and IPv6 is written as RFC 5952 says.

export type Family = 4 | 6;

/**
 * An address. Compare with `equalIps`, print with `formatIp`. Text never gives IPv4-mapped IPv6: parsing makes it IPv4.
 * Only `ipFromBytes` does, of sixteen bytes, since a prefix length counts in the family the bytes have.
 */
export interface Ip {
  readonly family: Family;
  /** The address as an unsigned number: 32 or 128 bits. Both engines keep a short bigint as cheaply as a number. */
  readonly value: bigint;
}

/** Bits in an address of a family. */
export const bitsOf = (family: Family): 32 | 128 => (family === 4 ? 32 : 128);

const mappedPrefix = 0xffffn;

/** Made once for all calls: to write a number takes several times as long as to find it here. */
const octetTexts: readonly string[] = Array.from({ length: 256 }, (_, octet) => `${octet}`);
const octets: ReadonlyMap<string, number> = new Map(octetTexts.map((text, octet) => [text, octet]));

/** Four octets without leading zeros, as one number; undefined when it is anything else. */
function parseV4(text: string): number | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0;
  for (let at = 0; at < 4; at++) {
    const octet = octets.get(parts[at] ?? "");
    if (octet === undefined) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

/** Groups on one side of "::"; undefined when one is no group. A dotted IPv4 may stand last. */
function parseGroups(text: string, mayEndDotted: boolean): bigint[] | undefined {
  if (text === "") return [];
  const parts = text.split(":");
  const groups: bigint[] = [];
  for (const [at, part] of parts.entries()) {
    if (mayEndDotted && at === parts.length - 1 && part.includes(".")) {
      const v4 = parseV4(part);
      if (v4 === undefined) return undefined;
      groups.push(BigInt(v4 >>> 16), BigInt(v4 & 0xffff));
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) {
      groups.push(BigInt(`0x${part}`));
    } else {
      return undefined;
    }
  }
  return groups;
}

function parseV6(text: string): bigint | undefined {
  const gap = text.indexOf("::");
  const head = parseGroups(gap < 0 ? text : text.slice(0, gap), gap < 0);
  const tail = gap < 0 ? [] : parseGroups(text.slice(gap + 2), true);
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (gap < 0 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<bigint>(missing).fill(0n), ...tail]) value = (value << 16n) | group;
  return value;
}

/** Reads an address as Go's net.ParseIP does; undefined when it is none. */
export function parseIp(text: string): Ip | undefined {
  if (!text.includes(":")) {
    const value = parseV4(text);
    return value === undefined ? undefined : { family: 4, value: BigInt(value) };
  }
  const value = parseV6(text);
  if (value === undefined) return undefined;
  return value >> 32n === mappedPrefix ? { family: 4, value: value & 0xffffffffn } : { family: 6, value };
}

/** The address as Go prints it: dotted, or RFC 5952. */
export function formatIp(ip: Ip): string {
  if (ip.family === 4) {
    const value = Number(ip.value);
    return `${octetTexts[value >>> 24]}.${octetTexts[(value >>> 16) & 255]}.${octetTexts[(value >>> 8) & 255]}.${octetTexts[value & 255]}`;
  }
  const groups: number[] = [];
  for (let shift = 96n; shift >= 0n; shift -= 32n) {
    const word = Number((ip.value >> shift) & 0xffffffffn);
    groups.push(word >>> 16, word & 0xffff);
  }
  let best = 0;
  let bestLength = 1;
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (groups[at + length] === 0) length++;
    if (length > bestLength) {
      best = at;
      bestLength = length;
    }
    at += length;
  }
  if (bestLength < 2) return groupsText(groups, 0, 8);
  return `${groupsText(groups, 0, best)}::${groupsText(groups, best + bestLength, 8)}`;
}

function groupsText(groups: readonly number[], from: number, to: number): string {
  let text = "";
  for (let at = from; at < to; at++) text += (at === from ? "" : ":") + (groups[at] ?? 0).toString(16);
  return text;
}

/** An address with a port, as people and their tools write it: "[fd00::5]:80". */
export const endpointText = (ip: Ip, port: number): string =>
  ip.family === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;

/**
 * The address of the 4 or 16 bytes between two places, in network order; undefined for any other number of them. 16 bytes
 * stay IPv6, mapped or not.
 */
export function ipFromBytes(bytes: Uint8Array, from = 0, to = bytes.length): Ip | undefined {
  if (to - from === 4) return { family: 4, value: BigInt(wordAt(bytes, from)) };
  if (to - from !== 16) return undefined;
  let value = 0n;
  for (let at = from; at < to; at += 4) value = (value << 32n) | BigInt(wordAt(bytes, at));
  return { family: 6, value };
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)) >>> 0;

/** 4 or 16 bytes in network order. */
export function ipBytes(ip: Ip): Uint8Array {
  if (ip.family === 4) {
    const value = Number(ip.value);
    const bytes = new Uint8Array(4);
    bytes[0] = value >>> 24;
    bytes[1] = value >>> 16;
    bytes[2] = value >>> 8;
    bytes[3] = value;
    return bytes;
  }
  const bytes = new Uint8Array(16);
  let rest = ip.value;
  for (let at = bytes.length - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 255n);
    rest >>= 8n;
  }
  return bytes;
}

/** The address `n` further on; may leave the family's range, which the caller must know it does not. */
export function addToIp(ip: Ip, n: bigint | number): Ip {
  return { family: ip.family, value: ip.value + BigInt(n) };
}

/** Negative, zero, positive as `a` comes before, is, or comes after `b`; IPv4 before IPv6. */
export function compareIps(a: Ip, b: Ip): number {
  if (a.family !== b.family) return a.family - b.family;
  return a.value < b.value ? -1 : a.value > b.value ? 1 : 0;
}

export const equalIps = (a: Ip, b: Ip): boolean => a.family === b.family && a.value === b.value;
