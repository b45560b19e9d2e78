// Tables: NFTA_TABLE_* of linux/netfilter/nf_tables.h. A table is a name in a family; all else lives in one.
import { attrSet, type Infer } from "../wire/attrs.ts";
import { NLM_F_CREATE, type Request } from "../wire/conversation.ts";
import { be32, be64, blob, cstring } from "../wire/kinds.ts";
import { ask, change, list, need, nfgenmsgBytes, opened, type NftFamily, type TableRef } from "./message.ts";
import { commentData, commentIn } from "./userdata.ts";

const tableAttrs = attrSet("NFTA_TABLE", {
  name: [1, cstring],
  flags: [2, be32],
  handle: [4, be64],
  userdata: [6, blob],
});

export interface Table extends TableRef {
  readonly handle: bigint;
  /** 1: dormant, none of its chains sees a packet. */
  readonly flags: number;
  readonly comment: string | undefined;
}

export const tableName = ({ family, table }: TableRef): string => `${family} ${table}`;

const named = (ref: TableRef) => ({
  family: ref.family,
  attrs: { name: ref.table } satisfies Infer<typeof tableAttrs>,
  set: tableAttrs,
});

/** Adds a table; one that is there stays as it is, its comment too. */
export function addTable(ref: TableRef, comment?: string): Request {
  const userdata = commentData(comment);
  return change(
    {
      ...named(ref),
      operation: `add table ${tableName(ref)}`,
      message: "newTable",
      attrs: { name: ref.table, flags: 0, userdata } satisfies Infer<typeof tableAttrs>,
    },
    NLM_F_CREATE,
  );
}

/** Deletes a table with all that is in it; ENOENT when there is none. */
export const delTable = (ref: TableRef): Request =>
  change({ ...named(ref), operation: `delete table ${tableName(ref)}`, message: "delTable" });

/** Asks for one table; ENOENT when there is none. */
export const getTable = (ref: TableRef): Request =>
  ask({ ...named(ref), operation: `list table ${tableName(ref)}`, message: "getTable" });

/** Asks for the tables of a family, or of all. */
export const listTables = (family?: NftFamily): Request =>
  list({ operation: "list tables", message: "getTable", family, set: tableAttrs });

/** Reads NFT_MSG_NEWTABLE; undefined for a table of a family nobody here has heard of. */
export function decodeTable(payload: Uint8Array): Table | undefined {
  const from = opened(payload);
  if (from === undefined) return undefined;
  const { name, flags = 0, handle = 0n, userdata } = tableAttrs.read(from.source, nfgenmsgBytes, payload.length);
  return {
    family: from.family,
    table: need(name, "NFTA_TABLE.name"),
    handle,
    flags,
    comment: commentIn(userdata),
  };
}
