// Expressions: what the kernel runs for each packet that meets a rule, one after the other, over registers. Tables of
// linux/netfilter/nf_tables.h for those that our rules are made of; any other keeps its bytes, so that a rule of somebody
// else's is read whole. Numbers are in network order, data as in the packet.
import { attrSet, type AttrSet, type Infer, type Kind, type Table } from "../wire/attrs.ts";
import type { Writer } from "../wire/bytes.ts";
import { be32, be64, beI32, blob, cstring, nest, u8 } from "../wire/kinds.ts";

const nested = { flagged: true } as const;

const verdictAttrs = attrSet("NFTA_VERDICT", { code: [1, beI32], chain: [2, cstring] });
/** A value, or a verdict where the register is 0. */
export const dataAttrs = attrSet("NFTA_DATA", { value: [1, blob], verdict: [2, nest(verdictAttrs, nested)] });
const data = nest(dataAttrs, nested);
export type Data = Infer<typeof dataAttrs>;

/** NFT_JUMP and the like; a drop and an accept are NF_DROP and NF_ACCEPT of linux/netfilter.h. */
export const verdictCodes = { drop: 0, accept: 1, jump: -3, goto: -4, return: -5 } as const;

const tables = {
  /** Loads what the kernel knows of a packet into a register, or sets it from one. */
  meta: attrSet("NFTA_META", { dreg: [1, be32], key: [2, be32], sreg: [3, be32] }),
  payload: attrSet("NFTA_PAYLOAD", { dreg: [1, be32], base: [2, be32], offset: [3, be32], len: [4, be32] }),
  ct: attrSet("NFTA_CT", { dreg: [1, be32], key: [2, be32], direction: [3, u8], sreg: [4, be32] }),
  fib: attrSet("NFTA_FIB", { dreg: [1, be32], result: [2, be32], flags: [3, be32] }),
  bitwise: attrSet("NFTA_BITWISE", {
    sreg: [1, be32],
    dreg: [2, be32],
    len: [3, be32],
    mask: [4, data],
    xor: [5, data],
    op: [6, be32],
    data: [7, data],
  }),
  /** Ends the rule where the comparison fails. */
  cmp: attrSet("NFTA_CMP", { sreg: [1, be32], op: [2, be32], data: [3, data] }),
  immediate: attrSet("NFTA_IMMEDIATE", { dreg: [1, be32], data: [2, data] }),
  lookup: attrSet("NFTA_LOOKUP", {
    set: [1, cstring],
    sreg: [2, be32],
    dreg: [3, be32],
    setId: [4, be32],
    flags: [5, be32],
  }),
  nat: attrSet("NFTA_NAT", {
    type: [1, be32],
    family: [2, be32],
    addrMin: [3, be32],
    addrMax: [4, be32],
    protoMin: [5, be32],
    protoMax: [6, be32],
    flags: [7, be32],
  }),
  masq: attrSet("NFTA_MASQ", { flags: [1, be32], protoMin: [2, be32], protoMax: [3, be32] }),
  counter: attrSet("NFTA_COUNTER", { bytes: [1, be64], packets: [2, be64] }),
  /** Of x_tables; see xt.ts. `info` is in the order of the machine. */
  match: attrSet("NFTA_MATCH", { name: [1, cstring], rev: [2, be32], info: [3, blob] }),
  target: attrSet("NFTA_TARGET", { name: [1, cstring], rev: [2, be32], info: [3, blob] }),
} as const;

type Tables = typeof tables;
export type ExprName = keyof Tables;
type Known = { [Name in ExprName]: { readonly name: Name; readonly data: Infer<Tables[Name]> } }[ExprName];

/** One the tables lack: `of` is the kernel's name for it. */
export interface ForeignExpr {
  readonly name: "foreign";
  readonly of: string;
  readonly bytes: Uint8Array;
}

export type Expr = Known | ForeignExpr;

/** The chain that a rule jumps to. */
export function targetOf(exprs: readonly Expr[]): string | undefined {
  for (const expr of exprs) {
    const chain = expr.name === "immediate" ? expr.data.data?.verdict?.chain : undefined;
    if (chain !== undefined) return chain;
  }
  return undefined;
}

const heard = attrSet("NFTA_EXPR", { name: [1, cstring], data: [2, blob] });
/** The same with the table that belongs to the name. */
const named = new Map(
  Object.entries(tables).map(([name, set]) => [
    name,
    attrSet("NFTA_EXPR", { name: [1, cstring], data: [2, nest(set as unknown as AttrSet<Table>, nested)] }),
  ]),
);
const foreign = attrSet("NFTA_EXPR", { name: [1, cstring], data: [2, { ...blob, flagged: true }] });

/**
 * Expressions as they were written last, by all that is in them but the bytes at their end: hundreds of rules are made of the
 * same few, and to put another port in is a tenth of the work of writing one.
 */
const written = new Map<string, Uint8Array>();
/** The same of those that rules share as one object, which say the same to the last byte. */
const shared = new WeakMap<Known, Uint8Array>();

/** What tells an expression from others of its kind, and the bytes at its end; no key where it has bytes elsewhere. */
function shapeOf({ name, data }: Known): { readonly key?: string; readonly last?: Uint8Array | undefined } {
  switch (name) {
    case "bitwise":
      return {};
    case "cmp":
      return { key: `cmp ${data.sreg} ${data.op} ${data.data?.value?.length}`, last: data.data?.value };
    case "immediate": {
      const { value, verdict } = data.data ?? {};
      return { key: `immediate ${data.dreg} ${value?.length} ${verdict?.code} ${verdict?.chain}`, last: value };
    }
    case "match":
    case "target":
      return { key: `${name} ${data.rev} ${data.info?.length} ${data.name}`, last: data.info };
    default:
      return { key: `${name} ${Object.entries(data).join(" ")}` };
  }
}

function encodeKnown(writer: Writer, value: Known): void {
  const same = shared.get(value);
  if (same !== undefined) {
    writer.put(same);
    return;
  }
  const { key, last } = shapeOf(value);
  const like = key === undefined ? undefined : written.get(key);
  if (like !== undefined) {
    if (last !== undefined) like.set(last, like.length - ((last.length + 3) & ~3));
    writer.put(like);
    return;
  }
  const at = writer.length;
  named.get(value.name)?.encode(writer, value);
  if (key === undefined) return;
  const bytes = writer.bytes().slice(at);
  written.set(key, bytes);
  if (last === undefined) shared.set(value, bytes);
}

/** NFTA_EXPR_NAME and NFTA_EXPR_DATA, whose table the name decides. */
export const expr: Kind<Expr> = {
  size: 0,
  flagged: true,
  encode(writer, value) {
    if (value.name === "foreign") foreign.encode(writer, { name: value.of, data: value.bytes });
    else encodeKnown(writer, value);
  },
  decode(source, at, end) {
    const { name = "", data: bytes = new Uint8Array(0) } = heard.read(source, at, end);
    if (!Object.hasOwn(tables, name)) return { name: "foreign", of: name, bytes };
    const from = bytes.byteOffset - source.bytes.byteOffset;
    return { name, data: tables[name as ExprName].read(source, from, from + bytes.length) } as Expr;
  },
  // For the names in errors: which expression it is, the kernel does not tell.
  inside: { offset: 0, set: heard as unknown as AttrSet<Table> },
};
