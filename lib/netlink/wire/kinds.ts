// The kinds of values that netlink attributes hold: only those that a table uses.
import { ipBytes, ipFromBytes, type Ip } from "../../ip/ip.ts";
import { macBytes, macFromBytes, macNumber, type Mac } from "../../ip/mac.ts";
import { WireError, type AttrSet, type Kind, type Table, type Values } from "./attrs.ts";
import { textIn, type Source } from "./bytes.ts";

export const u8: Kind<number> = {
  size: 1,
  encode: (writer, value) => writer.u8(value),
  decode: ({ bytes }, at) => bytes[at] ?? 0,
};

export const u16: Kind<number> = {
  size: 2,
  encode: (writer, value) => writer.u16(value),
  decode: ({ bytes }, at) => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8),
};

export const u32: Kind<number> = {
  size: 4,
  encode: (writer, value) => writer.u32(value),
  attribute: (writer, type, value) => writer.wordAttribute(type, value),
  decode: ({ words }, at) => words[at >>> 2] ?? 0,
};

export const i32: Kind<number> = {
  size: 4,
  encode: (writer, value) => writer.u32(value),
  attribute: (writer, type, value) => writer.wordAttribute(type, value),
  decode: ({ words }, at) => (words[at >>> 2] ?? 0) | 0,
};

export const u64: Kind<bigint> = {
  size: 8,
  encode(writer, value) {
    writer.u32(Number(value & 0xffffffffn));
    writer.u32(Number(value >> 32n));
  },
  decode: ({ words }, at) => (BigInt(words[(at >>> 2) + 1] ?? 0) << 32n) | BigInt(words[at >>> 2] ?? 0),
};

/** Numbers in network order, which netfilter keeps all of its own in. */
export const be16: Kind<number> = {
  size: 2,
  encode(writer, value) {
    writer.u8(value >>> 8);
    writer.u8(value);
  },
  decode: ({ bytes }, at) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0),
};

const swapped = (word: number): number =>
  ((word << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;

export const be32: Kind<number> = {
  size: 4,
  encode: (writer, value) => writer.u32(swapped(value)),
  attribute: (writer, type, value) => writer.wordAttribute(type, swapped(value)),
  decode: ({ words }, at) => swapped(words[at >>> 2] ?? 0),
};

export const beI32: Kind<number> = {
  size: 4,
  encode: (writer, value) => writer.u32(swapped(value)),
  attribute: (writer, type, value) => writer.wordAttribute(type, swapped(value)),
  decode: ({ words }, at) => swapped(words[at >>> 2] ?? 0) | 0,
};

export const be64: Kind<bigint> = {
  size: 8,
  encode(writer, value) {
    writer.u32(swapped(Number((value >> 32n) & 0xffffffffn)));
    writer.u32(swapped(Number(value & 0xffffffffn)));
  },
  decode: ({ words }, at) =>
    (BigInt(swapped(words[at >>> 2] ?? 0)) << 32n) | BigInt(swapped(words[(at >>> 2) + 1] ?? 0)),
};

/** Text with its terminating zero; what comes after a zero is not part of it. */
export const cstring: Kind<string> = {
  size: 0,
  encode(writer, value) {
    writer.text(value);
    writer.skip(1);
  },
  decode({ bytes }, at, end) {
    const zero = bytes.indexOf(0, at);
    return textIn(bytes, at, zero < 0 || zero > end ? end : zero);
  },
};

/** A hardware address. Links other than Ethernet have longer ones, or none: they are no error of the sender. */
export const mac: Kind<Mac> = {
  size: 0,
  encode: (writer, value) => writer.put(macBytes(value)),
  attribute(writer, type, value) {
    const number = macNumber(value);
    writer.sixByteAttribute(type, swapped(number / 0x10000), swapped(number << 16));
  },
  decode: ({ bytes }, at, end) => macFromBytes(bytes, at, end),
};

export const ip: Kind<Ip> = {
  size: 0,
  encode: (writer, value) => writer.put(ipBytes(value)),
  attribute(writer, type, value) {
    if (value.family === 4) writer.wordAttribute(type, swapped(Number(value.value)));
    else writer.bytesAttribute(type, ipBytes(value));
  },
  decode({ bytes }, at, end, path) {
    const value = ipFromBytes(bytes.subarray(at, end));
    if (value === undefined) throw new WireError(`${path}: want 4 or 16 bytes, got ${end - at}`);
    return value;
  },
};

/** Attributes whose table depends on what is said beside them. */
export interface Span {
  readonly source: Source;
  readonly at: number;
  readonly end: number;
}

/** A payload that the table of somebody who knows reads afterwards. */
export const span: Kind<Span> = {
  size: 0,
  encode: (writer, { source, at, end }) => writer.put(source.bytes.subarray(at, end)),
  decode: (source, at, end) => ({ source, at, end }),
};

/** A payload that is somebody else's to read. */
export const blob: Kind<Uint8Array> = {
  size: 0,
  encode: (writer, value) => writer.put(value),
  decode: ({ bytes }, at, end) => bytes.subarray(at, end),
};

/**
 * A payload that is itself attributes, behind a header of so many zero bytes. `flagged` is NLA_F_NESTED, which a few
 * readers in the kernel insist on and the others ignore.
 */
export function nest<T extends Table>(
  set: AttrSet<T>,
  { flagged = false, header = 0 }: { readonly flagged?: boolean; readonly header?: number } = {},
): Kind<Values<T>> {
  return {
    size: 0,
    encode(writer, values) {
      if (header > 0) writer.skip(header);
      set.encode(writer, values);
    },
    decode(source, at, end, path) {
      if (end - at < header) throw new WireError(`${path}: want at least ${header} bytes, got ${end - at}`);
      return set.read(source, at + header, end);
    },
    inside: { offset: header, set: set as unknown as AttrSet<Table> },
    flagged,
  };
}

/** An attribute that comes once for each value of a list. */
export const many = <T>(kind: Kind<T>): Kind<readonly T[]> => ({
  size: 0,
  encode() {
    throw new TypeError("a list is encoded value by value");
  },
  decode: (source, at, end, path) => [kind.decode(source, at, end, path)],
  each: kind as Kind<unknown>,
});
