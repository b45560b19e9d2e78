// What a rule asks of a packet, as data, and as the test that the kernel makes: load some bytes, mask them, compare. Both
// ways, and only for what our rules ask: a test that is none of these is somebody else's.
import { bitsOf, formatIp, ipBytes, ipFromBytes, type Family } from "../../ip/ip.ts";
import { macBytes, macFromBytes, type Mac } from "../../ip/mac.ts";
import { formatPrefix, maskPrefix, networkOf, type Prefix } from "../../ip/prefix.ts";
import { textIn } from "../wire/bytes.ts";
import { ifnameBytes } from "./set.ts";

/** IPPROTO_* of the protocols that have ports. */
const transports = { tcp: 6, udp: 17, dccp: 33, sctp: 132, udplite: 136 } as const;
export type Transport = keyof typeof transports;
/** The transport of this name; undefined where it has no ports. */
export const transportNamed = (name: string): Transport | undefined =>
  Object.hasOwn(transports, name) ? (name as Transport) : undefined;
export const transportNumber = (transport: Transport): number => transports[transport];
/** NFPROTO_*. */
const nfprotos = { ipv4: 2, ipv6: 10 } as const;
/** enum ip_conntrack_info as nft's bits, in the order nft writes them. */
export const ctStates = { invalid: 1, established: 2, related: 4, new: 8, untracked: 64 } as const;
export type CtState = keyof typeof ctStates;
/** RTN_*: what the routing table says of an address. */
const addressTypes = { unicast: 1, local: 2, broadcast: 3, multicast: 5 } as const;

/** A mark, or some bits of it. */
export interface Mark {
  readonly value: number;
  readonly mask?: number | undefined;
}

/** A set of addresses of one family, by its name. */
export interface SetOf {
  readonly family: Family;
  readonly set: string;
}

interface Fields {
  nfproto: keyof typeof nfprotos;
  l4proto: Transport;
  iifname: string;
  oifname: string;
  saddr: Prefix;
  daddr: Prefix;
  /** One of the elements of a set of the same table. */
  saddrIn: SetOf;
  daddrIn: SetOf;
  dport: { readonly protocol: Transport; readonly port: number };
  /** Any of these; of iptables alone, and at most 15. */
  dports: { readonly protocol: Transport; readonly ports: readonly number[] };
  etherSaddr: Mac;
  fibDaddrType: keyof typeof addressTypes;
  mark: Mark;
  ctMark: Mark;
  /** Any of these. */
  ctState: readonly CtState[];
}
export type FieldName = keyof Fields;
export type Match = {
  [Name in FieldName]: { readonly field: Name; readonly is: Fields[Name]; readonly not?: boolean };
}[FieldName];

/** Where the bytes come from: an expression of expr.ts, and its numbers. */
export type Load =
  | readonly ["meta" | "ct", key: number]
  | readonly ["fib", result: number, flags: number]
  | readonly ["payload", base: number, offset: number, length: number];

/** Holds when the masked bytes are equal to these, or when they are not. */
export interface Test {
  readonly load: Load;
  readonly mask?: Uint8Array | undefined;
  readonly bytes: Uint8Array;
  readonly equal: boolean;
}

const loads = {
  nfproto: ["meta", 15],
  l4proto: ["meta", 16],
  iifname: ["meta", 6],
  oifname: ["meta", 7],
  mark: ["meta", 3],
  ctState: ["ct", 0],
  ctMark: ["ct", 3],
  dport: ["payload", 2, 2, 2],
  etherSaddr: ["payload", 0, 6, 6],
  fibDaddrType: ["fib", 3, 2],
} as const satisfies Partial<Record<FieldName, Load>>;
/** The same as text. */
const loadTexts = Object.fromEntries(Object.entries(loads).map(([field, load]) => [field, load.join(" ")])) as Record<
  keyof typeof loads,
  string
>;

/** Where addresses stand in struct iphdr and struct ipv6hdr. */
const addressAt = { 4: { saddr: 12, daddr: 16 }, 6: { saddr: 8, daddr: 24 } } as const;

const word = (value: number): Uint8Array =>
  Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
const wordIn = ([a = 0, b = 0, c = 0, d = 0]: Uint8Array): number => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
const nameOf = <T extends string>(table: Readonly<Record<T, number>>, number: number | undefined): T | undefined =>
  (Object.keys(table) as T[]).find((name) => table[name] === number);

/** As nft does: whole bytes are loaded as far as the prefix goes, anything else is masked. */
function prefixTest(field: "saddr" | "daddr", prefix: Prefix, equal: boolean): Test {
  const { family } = prefix.ip;
  const whole = bitsOf(family) / 8;
  const bytes = ipBytes(networkOf(prefix));
  const offset = addressAt[family][field];
  const short = prefix.length / 8;
  if (short > 0 && Number.isInteger(short))
    return { load: ["payload", 1, offset, short], bytes: bytes.subarray(0, short), equal };
  return { load: ["payload", 1, offset, whole], mask: prefixMask(whole, prefix.length), bytes, equal };
}

const prefixMask = (size: number, length: number): Uint8Array =>
  Uint8Array.from({ length: size }, (_, at) => (0xff00 >> Math.min(8, Math.max(0, length - at * 8))) & 0xff);

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);

const markTest = (load: Load, { value, mask }: Mark, equal: boolean): Test => ({
  load,
  mask: mask === undefined ? undefined : word(mask),
  bytes: word(value),
  equal,
});

/** What is loaded to be looked up in a set of addresses. */
export const setLoad = (field: "saddrIn" | "daddrIn", { family }: SetOf): Load => [
  "payload",
  1,
  addressAt[family][field === "saddrIn" ? "saddr" : "daddr"],
  bitsOf(family) / 8,
];

/** The match behind a look into a set; undefined when it is none of ours. */
export function setMatchOf(load: Load, set: string, not: boolean): Match | undefined {
  for (const family of [4, 6] as const)
    for (const field of ["saddrIn", "daddrIn"] as const)
      if (setLoad(field, { family, set }).join(" ") === load.join(" "))
        return { field, is: { family, set }, ...(not ? { not: true } : {}) };
  return undefined;
}

/** The test that the kernel makes for a match. */
export function testOf(match: Match): Test {
  const equal = match.not !== true;
  const { field } = match;
  switch (field) {
    case "nfproto":
      return { load: loads[field], bytes: Uint8Array.of(nfprotos[match.is]), equal };
    case "l4proto":
      return { load: loads[field], bytes: Uint8Array.of(transports[match.is]), equal };
    case "iifname":
    case "oifname":
      return { load: loads[field], bytes: ifnameBytes(match.is), equal };
    case "saddr":
    case "daddr":
      return prefixTest(field, match.is, equal);
    case "saddrIn":
    case "daddrIn":
      throw new TypeError(`${matchText(match)}: a set is looked up in, and compared with nothing`);
    case "dport":
      return { load: loads[field], bytes: portBytes(match.is.port), equal };
    case "dports":
      throw new TypeError(`${matchText(match)}: several ports are for rules of iptables only`);
    case "etherSaddr":
      return { load: loads[field], bytes: macBytes(match.is), equal };
    case "fibDaddrType":
      return { load: loads[field], bytes: word(addressTypes[match.is]), equal };
    case "mark":
    case "ctMark":
      return markTest(loads[field], match.is, equal);
    case "ctState": {
      const bits = match.is.reduce((all, state) => all | ctStates[state], 0);
      // Any of the bits: what is left of them is not nothing.
      return { load: loads[field], mask: word(bits), bytes: word(0), equal: !equal };
    }
  }
}

/** The match behind a test; undefined when it is none of ours. `before` are the matches that come before it. */
export function matchOf({ load, mask, bytes, equal }: Test, before: readonly Match[]): Match | undefined {
  const not = equal ? {} : { not: true };
  const [first] = bytes;
  const one = bytes.length === 1 && mask === undefined;
  const four = bytes.length === 4;
  switch (load.join(" ")) {
    case loadTexts.nfproto: {
      const is = nameOf(nfprotos, one ? first : undefined);
      return is && { field: "nfproto", is, ...not };
    }
    case loadTexts.l4proto: {
      const is = nameOf(transports, one ? first : undefined);
      return is && { field: "l4proto", is, ...not };
    }
    case loadTexts.iifname:
    case loadTexts.oifname: {
      // Shorter than a whole name is the beginning of many.
      const end = bytes.indexOf(0);
      if (mask !== undefined || end < 1 || (bytes.length !== 16 && bytes.length !== end + 1)) return undefined;
      const field = load[1] === loads.iifname[1] ? "iifname" : "oifname";
      return { field, is: textIn(bytes, 0, end), ...not };
    }
    case loadTexts.mark:
    case loadTexts.ctMark: {
      if (!four) return undefined;
      const is = mask === undefined ? { value: wordIn(bytes) } : { value: wordIn(bytes), mask: wordIn(mask) };
      return { field: load[0] === "ct" ? "ctMark" : "mark", is, ...not };
    }
    case loadTexts.ctState: {
      if (!four || mask === undefined || wordIn(bytes) !== 0) return undefined;
      const names = Object.keys(ctStates) as CtState[];
      const is = names.filter((name) => (wordIn(mask) & ctStates[name]) !== 0);
      if (is.reduce((all, name) => all | ctStates[name], 0) !== wordIn(mask)) return undefined;
      return { field: "ctState", is, ...(equal ? { not: true } : {}) };
    }
    case loadTexts.dport: {
      const protocol = before.findLast((each) => each.field === "l4proto" && each.not !== true)?.is as Transport;
      if (mask !== undefined || bytes.length !== 2 || protocol === undefined) return undefined;
      return { field: "dport", is: { protocol, port: (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0) }, ...not };
    }
    case loadTexts.etherSaddr:
      if (mask !== undefined || bytes.length !== 6) return undefined;
      return { field: "etherSaddr", is: macFromBytes(bytes), ...not };
    case loadTexts.fibDaddrType: {
      const is = nameOf(addressTypes, four && mask === undefined ? wordIn(bytes) : undefined);
      return is && { field: "fibDaddrType", is, ...not };
    }
    default:
      return addressMatch({ load, mask, bytes, equal });
  }
}

function addressMatch({ load, mask, bytes, equal }: Test): Match | undefined {
  const [source, base, offset, length] = load;
  if (source !== "payload" || base !== 1 || length === undefined || bytes.length !== length) return undefined;
  for (const family of [4, 6] as const)
    for (const field of ["saddr", "daddr"] as const) {
      if (addressAt[family][field] !== offset) continue;
      const size = bitsOf(family) / 8;
      if (length < 1 || length > size) return undefined;
      const padded = new Uint8Array(size);
      padded.set(bytes);
      const ip = ipFromBytes(padded);
      const bits = mask === undefined ? length * 8 : lengthOf(mask, size);
      if (ip === undefined || bits === undefined) return undefined;
      return { field, is: { ip, length: bits }, ...(equal ? {} : { not: true }) };
    }
  return undefined;
}

/** How long the prefix is that a mask leaves; undefined where it leaves none. */
function lengthOf(mask: Uint8Array, size: number): number | undefined {
  for (let length = 0; length <= size * 8; length++) if (sameBytes(mask, prefixMask(size, length))) return length;
  return undefined;
}

/** A port as packets hold it. */
export function portBytes(port: number): Uint8Array {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) throw new RangeError(`port ${port}: must be 0 to 65535`);
  return Uint8Array.of(port >>> 8, port & 0xff);
}

export const hex = (value: number): string => `0x${(value >>> 0).toString(16).padStart(8, "0")}`;
const addressText = (prefix: Prefix): string =>
  prefix.length === bitsOf(prefix.ip.family) ? formatIp(prefix.ip) : formatPrefix(maskPrefix(prefix));
const markText = (name: string, { value, mask }: Mark, not: boolean): string =>
  mask === undefined
    ? `${name} ${not ? "!= " : ""}${hex(value)}`
    : `${name} & ${hex(mask)} ${not ? "!=" : "=="} ${hex(value)}`;

/** The match as nft writes it. */
export function matchText(match: Match): string {
  const not = match.not === true;
  const is = not ? "!= " : "";
  switch (match.field) {
    case "nfproto":
      return `meta nfproto ${is}${match.is}`;
    case "l4proto":
      return `meta l4proto ${is}${match.is}`;
    case "iifname":
    case "oifname":
      return `${match.field} ${is}${JSON.stringify(match.is)}`;
    case "saddr":
    case "daddr":
      return `${match.is.ip.family === 4 ? "ip" : "ip6"} ${match.field} ${is}${addressText(match.is)}`;
    case "saddrIn":
    case "daddrIn": {
      const [field, protocol] = [match.field.slice(0, 5), match.is.family === 4 ? "ip" : "ip6"];
      return `${protocol} ${field} ${is}@${match.is.set}`;
    }
    case "dport":
      return `${match.is.protocol} dport ${is}${match.is.port}`;
    case "dports":
      return `${match.is.protocol} dport ${is}{ ${match.is.ports.join(", ")} }`;
    case "etherSaddr":
      return `ether saddr ${is}${match.is}`;
    case "fibDaddrType":
      return `fib daddr type ${is}${match.is}`;
    case "mark":
      return markText("meta mark", match.is, not);
    case "ctMark":
      return markText("ct mark", match.is, not);
    case "ctState":
      return `ct state ${is}${(Object.keys(ctStates) as CtState[]).filter((name) => match.is.includes(name)).join(",")}`;
  }
}

/** What has to be asked before it, so that the bytes it looks at are what it takes them for. */
export function assumptionOf(match: Match): Match | undefined {
  if (match.field === "saddr" || match.field === "daddr")
    return { field: "nfproto", is: match.is.ip.family === 4 ? "ipv4" : "ipv6" };
  if (match.field === "saddrIn" || match.field === "daddrIn")
    return { field: "nfproto", is: match.is.family === 4 ? "ipv4" : "ipv6" };
  if (match.field === "dport" || match.field === "dports") return { field: "l4proto", is: match.is.protocol };
  return undefined;
}
