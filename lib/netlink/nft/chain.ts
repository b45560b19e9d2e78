// Chains: NFTA_CHAIN_* and NFTA_HOOK_* of linux/netfilter/nf_tables.h. A base chain hangs at a hook, where packets come
// by; any other is jumped to.
import { attrSet, type Infer } from "../wire/attrs.ts";
import { NLM_F_CREATE, type Request } from "../wire/conversation.ts";
import { be32, be64, beI32, blob, cstring, nest } from "../wire/kinds.ts";
import { ask, change, list, need, nfgenmsgBytes, opened, type ChainRef, type NftFamily } from "./message.ts";
import { commentData, commentIn } from "./userdata.ts";

const hookAttrs = attrSet("NFTA_HOOK", { hook: [1, be32], priority: [2, beI32] });
const chainAttrs = attrSet("NFTA_CHAIN", {
  table: [1, cstring],
  handle: [2, be64],
  name: [3, cstring],
  hook: [4, nest(hookAttrs, { flagged: true })],
  policy: [5, be32],
  type: [7, cstring],
  userdata: [12, blob],
});

/** NFT_CHAIN_MAXNAMELEN without the zero: the kernel does not even look for a longer name, ERANGE. */
export const maxChainNameBytes = 255;

/** enum nf_inet_hooks; the bridge family's have the same numbers. */
const hooks = ["prerouting", "input", "forward", "output", "postrouting"] as const;
export type Hook = (typeof hooks)[number];
const policies = ["drop", "accept"] as const;

/** How a base chain hangs. */
export interface Base {
  readonly type: "filter" | "nat" | "route";
  readonly hook: Hook;
  readonly priority: number;
  readonly policy: "accept" | "drop";
}

export interface Chain extends ChainRef {
  readonly handle: bigint;
  /** undefined for a chain that is jumped to, and for one that hangs where no table here can say. */
  readonly base: Base | undefined;
  readonly comment: string | undefined;
}

export const chainName = ({ family, table, chain }: ChainRef): string => `${family} ${table} ${chain}`;

const named = (ref: ChainRef) => ({
  family: ref.family,
  attrs: { table: ref.table, name: ref.chain } satisfies Infer<typeof chainAttrs>,
  set: chainAttrs,
});

export interface NewChain {
  readonly base?: Base | undefined;
  readonly comment?: string | undefined;
}

/** Adds a chain; one that is there stays as it is. EEXIST where that one hangs elsewhere. */
export function addChain(ref: ChainRef, { base, comment }: NewChain = {}): Request {
  const userdata = commentData(comment);
  return change(
    {
      ...named(ref),
      operation: `add chain ${chainName(ref)}`,
      message: "newChain",
      attrs: {
        table: ref.table,
        name: ref.chain,
        hook: base && { hook: hooks.indexOf(base.hook), priority: base.priority },
        policy: base && policies.indexOf(base.policy),
        type: base?.type,
        userdata,
      } satisfies Infer<typeof chainAttrs>,
    },
    NLM_F_CREATE,
  );
}

/** Deletes a chain with its rules; EBUSY while a rule elsewhere jumps to it, ENOENT when there is none. */
export const delChain = (ref: ChainRef): Request =>
  change({ ...named(ref), operation: `delete chain ${chainName(ref)}`, message: "delChain" });

/** Asks for one chain; ENOENT when there is none. */
export const getChain = (ref: ChainRef): Request =>
  ask({ ...named(ref), operation: `list chain ${chainName(ref)}`, message: "getChain" });

/** Asks for the chains of a family: the kernel cannot narrow it to a table. */
export const listChains = (family: NftFamily): Request =>
  list({ operation: `list chains ${family}`, message: "getChain", family, set: chainAttrs });

/** Reads NFT_MSG_NEWCHAIN; undefined for one of a family nobody here has heard of. */
export function decodeChain(payload: Uint8Array): Chain | undefined {
  const from = opened(payload);
  if (from === undefined) return undefined;
  const found = chainAttrs.read(from.source, nfgenmsgBytes, payload.length);
  const hook = hooks[found.hook?.hook ?? -1];
  const policy = policies[found.policy ?? 1];
  const { type } = found;
  return {
    family: from.family,
    table: need(found.table, "NFTA_CHAIN.table"),
    chain: need(found.name, "NFTA_CHAIN.name"),
    handle: found.handle ?? 0n,
    base:
      hook === undefined || policy === undefined || (type !== "filter" && type !== "nat" && type !== "route")
        ? undefined
        : { type, hook, priority: found.hook?.priority ?? 0, policy },
    comment: commentIn(found.userdata),
  };
}
