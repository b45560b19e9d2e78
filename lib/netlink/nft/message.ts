// What all nf_tables messages share: struct nfgenmsg of linux/netfilter/nfnetlink.h (u8 family, u8 version, be16
// res_id), message types, and the names of families as nft writes them.
import { WireError, type AttrSet, type Table as AttrTable } from "../wire/attrs.ts";
import { sourceOf, type Source } from "../wire/bytes.ts";
import { NLM_F_ACK, NLM_F_DUMP, type Request } from "../wire/conversation.ts";

export const NETLINK_NETFILTER = 12;
export const NFNL_SUBSYS_NFTABLES = 10;
export const nfgenmsgBytes = 4;

/** enum nf_inet protocols (NFPROTO_*), under the names nft has for families of tables. */
const familyNumbers = { inet: 1, ip: 2, arp: 3, netdev: 5, bridge: 7, ip6: 10 } as const;
export type NftFamily = keyof typeof familyNumbers;

/** enum nf_tables_msg_types. */
export const messages = {
  newTable: 0,
  getTable: 1,
  delTable: 2,
  newChain: 3,
  getChain: 4,
  delChain: 5,
  newRule: 6,
  getRule: 7,
  delRule: 8,
  newSet: 9,
  getSet: 10,
  delSet: 11,
  newElements: 12,
  getElements: 13,
  delElements: 14,
  getGeneration: 16,
} as const;

export interface TableRef {
  readonly family: NftFamily;
  readonly table: string;
}

export interface ChainRef extends TableRef {
  readonly chain: string;
}

/** struct nfgenmsg { u8 family; u8 version; be16 resource id } */
export const nfgenmsg = (family: number, resId = 0): readonly number[] => [
  family | ((resId & 0xff) << 24) | ((resId >>> 8) << 16),
];

export interface NftRequest {
  /** As nft would say it: `add chain inet t "c"`. */
  readonly operation: string;
  readonly message: keyof typeof messages;
  /** undefined asks for all families. */
  readonly family: NftFamily | undefined;
  readonly attrs?: Request["attrs"];
  readonly set?: AttrSet<AttrTable>;
}

function request({ operation, message, family, attrs, set }: NftRequest, flags: number): Request {
  const number = family === undefined ? 0 : familyNumbers[family];
  const made: { -readonly [Key in keyof Request]: Request[Key] } = {
    operation: `nft ${operation}`,
    type: (NFNL_SUBSYS_NFTABLES << 8) | messages[message],
    flags,
    header: nfgenmsg(number),
  };
  if (attrs !== undefined) made.attrs = attrs;
  if (set !== undefined) made.set = set;
  return made;
}

/** A change: part of a transaction. `flags` are NLM_F_CREATE and the like. */
export const change = (what: NftRequest, flags = 0): Request => request(what, NLM_F_ACK | flags);

/** A question whose answer is one object. */
export const ask = (what: NftRequest): Request => request(what, 0);

/** A question whose answer is a list. */
export const list = (what: NftRequest): Request => request(what, NLM_F_DUMP);

/** The family of a received message and its attributes; undefined where the family is none that nft has a name for. */
export function opened(payload: Uint8Array): { family: NftFamily; source: Source } | undefined {
  if (payload.length < nfgenmsgBytes)
    throw new WireError(`nfgenmsg: want ${nfgenmsgBytes} bytes, got ${payload.length}`);
  for (const name in familyNumbers)
    if (familyNumbers[name as NftFamily] === payload[0])
      return { family: name as NftFamily, source: sourceOf(payload) };
  return undefined;
}

/** The value of an attribute that the kernel always sends. */
export function need<T>(value: T | undefined, path: string): T {
  if (value === undefined) throw new WireError(`${path}: missing`);
  return value;
}
