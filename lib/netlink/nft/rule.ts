// Rules as the kernel has them: NFTA_RULE_* of linux/netfilter/nf_tables.h, a list of expressions in a chain. What
// expressions mean is phrase.ts's to say.
import { attrSet, type Infer } from "../wire/attrs.ts";
import { Writer } from "../wire/bytes.ts";
import { NLM_F_CREATE, type Request } from "../wire/conversation.ts";
import { be32, be64, blob, cstring, many, nest } from "../wire/kinds.ts";
import { chainName } from "./chain.ts";
import { expr, type Expr } from "./expr.ts";
import { change, list, need, nfgenmsgBytes, opened, type ChainRef, type TableRef } from "./message.ts";
import { tableName } from "./table.ts";
import { commentIn, ruleData } from "./userdata.ts";

const NLM_F_APPEND = 0x800;

const listAttrs = attrSet("NFTA_LIST", { elem: [1, many(expr)] });
const compatAttrs = attrSet("NFTA_RULE_COMPAT", { protocol: [1, be32], flags: [2, be32] });
const ruleAttrs = attrSet("NFTA_RULE", {
  table: [1, cstring],
  chain: [2, cstring],
  handle: [3, be64],
  exprs: [4, nest(listAttrs, { flagged: true })],
  compat: [5, nest(compatAttrs, { flagged: true })],
  position: [6, be64],
  userdata: [7, blob],
});

/** What tells whose rule it is, without a look at the rest. */
const ownerAttrs = attrSet("NFTA_RULE", { userdata: [7, blob] });

export interface KernelRule extends ChainRef {
  /** Its own in its table for ever: a handle is not given twice. */
  readonly handle: bigint;
  readonly exprs: readonly Expr[];
  readonly comment: string | undefined;
  /** Where the comment is. */
  readonly userdata: Uint8Array | undefined;
}

export interface NewRule {
  /** Where they are made only when they are sent, those of ten thousand rules are never all there at once. */
  readonly exprs: readonly Expr[] | (() => readonly Expr[]);
  readonly comment?: string | undefined;
  /** Beside the comment, for us alone: `markIn` finds it in the user data. */
  readonly mark?: string | undefined;
  /** IPPROTO_* of the packets it is for, without which the kernel refuses matches of x_tables that look into these. */
  readonly protocol?: number | undefined;
  /** The handle of the rule that it comes before. */
  readonly before?: bigint | undefined;
  /** Without that: it is the first of its chain, otherwise the last. */
  readonly first?: boolean | undefined;
}

/** What all requests about the rules of one chain begin with, and its name: made once for hundreds of rules. */
const beginnings = new WeakMap<ChainRef, { readonly name: string; readonly bytes: Uint8Array }>();

function beginningOf(ref: ChainRef): { readonly name: string; readonly bytes: Uint8Array } {
  const known = beginnings.get(ref);
  if (known !== undefined) return known;
  const writer = new Writer();
  ruleAttrs.encode(writer, { table: ref.table, chain: ref.chain });
  const made = { name: chainName(ref), bytes: writer.bytes().slice() };
  beginnings.set(ref, made);
  return made;
}

/** Adds a rule; ENOENT where its chain, or one it jumps to, is missing. */
export function addRule(ref: ChainRef, { exprs, comment, mark, protocol, before, first = false }: NewRule): Request {
  const { name, bytes } = beginningOf(ref);
  return change(
    {
      operation: `add rule ${name}`,
      message: "newRule",
      family: ref.family,
      attrs(writer) {
        writer.put(bytes);
        ruleAttrs.encode(writer, {
          compat: protocol === undefined ? undefined : { protocol, flags: 0 },
          position: before,
          exprs: { elem: typeof exprs === "function" ? exprs() : exprs },
          userdata: ruleData({ comment, mark }),
        });
      },
      set: ruleAttrs,
    },
    before === undefined && !first ? NLM_F_CREATE | NLM_F_APPEND : NLM_F_CREATE,
  );
}

/** Deletes one rule; ENOENT when it is gone. */
export function delRule(ref: ChainRef, handle: bigint): Request {
  const { name, bytes } = beginningOf(ref);
  return change({
    operation: `delete rule ${name} handle ${handle}`,
    message: "delRule",
    family: ref.family,
    attrs(writer) {
      writer.put(bytes);
      ruleAttrs.encode(writer, { handle });
    },
    set: ruleAttrs,
  });
}

/** Deletes all rules of a chain. */
export const flushChain = (ref: ChainRef): Request =>
  change({
    operation: `flush chain ${chainName(ref)}`,
    message: "delRule",
    family: ref.family,
    attrs: { table: ref.table, chain: ref.chain } satisfies Infer<typeof ruleAttrs>,
    set: ruleAttrs,
  });

/** Asks for the rules of a table, or of one chain: the kernel leaves out the others. */
export const listRules = (ref: TableRef & { readonly chain?: string }): Request =>
  list({
    operation: `list rules ${tableName(ref)}${ref.chain === undefined ? "" : ` ${ref.chain}`}`,
    message: "getRule",
    family: ref.family,
    attrs: { table: ref.table, chain: ref.chain } satisfies Infer<typeof ruleAttrs>,
    set: ruleAttrs,
  });

/** Reads NFT_MSG_NEWRULE; undefined for one of a family nobody here has heard of. */
export function decodeRule(payload: Uint8Array): KernelRule | undefined {
  const from = opened(payload);
  if (from === undefined) return undefined;
  const { table, chain, handle, exprs, userdata } = ruleAttrs.read(from.source, nfgenmsgBytes, payload.length);
  return {
    family: from.family,
    table: need(table, "NFTA_RULE.table"),
    chain: need(chain, "NFTA_RULE.chain"),
    handle: need(handle, "NFTA_RULE.handle"),
    exprs: exprs?.elem ?? [],
    comment: commentIn(userdata),
    userdata,
  };
}

const handleAttrs = attrSet("NFTA_RULE", { handle: [3, be64] });

/** The handle in NFT_MSG_NEWRULE: all that it takes to delete a rule. */
export const handleOf = (payload: Uint8Array): bigint =>
  need(handleAttrs.decode(payload, nfgenmsgBytes).handle, "NFTA_RULE.handle");

/** The user data of NFT_MSG_NEWRULE: a tenth of the work of the whole. */
export const userdataOf = (payload: Uint8Array): Uint8Array | undefined =>
  ownerAttrs.decode(payload, nfgenmsgBytes).userdata;
