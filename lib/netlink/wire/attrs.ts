// Netlink attributes as tables: one declaration gives the encoder, the decoder, the TypeScript type, and the names in
// errors. struct nlattr of linux/netlink.h: u16 length of header and payload, u16 type, payload, padding to four bytes.
//
// Lengths are exact both ways. Decoding stops at nothing but the end or a lie: an attribute that claims more than there
// is, or a payload of the wrong size, is a `WireError` with the attribute's path.
import { macBytes, macFromBytes, type Mac } from "../../ip/mac.ts";
import { ipBytes, ipFromBytes, type Ip } from "../../ip/ip.ts";
import { utf8Bytes, utf8Text } from "../../host/utf8.ts";
import type { Writer } from "./writer.ts";

export const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const headerBytes = 4;

/** Bytes that are not what they claim to be. */
export class WireError extends Error {}

/** How one value looks on the wire. */
export interface Kind<T> {
  encode(writer: Writer, value: T): void;
  /** `path` is for the error: "IFLA.mtu". */
  decode(bytes: Uint8Array, path: string): T;
  /** Attributes inside, if it has some: where they begin, and their table. */
  readonly inside?: { readonly offset: number; readonly set: AttrSet<Table> };
  /** NLA_F_NESTED is set on it. */
  readonly nested?: boolean;
}

function exactly(bytes: Uint8Array, want: number, path: string): Uint8Array {
  if (bytes.length !== want) throw new WireError(`${path}: want ${want} bytes, got ${bytes.length}`);
  return bytes;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export const u8: Kind<number> = {
  encode: (writer, value) => writer.u8(value),
  decode: (bytes, path) => exactly(bytes, 1, path)[0] ?? 0,
};

export const u16: Kind<number> = {
  encode: (writer, value) => writer.u16(value),
  decode: (bytes, path) => viewOf(exactly(bytes, 2, path)).getUint16(0, true),
};

export const u32: Kind<number> = {
  encode: (writer, value) => writer.u32(value),
  decode: (bytes, path) => viewOf(exactly(bytes, 4, path)).getUint32(0, true),
};

export const i32: Kind<number> = {
  encode: (writer, value) => writer.u32(value),
  decode: (bytes, path) => viewOf(exactly(bytes, 4, path)).getInt32(0, true),
};

/** Text with its terminating zero. */
export const cstring: Kind<string> = {
  encode(writer, value) {
    writer.put(utf8Bytes(value));
    writer.u8(0);
  },
  decode(bytes) {
    const end = bytes.indexOf(0);
    return utf8Text(end < 0 ? bytes : bytes.subarray(0, end));
  },
};

export const mac: Kind<Mac> = {
  encode: (writer, value) => writer.put(macBytes(value)),
  // Links other than Ethernet have longer hardware addresses, or none: they are no error of the sender.
  decode: (bytes) => macFromBytes(bytes),
};

export const ip: Kind<Ip> = {
  encode: (writer, value) => writer.put(ipBytes(value)),
  decode(bytes, path) {
    const value = ipFromBytes(bytes);
    if (value === undefined) throw new WireError(`${path}: want 4 or 16 bytes, got ${bytes.length}`);
    return value;
  },
};

/** A payload that is somebody else's to read. */
export const blob: Kind<Uint8Array> = {
  encode: (writer, value) => writer.put(value),
  decode: (bytes) => bytes,
};

// biome-ignore lint/suspicious/noExplicitAny: a table holds kinds of every value type; Values<T> gives each its own
export type Table = Readonly<Record<string, readonly [type: number, kind: Kind<any>]>>;
type ValueOf<Entry> = Entry extends readonly [number, Kind<infer T>] ? T : never;
/** An attribute the table does not know, kept as it came. */
export interface UnknownAttr {
  readonly type: number;
  readonly bytes: Uint8Array;
}
export type Values<T extends Table> = { -readonly [Name in keyof T]?: ValueOf<T[Name]> | undefined };

export interface AttrSet<T extends Table> {
  /** The kernel's prefix of these names: "IFLA". */
  readonly name: string;
  /** Writes the attributes that are there, in the order of `values`. */
  encode(writer: Writer, values: Values<T>): void;
  /** Reads the attributes between `start` and `end`; those the table lacks go to `unknown`. */
  decode(bytes: Uint8Array, start?: number, end?: number, unknown?: UnknownAttr[]): Values<T>;
  /** The name of the attribute that covers byte `offset`: how an extended ack's offset becomes a name. */
  nameAt(bytes: Uint8Array, start: number, end: number, offset: number): string | undefined;
}

export type Infer<S> = S extends AttrSet<infer T> ? Values<T> : never;

/**
 * The end of the attribute whose header is at `at`; throws where it reaches beyond `end`. A loop over these is all the
 * walking there is: at + 4 is where the payload begins, and the next header is at the end rounded up to four.
 */
function endOf(name: string, bytes: Uint8Array, at: number, end: number): number {
  const length = at + headerBytes <= end ? (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) : 0;
  if (length < headerBytes || at + length > end)
    throw new WireError(`${name}: attribute at byte ${at} claims ${length} of ${end - at} bytes`);
  return at + length;
}

const typeAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 2] ?? 0) | ((bytes[at + 3] ?? 0) << 8)) & NLA_TYPE_MASK;
const aligned = (at: number, start: number): number => start + ((at - start + 3) & ~3);

/** Declares a table: `{ mtu: [4, u32], … }`, numbers and order as in the kernel header. */
export function attrSet<const T extends Table>(name: string, table: T): AttrSet<T> {
  const byType = new Map<number, [name: string, kind: Kind<unknown>]>();
  for (const [key, [type, kind]] of Object.entries(table)) byType.set(type, [key, kind as Kind<unknown>]);

  return {
    name,

    encode(writer, values) {
      for (const key in values) {
        const value = values[key];
        const entry = table[key];
        if (value === undefined || entry === undefined) continue;
        const [type, kind] = entry as readonly [number, Kind<unknown>];
        const at = writer.skip(headerBytes);
        kind.encode(writer, value);
        writer.u16(writer.length - at, at);
        writer.u16(kind.nested ? type | NLA_F_NESTED : type, at + 2);
        writer.align();
      }
    },

    decode(bytes, start = 0, end = bytes.length, unknown) {
      const values: Record<string, unknown> = {};
      for (let at = start, to: number; at < end; at = aligned(to, start)) {
        to = endOf(name, bytes, at, end);
        const type = typeAt(bytes, at);
        const known = byType.get(type);
        if (known !== undefined)
          values[known[0]] = known[1].decode(bytes.subarray(at + headerBytes, to), `${name}.${known[0]}`);
        else unknown?.push({ type, bytes: bytes.subarray(at + headerBytes, to) });
      }
      return values as Values<T>;
    },

    nameAt(bytes, start, end, offset) {
      for (let at = start, to: number; at < end; at = aligned(to, start)) {
        to = endOf(name, bytes, at, end);
        if (offset < at || offset >= to) continue;
        const type = typeAt(bytes, at);
        const known = byType.get(type);
        if (known === undefined) return `${name}.${type}`;
        const inside = known[1].inside;
        const deeper = inside?.set.nameAt(bytes, at + headerBytes + inside.offset, to, offset);
        return deeper ?? `${name}.${known[0]}`;
      }
      return undefined;
    },
  };
}

/** A payload that is itself attributes. Flagged NLA_F_NESTED only where the kernel insists on it. */
export function nest<T extends Table>(
  set: AttrSet<T>,
  options: { flagged?: boolean; header?: number } = {},
): Kind<Values<T>> {
  const { flagged = false, header = 0 } = options;
  return {
    encode(writer, values) {
      writer.skip(header);
      set.encode(writer, values);
    },
    decode(bytes, path) {
      if (bytes.length < header) throw new WireError(`${path}: want at least ${header} bytes, got ${bytes.length}`);
      return set.decode(bytes, header);
    },
    inside: { offset: header, set: set as unknown as AttrSet<Table> },
    nested: flagged,
  };
}
