// Makes the kernel's rules what a plan says, finds out what they lack of it, and takes things away: each in one
// transaction, decided on what is there, and none where nothing is to be done. Nothing is deleted that has not to go,
// since a transaction that deletes waits for RCU.
import { addChain, delChain } from "../netlink/nft/chain.ts";
import type { NftSocket } from "../netlink/nft/open.ts";
import { delRule } from "../netlink/nft/rule.ts";
import { addTable } from "../netlink/nft/table.ts";
import { commentTest } from "../netlink/nft/userdata.ts";
import type { Request } from "../netlink/wire/conversation.ts";
import { changesOf, differenceOf, mattersTo, missingText } from "./difference.ts";
import { chainRef, checkPlace, type Plan, type Removal } from "./plan.ts";

/** Adds what is missing of the plans and takes away what is surplus; returns whether there was anything to do. */
export const ensure = (nft: NftSocket, ...plans: readonly Plan[]): boolean =>
  nft.update(() => plans.flatMap((plan) => changesFor(nft, plan)));

function changesFor(nft: NftSocket, plan: Plan): Request[] {
  const table = nft.table.get(plan);
  const changes: Request[] = table === undefined ? [addTable(plan, plan.comment)] : [];
  const rules: Request[] = [];
  for (const planned of plan.chains) {
    const ref = chainRef(plan, planned.chain);
    const chain = table && nft.chain.get(ref);
    if (chain === undefined) changes.push(addChain(ref, planned));
    else checkPlace(chain, planned.base);
    const seen = chain === undefined ? [] : nft.rule.list(ref, mattersTo(planned));
    rules.push(...changesOf(ref, differenceOf(planned, seen)));
  }
  // A rule may jump to a chain that comes later in the plan: chains first.
  return [...changes, ...rules];
}

/** What the kernel lacks of the plans, a line each, as nft would write it; none when all is there. */
export function compare(nft: NftSocket, ...plans: readonly Plan[]): string[] {
  return plans.flatMap((plan) =>
    plan.chains.flatMap((planned) => {
      const ref = chainRef(plan, planned.chain);
      const chain = nft.chain.get(ref);
      if (chain === undefined) return [`${plan.family} ${plan.table} ${planned.chain}: no such chain`];
      checkPlace(chain, planned.base);
      return differenceOf(planned, nft.rule.list(ref, mattersTo(planned))).missing.map(({ rule }) =>
        missingText(ref, rule),
      );
    }),
  );
}

/** Takes away rules and chains; returns whether there were any. */
export const remove = (nft: NftSocket, ...removals: readonly Removal[]): boolean =>
  nft.update(() =>
    removals.flatMap(({ rules = [], chains = [], ...table }) => [
      ...rules.flatMap(({ chain, owns }) => {
        const ref = chainRef(table, chain);
        return nft.rule.list(ref, commentTest(owns)).map(({ handle }) => delRule(ref, handle));
      }),
      ...chains
        .map((chain) => chainRef(table, chain))
        .filter((ref) => nft.chain.get(ref) !== undefined)
        .map(delChain),
    ]),
  );
