// Sets and maps: NFTA_SET_* and NFTA_SET_ELEM_* of linux/netfilter/nf_tables.h. A key is one value or several after each
// other, each padded to four bytes; a map holds a value of that kind, or a verdict, for each key.
import { utf8Bytes } from "../../host/utf8.ts";
import { attrSet, type Infer } from "../wire/attrs.ts";
import { NLM_F_CREATE, type Request } from "../wire/conversation.ts";
import { be32, blob, cstring, many, nest } from "../wire/kinds.ts";
import { dataAttrs, type Data } from "./expr.ts";
import { change, list, need, nfgenmsgBytes, opened, type TableRef } from "./message.ts";
import { tableName } from "./table.ts";
import { commentData, commentIn } from "./userdata.ts";

const NFT_SET_MAP = 0x8;
const NFT_DATA_VERDICT = 0xffffff00;
/** NFTNL_UDATA_SET_*: what nft has to be told to show keys and values right, and a comment, which is 7 in sets alone. */
const keyOrderType = 0;
const valueOrderType = 1;
const setCommentType = 7;

const nested = { flagged: true } as const;
const setAttrs = attrSet("NFTA_SET", {
  table: [1, cstring],
  name: [2, cstring],
  flags: [3, be32],
  keyType: [4, be32],
  keyLength: [5, be32],
  dataType: [6, be32],
  dataLength: [7, be32],
  id: [10, be32],
  userdata: [13, blob],
});
const data = nest(dataAttrs, nested);
const elementAttrs = attrSet("NFTA_SET_ELEM", {
  key: [1, data],
  data: [2, data],
  flags: [3, be32],
  userdata: [6, blob],
});
const elementsAttrs = attrSet("NFTA_LIST", { elem: [1, many(nest(elementAttrs, nested))] });
const elementListAttrs = attrSet("NFTA_SET_ELEM_LIST", {
  table: [1, cstring],
  set: [2, cstring],
  elements: [3, nest(elementsAttrs, nested)],
});

/** enum byteorder of nft. */
const hostOrder = 1;
const networkOrder = 2;

/** nft's number of a type of data, which the kernel only keeps for it; the bytes of a value, and their order. */
const types = {
  ipv4_addr: [7, 4, networkOrder],
  ipv6_addr: [8, 16, networkOrder],
  ether_addr: [9, 6, networkOrder],
  inet_proto: [12, 1, networkOrder],
  inet_service: [13, 2, networkOrder],
  mark: [19, 4, hostOrder],
  ifname: [41, 16, hostOrder],
} as const;
export type DataType = keyof typeof types;

export interface SetRef extends TableRef {
  readonly set: string;
}

export interface NewSet {
  /** Several make a concatenation. */
  readonly key: readonly DataType[];
  /** What a map holds; none makes a set. */
  readonly value?: readonly DataType[] | "verdict";
  readonly comment?: string;
}

export interface NftSet extends SetRef {
  readonly keyType: number;
  readonly keyLength: number;
  readonly isMap: boolean;
  readonly comment: string | undefined;
}

export interface Element {
  readonly key: Uint8Array;
  readonly value?: Data | undefined;
  readonly comment?: string | undefined;
}

const setName = ({ set, ...table }: SetRef): string => `${tableName(table)} ${set}`;

/** Number, length and order of a concatenation: six bits for each type, four-byte steps for each value, no order. */
function typeOf(parts: readonly DataType[]): { type: number; length: number; order: number } {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) {
    const [type, length, order] = types[only];
    return { type, length, order };
  }
  return {
    type: parts.reduce((all, part) => (all << 6) | types[part][0], 0),
    length: parts.reduce((all, part) => all + ((types[part][1] + 3) & ~3), 0),
    order: 0,
  };
}

/** User data of a set. */
function setData(keyOrder: number, valueOrder: number | undefined, comment: string | undefined): Uint8Array {
  const order = (type: number, value: number): number[] => [type, 4, value, 0, 0, 0];
  return Uint8Array.of(
    ...order(keyOrderType, keyOrder),
    ...(valueOrder === undefined ? [] : order(valueOrderType, valueOrder)),
    ...(commentData(comment, setCommentType) ?? []),
  );
}

/** The bytes of a key or value made of several, each padded. */
export function concatenated(...parts: readonly Uint8Array[]): Uint8Array {
  const all: number[] = [];
  for (const part of parts) {
    all.push(...part);
    while ((all.length & 3) !== 0) all.push(0);
  }
  return Uint8Array.from(all);
}

/** Adds a set or map; one of that name and kind stays as it is. */
export function addSet(ref: SetRef, { key, value, comment }: NewSet): Request {
  const keys = typeOf(key);
  const values = value === undefined ? undefined : value === "verdict" ? "verdict" : typeOf(value);
  const userdata = setData(keys.order, values === "verdict" ? undefined : values?.order, comment);
  return change(
    {
      operation: `add set ${setName(ref)}`,
      message: "newSet",
      family: ref.family,
      attrs: {
        table: ref.table,
        name: ref.set,
        flags: values === undefined ? 0 : NFT_SET_MAP,
        keyType: keys.type,
        keyLength: keys.length,
        dataType: values === "verdict" ? NFT_DATA_VERDICT : values?.type,
        dataLength: values === "verdict" ? 0 : values?.length,
        // The kernel wants one, for requests that know the set by nothing else. Ours know its name.
        id: 1,
        userdata,
      } satisfies Infer<typeof setAttrs>,
      set: setAttrs,
    },
    NLM_F_CREATE,
  );
}

/** Deletes a set; EBUSY while a rule looks things up in it, ENOENT when there is none. */
export const delSet = (ref: SetRef): Request =>
  change({
    operation: `delete set ${setName(ref)}`,
    message: "delSet",
    family: ref.family,
    attrs: { table: ref.table, name: ref.set } satisfies Infer<typeof setAttrs>,
    set: setAttrs,
  });

const elementValues = ({ key, value, comment }: Element): Infer<typeof elementAttrs> => ({
  key: { value: key },
  data: value,
  userdata: commentData(comment),
});

const ofElements = (verb: string, ref: SetRef, elements?: readonly Element[]) => ({
  operation: `${verb} ${setName(ref)}`,
  family: ref.family,
  attrs: {
    table: ref.table,
    set: ref.set,
    elements: elements && { elem: elements.map(elementValues) },
  } satisfies Infer<typeof elementListAttrs>,
  set: elementListAttrs,
});

/** Adds elements; one that is there stays, EEXIST where a map has it with another value. A few hundred at a time. */
export const addElements = (ref: SetRef, elements: readonly Element[]): Request =>
  change({ ...ofElements("add element", ref, elements), message: "newElements" }, NLM_F_CREATE);

/** Deletes elements by their keys; ENOENT when one is not there. */
export const delElements = (ref: SetRef, keys: readonly Uint8Array[]): Request =>
  change({
    ...ofElements(
      "delete element",
      ref,
      keys.map((key) => ({ key })),
    ),
    message: "delElements",
  });

/** Asks for the sets of a table. */
export const listSets = (ref: TableRef): Request =>
  list({
    operation: `list sets ${tableName(ref)}`,
    message: "getSet",
    family: ref.family,
    attrs: { table: ref.table } satisfies Infer<typeof setAttrs>,
    set: setAttrs,
  });

/** Asks for the elements of a set; ENOENT when there is none. */
export const listElements = (ref: SetRef): Request => list({ ...ofElements("list set", ref), message: "getElements" });

/** Reads NFT_MSG_NEWSET; undefined for one of a family nobody here has heard of. */
export function decodeSet(payload: Uint8Array): NftSet | undefined {
  const from = opened(payload);
  if (from === undefined) return undefined;
  const found = setAttrs.read(from.source, nfgenmsgBytes, payload.length);
  return {
    family: from.family,
    table: need(found.table, "NFTA_SET.table"),
    set: need(found.name, "NFTA_SET.name"),
    keyType: found.keyType ?? 0,
    keyLength: found.keyLength ?? 0,
    isMap: ((found.flags ?? 0) & NFT_SET_MAP) !== 0,
    comment: commentIn(found.userdata, setCommentType),
  };
}

/** Reads NFT_MSG_NEWSETELEM: some of the elements, a message holds no more. */
export function decodeElements(payload: Uint8Array): Element[] {
  const from = opened(payload);
  if (from === undefined) return [];
  const { elements } = elementListAttrs.read(from.source, nfgenmsgBytes, payload.length);
  return (elements?.elem ?? []).map(({ key, data: value, userdata }) => ({
    key: need(key?.value, "NFTA_SET_ELEM.key"),
    value,
    comment: commentIn(userdata),
  }));
}

/** The name of a link as a key holds it. */
export function ifnameBytes(name: string): Uint8Array {
  const bytes = utf8Bytes(name);
  const [, length] = types.ifname;
  if (bytes.length >= length)
    throw new RangeError(`link name "${name}": ${bytes.length} bytes, may have ${length - 1}`);
  const padded = new Uint8Array(length);
  padded.set(bytes);
  return padded;
}
