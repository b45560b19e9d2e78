// Makes the kernel's rules what a plan says, finds out what they lack of it, and takes things away: each in one
// transaction, decided on what is there, and none where nothing is to be done. Nothing is deleted that has not to go,
// since a transaction that deletes waits for RCU.
import { utf8Bytes } from "../host/utf8.ts";
import { addChain, delChain } from "../netlink/nft/chain.ts";
import { targetOf } from "../netlink/nft/expr.ts";
import type { ChainRef } from "../netlink/nft/message.ts";
import type { NftSocket } from "../netlink/nft/open.ts";
import type { Rule } from "../netlink/nft/phrase.ts";
import { decodeRule, delRule, userdataOf, type KernelRule } from "../netlink/nft/rule.ts";
import { addSet } from "../netlink/nft/set.ts";
import { addTable, tableName } from "../netlink/nft/table.ts";
import { includesBytes } from "../netlink/wire/bytes.ts";
import type { Request } from "../netlink/wire/conversation.ts";
import { changesOf, differenceOf, mattersTo, missingText } from "./difference.ts";
import {
  chainRef,
  checkPlace,
  ruleTest,
  type OwnedRules,
  type Plan,
  type PlannedChain,
  type PlannedSet,
  type Removal,
} from "./plan.ts";

/** Adds what is missing of the plans and takes away what is surplus; returns whether there was anything to do. */
export const ensure = (nft: NftSocket, ...plans: readonly Plan[]): boolean =>
  nft.update(() => plans.flatMap((plan) => changesFor(nft, plan)));

/** Reads of a chain that is there the rules that can matter to its plan, in order; others among them do no harm. */
export type ReadRules = (ref: ChainRef, planned: PlannedChain) => readonly KernelRule[];

/**
 * What `ensure` would change for one plan, for an update that changes more than that; it reads the rules of a chain by
 * `read`, so that who has to look at the chain anyhow reads it once.
 */
export function changesFor(
  nft: NftSocket,
  plan: Plan,
  read: ReadRules = (ref, planned) => nft.rule.list(ref, mattersTo(planned)),
): Request[] {
  const { family, table: name } = plan;
  const table = nft.table.get(plan);
  const missing = new Set<string>();
  const chains = table && nft.chain.getAll(plan.chains.map(({ chain }) => chainRef(plan, chain)));
  for (const [at, planned] of plan.chains.entries()) {
    const chain = chains?.[at];
    if (chain === undefined) missing.add(planned.chain);
    else checkPlace(chain, planned.base);
  }
  // A rule that jumps to a chain which is only now added cannot be there: a chain of thousands need not be read for it.
  const isNew = ({ verdict }: Rule): boolean =>
    typeof verdict !== "string" && "jump" in verdict && missing.has(verdict.jump);
  const ownsNone = ({ owns }: PlannedChain): boolean =>
    owns === undefined || (typeof owns === "object" && "jumpsTo" in owns && missing.has(owns.jumpsTo));
  const isUnread = (planned: PlannedChain): boolean =>
    missing.has(planned.chain) || (ownsNone(planned) && planned.rules.every(isNew));
  return [
    ...(table === undefined ? [addTable(plan, plan.comment)] : []),
    // A rule may look into a set, and jump to a chain that comes later in the plan: these first.
    ...missingSets(nft, plan).map((planned) => addSet({ family, table: name, set: planned.set }, planned)),
    ...plan.chains
      .filter(({ chain }, at) => missing.has(chain) && plan.chains.findIndex((each) => each.chain === chain) === at)
      .map((planned) => addChain(chainRef(plan, planned.chain), planned)),
    ...plan.chains.flatMap((planned) => {
      const ref = chainRef(plan, planned.chain);
      const seen = isUnread(planned) ? [] : read(ref, planned);
      return changesOf(ref, differenceOf(planned, seen), planned.first);
    }),
  ];
}

function missingSets(nft: NftSocket, plan: Plan): readonly PlannedSet[] {
  if (plan.sets === undefined) return [];
  const there = new Set(nft.set.list(plan).map(({ set }) => set));
  return plan.sets.filter(({ set }) => !there.has(set));
}

/** What the kernel lacks of the plans, a line each, as nft would write it; none when all is there. */
export function compare(nft: NftSocket, ...plans: readonly Plan[]): string[] {
  return plans.flatMap((plan) => {
    const sets = missingSets(nft, plan).map(({ set }) => `${plan.family} ${plan.table} ${set}: no such set`);
    const inChains = plan.chains.flatMap((planned) => {
      const ref = chainRef(plan, planned.chain);
      const chain = nft.chain.get(ref);
      if (chain === undefined) return [`${plan.family} ${plan.table} ${planned.chain}: no such chain`];
      checkPlace(chain, planned.base);
      return differenceOf(planned, nft.rule.list(ref, mattersTo(planned))).missing.map(({ rule }) =>
        missingText(ref, rule),
      );
    });
    return [...sets, ...inChains];
  });
}

/** Takes away rules and chains; returns whether there were any. */
export const remove = (nft: NftSocket, ...removals: readonly Removal[]): boolean =>
  nft.update(() => {
    // One question, where mostly none of the tables is there.
    const tables = new Set(nft.table.list().map(tableName));
    return removals.filter((removal) => tables.has(tableName(removal))).flatMap((removal) => changesAway(nft, removal));
  });

/** What `remove` would delete, for an update that changes more than that. */
export function changesAway(nft: NftSocket, { rules = [], chains = [], ...table }: Removal): Request[] {
  const refs = chains.map((chain) => chainRef(table, chain));
  const found = nft.chain.getAll(refs);
  const there = refs.filter((_, at) => found[at] !== undefined);
  return [
    ...rules.flatMap(({ chain, ...which }) => {
      const ref = chainRef(table, chain);
      const handles = "owns" in which ? owned(nft, ref, which) : jumping(nft, ref, which.to, there);
      return handles.map((handle) => delRule(ref, handle));
    }),
    ...there.map(delChain),
  ];
}

function owned(nft: NftSocket, ref: ChainRef, { owns, mention }: Omit<OwnedRules, "chain">): bigint[] {
  const isOwn = ruleTest(owns);
  const text = mention === undefined ? undefined : utf8Bytes(mention);
  return nft.rule.handles(
    ref,
    (payload) => isOwn(userdataOf(payload), () => decodeRule(payload)),
    text && ((bytes) => includesBytes(bytes, text)),
  );
}

/** The rules of a chain that jump to another; none where that is not there, since nothing can jump to it. */
function jumping(nft: NftSocket, ref: ChainRef, to: string, there: readonly ChainRef[]): bigint[] {
  if (!there.some(({ chain }) => chain === to)) return [];
  const name = utf8Bytes(`${to}\0`);
  const isNamed = (bytes: Uint8Array) => includesBytes(bytes, name);
  return nft.rule
    .list(ref, isNamed, isNamed)
    .filter(({ exprs }) => targetOf(exprs) === to)
    .map(({ handle }) => handle);
}
