// nf_tables in one netns, over nfnetlink. It asks and changes; what should be there is for others to know.
//
// A change is one transaction: all of it happens or nothing does. The kernel counts transactions of a netns, the
// generation: `update` reads, decides and changes as one step by having the kernel refuse a change that was decided on a
// generation gone by. Adding costs well under a millisecond, but closing the socket after anything was deleted waits for
// RCU, 12 to 22 ms: delete only what has to go.
import { isErrno } from "../../host/errno.ts";
import type { Host, Netns } from "../../host/host.ts";
import { attrSet, type Infer } from "../wire/attrs.ts";
import { Conversation, type Request } from "../wire/conversation.ts";
import { NetlinkError } from "../wire/error.ts";
import { be32 } from "../wire/kinds.ts";
import { decodeChain, getChain, listChains, type Chain } from "./chain.ts";
import {
  ask,
  need,
  NETLINK_NETFILTER,
  NFNL_SUBSYS_NFTABLES,
  nfgenmsg,
  nfgenmsgBytes,
  type ChainRef,
  type NftFamily,
  type TableRef,
} from "./message.ts";
import { decodeRule, handleOf, listRules, type KernelRule } from "./rule.ts";
import { decodeElements, decodeSet, listElements, listSets, type Element, type NftSet, type SetRef } from "./set.ts";
import { decodeTable, getTable, listTables, type Table } from "./table.ts";

const EAGAIN = 11;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;

const batchAttrs = attrSet("NFNL_BATCH", { generation: [1, be32] });
const generationAttrs = attrSet("NFTA_GEN", { id: [1, be32] });

/**
 * So often a change is decided anew that others were faster than. Each time somebody's went through, so it only takes
 * many at once. After the first few it waits, longer each time and by chance, for the crowd to thin: a hundred that all
 * try again at once keep each other from ever finishing.
 */
const attempts = 100;
const eagerAttempts = 4;
const longestWaitMs = 64;

export interface NftSocket {
  /** How many transactions there were in this netns. EINVAL where the kernel has no nf_tables. */
  generation(): number;
  table: {
    /** undefined when there is no such table. */
    get(ref: TableRef): Table | undefined;
    list(family?: NftFamily): Table[];
  };
  chain: {
    get(ref: ChainRef): Chain | undefined;
    /** The same for several, in one go. */
    getAll(refs: readonly ChainRef[]): (Chain | undefined)[];
    /** Of one table; none where there is no such table. */
    list(ref: TableRef): Chain[];
  };
  /**
   * Of a table, or of one chain, in the order in which packets meet them; none where that is not there. Those that are
   * not `wanted`, by the bytes of their message, are left out before they cost anything; so are dozens at once where all
   * those bytes together do not `mention` what is looked for.
   */
  rule: {
    list(
      ref: TableRef & { readonly chain?: string },
      wanted?: (payload: Uint8Array) => boolean,
      mention?: (bytes: Uint8Array) => boolean,
    ): KernelRule[];
    /** The same of a chain, for who only deletes them. */
    handles(
      ref: ChainRef,
      wanted: (payload: Uint8Array) => boolean,
      mention?: (bytes: Uint8Array) => boolean,
    ): bigint[];
  };
  set: {
    list(ref: TableRef): NftSet[];
    /** In no order. */
    elements(ref: SetRef): Element[];
  };
  /** One transaction: all or nothing. Throws the first refusal, a NetlinkError. */
  apply(...changes: readonly Request[]): void;
  /**
   * Makes the changes that `decide` finds necessary, as if nobody else could do anything meanwhile: it is asked again
   * where somebody did. It may read through this socket, and has no other effect. Returns whether anything was changed.
   */
  update(decide: () => readonly Request[]): boolean;
  close(): void;
}

const begin = (generation: number | undefined): Request => ({
  operation: "nft transaction",
  type: NFNL_MSG_BATCH_BEGIN,
  flags: 0,
  header: nfgenmsg(0, NFNL_SUBSYS_NFTABLES),
  attrs: { generation } satisfies Infer<typeof batchAttrs>,
  set: batchAttrs,
});

const end: Request = {
  operation: "nft transaction",
  type: NFNL_MSG_BATCH_END,
  flags: 0,
  header: nfgenmsg(0, NFNL_SUBSYS_NFTABLES),
};

/** Opens nf_tables in the netns, or in our own. */
export function openNft(host: Host, netns?: Netns): NftSocket {
  const conversation = new Conversation(host.netlink(NETLINK_NETFILTER, netns));

  function dump<T>(
    request: Request,
    decode: (payload: Uint8Array) => readonly T[] | T | undefined,
    matters?: (datagram: Uint8Array) => boolean,
  ): T[] {
    try {
      return conversation.dump(request, matters).flatMap(({ payload }) => (decode(payload) ?? []) as T[]);
    } catch (error) {
      if (isErrno(error, "ENOENT")) return [];
      throw error;
    }
  }

  const getAll = <T>(
    requests: readonly Request[],
    decode: (payload: Uint8Array) => T | undefined,
  ): (T | undefined)[] =>
    requests.length === 0
      ? []
      : conversation.exchange(requests, ["ENOENT"]).map((reply) => reply && decode(reply.payload));

  function generation(): number {
    const [reply] = conversation.exchange([
      ask({ operation: "list generation", message: "getGeneration", family: undefined }),
    ]);
    return need(reply && generationAttrs.decode(reply.payload, nfgenmsgBytes).id, "NFTA_GEN.id");
  }

  function commit(changes: readonly Request[], decidedOn?: number): void {
    if (changes.length > 0) conversation.transact([begin(decidedOn), ...changes, end]);
  }

  /** One attempt; false when somebody else was faster. */
  function updated(decide: () => readonly Request[]): { changed: boolean } | undefined {
    const decidedOn = generation();
    const changes = decide();
    if (changes.length === 0) return generation() === decidedOn ? { changed: false } : undefined;
    try {
      commit(changes, decidedOn);
      return { changed: true };
    } catch (error) {
      if (isErrno(error, "ERESTART", "EAGAIN", "EINTR")) return undefined;
      throw error;
    }
  }

  /** Anything from 1 ms to a bound that doubles. */
  function waitMs(attempt: number): number {
    const [chance = 0] = host.random(1);
    return 1 + (chance % Math.min(longestWaitMs, 2 ** attempt));
  }

  return {
    generation,
    table: {
      get: (ref) => getAll([getTable(ref)], decodeTable)[0],
      list: (family) => dump(listTables(family), decodeTable),
    },
    chain: {
      get: (ref) => getAll([getChain(ref)], decodeChain)[0],
      getAll: (refs) => getAll(refs.map(getChain), decodeChain),
      list: (ref) => dump(listChains(ref.family), decodeChain).filter(({ table }) => table === ref.table),
    },
    rule: {
      list: (ref, wanted = () => true, mention = undefined) =>
        dump(listRules(ref), (payload) => (wanted(payload) ? decodeRule(payload) : undefined), mention),
      handles: (ref, wanted, mention) =>
        dump(listRules(ref), (payload) => (wanted(payload) ? handleOf(payload) : undefined), mention),
    },
    set: {
      list: (ref) => dump(listSets(ref), decodeSet),
      elements: (ref) => dump(listElements(ref), decodeElements),
    },

    apply: (...changes) => commit(changes),

    update(decide) {
      for (let attempt = 1; attempt <= attempts; attempt++) {
        const done = updated(decide);
        if (done !== undefined) return done.changed;
        if (attempt > eagerAttempts) host.sleepMs(waitMs(attempt - eagerAttempts));
      }
      const operation = `nft transaction, for which others changed the ruleset ${attempts} times meanwhile`;
      throw new NetlinkError({ operation, errno: EAGAIN });
    },

    close: () => conversation.close(),
  };
}
