// Netlink attributes as tables: one declaration gives the encoder, the decoder, the TypeScript type, and the names in
// errors. struct nlattr of linux/netlink.h: u16 length of header and payload, u16 type, payload, padding to four bytes.
//
// Lengths are exact both ways. Reading throws nothing but a `WireError`: where an attribute claims more than there is, or
// a payload has not the size of its kind. It walks only as far as it must: no further than the last attribute that the
// table knows. Kinds of values are in kinds.ts.
import { sourceOf, type Source, type Writer } from "./bytes.ts";

export const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;
const headerBytes = 4;

/** Bytes that are not what they claim to be. */
export class WireError extends Error {}

/** How one value looks on the wire. */
export interface Kind<T> {
  /** Bytes of every such value; 0 where they differ. */
  readonly size: number;
  encode(writer: Writer, value: T): void;
  /** Writes the whole attribute, where that takes less than a header, a payload and an end. */
  readonly attribute?: (writer: Writer, type: number, value: T) => void;
  /** The value between two places of what was received. `path` is for errors: "IFLA.mtu". */
  decode(source: Source, at: number, end: number, path: string): T;
  /** Attributes inside, if it has some: how far in they begin, and their table. */
  readonly inside?: { readonly offset: number; readonly set: AttrSet<Table> };
  /** NLA_F_NESTED is set on it. */
  readonly flagged?: boolean;
  /** It is an array, and each of its values an attribute of its own: this is their kind. */
  readonly each?: Kind<unknown>;
}

// biome-ignore lint/suspicious/noExplicitAny: a table holds kinds of every value type; Values<T> gives each its own
export type Table = Readonly<Record<string, readonly [type: number, kind: Kind<any>]>>;
type ValueOf<Entry> = Entry extends readonly [number, Kind<infer T>] ? T : never;
export type Values<T extends Table> = { -readonly [Name in keyof T]?: ValueOf<T[Name]> | undefined };
export type Infer<S> = S extends AttrSet<infer T> ? Values<T> : never;

/** An attribute the table does not know, kept as it came. */
export interface UnknownAttr {
  readonly type: number;
  readonly bytes: Uint8Array;
}

interface Row {
  readonly key: string;
  readonly path: string;
  readonly kind: Kind<unknown>;
  /** It may come again: its values make a list. */
  readonly repeats: boolean;
  /** One bit for each row, to know when all have been seen. */
  readonly bit: number;
}

export class AttrSet<T extends Table> {
  /** The kernel's prefix of these names: "IFLA". */
  readonly name: string;
  readonly #table: T;
  /** By attribute type. */
  readonly #rows: readonly (Row | undefined)[];
  /** The bits of all rows; 0 where only the end says that nothing more comes: beyond 31 rows, or where one repeats. */
  readonly #all: number;

  constructor(name: string, table: T) {
    this.name = name;
    this.#table = table;
    const entries = Object.entries(table).map(([key, [type, kind]], at) => {
      const repeats = kind.each !== undefined;
      return [type, { key, path: `${name}.${key}`, kind: kind.each ?? kind, repeats, bit: 1 << at }] as const;
    });
    const rows = new Map<number, Row>(entries);
    this.#rows = Array.from({ length: Math.max(-1, ...rows.keys()) + 1 }, (_, type) => rows.get(type));
    const countable = entries.length < 32 && !entries.some(([, { repeats }]) => repeats);
    this.#all = countable ? 2 ** entries.length - 1 : 0;
  }

  /** Writes the attributes that are there, in the order of `values`. */
  encode(writer: Writer, values: Values<T>): void {
    const table = this.#table;
    for (const key in values) {
      const value = values[key];
      const entry = value === undefined ? undefined : table[key];
      if (entry === undefined) continue;
      const type = entry[0];
      const kind: Kind<unknown> = entry[1];
      if (kind.attribute !== undefined) kind.attribute(writer, type, value);
      else if (kind.each === undefined) encodeOne(writer, type, kind, value);
      else for (const one of value as readonly unknown[]) encodeOne(writer, type, kind.each, one);
    }
  }

  /**
   * Reads the attributes from byte `start`, a multiple of four. Those the table lacks are passed over, or all kept in
   * `unknown` where that is given.
   */
  decode(bytes: Uint8Array, start = 0, unknown?: UnknownAttr[]): Values<T> {
    return this.read(sourceOf(bytes), start, bytes.length, unknown);
  }

  /** The same between two places of what is being read already. */
  read(source: Source, start: number, end: number, unknown?: UnknownAttr[]): Values<T> {
    const rows = this.#rows;
    const types = rows.length;
    const all = unknown === undefined ? this.#all : 0;
    const { words } = source;
    const values: Record<string, unknown> = {};
    let seen = 0;
    // A link has eighty attributes, of which its table knows ten: what is done for each is done eighty times.
    for (let at = start; at < end; ) {
      // Where no whole word is left this is undefined, and the length 0.
      const header = words[at >>> 2] as number;
      const length = header & 0xffff;
      const to = at + length;
      if (length < headerBytes || to > end) throw this.#lie(at, to, end);
      const type = (header >>> 16) & NLA_TYPE_MASK;
      // To look beyond the end of a list is to look through its prototypes.
      const row = type < types ? rows[type] : undefined;
      if (row) {
        const { key, kind } = row;
        const { size } = kind;
        if (size !== 0 && length - headerBytes !== size)
          throw new WireError(`${row.path}: want ${size} bytes, got ${length - headerBytes}`);
        const value = kind.decode(source, at + headerBytes, to, row.path);
        if (!row.repeats) values[key] = value;
        else if (values[key] === undefined) values[key] = [value];
        else (values[key] as unknown[]).push(value);
        seen |= row.bit;
        if (seen === all) break;
      } else if (unknown) {
        unknown.push({ type, bytes: source.bytes.subarray(at + headerBytes, to) });
      }
      at = (to + 3) & ~3;
    }
    return values as Values<T>;
  }

  /** The name of the attribute that covers byte `offset`: how an extended ack's offset becomes a name. */
  nameAt(bytes: Uint8Array, start: number, end: number, offset: number): string | undefined {
    const { words } = sourceOf(bytes);
    for (let at = start; at < end; ) {
      const header = words[at >>> 2] ?? 0;
      const to = at + (header & 0xffff);
      if (to < at + headerBytes || to > end) throw this.#lie(at, to, end);
      if (offset >= at && offset < to) {
        const type = (header >>> 16) & NLA_TYPE_MASK;
        const row = this.#rows[type];
        if (row === undefined) return `${this.name}.${type}`;
        const { inside } = row.kind;
        const from = at + headerBytes + (inside?.offset ?? 0);
        return inside?.set.nameAt(bytes, from, to, offset) ?? `${this.name}.${row.key}`;
      }
      at = (to + 3) & ~3;
    }
    return undefined;
  }

  #lie(at: number, to: number, end: number): WireError {
    return new WireError(`${this.name}: attribute at byte ${at} claims ${to - at} of ${end - at} bytes`);
  }
}

function encodeOne(writer: Writer, type: number, kind: Kind<unknown>, value: unknown): void {
  const at = writer.skip(headerBytes);
  kind.encode(writer, value);
  writer.endAttribute(at, kind.flagged === true ? type | NLA_F_NESTED : type);
}

/** Declares a table: `{ mtu: [4, u32], … }`, numbers and order as in the kernel header. */
export const attrSet = <const T extends Table>(name: string, table: T): AttrSet<T> => new AttrSet(name, table);
