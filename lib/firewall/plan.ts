// What of nf_tables should be there, as data: a table, its chains, their rules. It knows nothing of why.
import { FirewallError } from "./error.ts";
import type { Base, Chain } from "../netlink/nft/chain.ts";
import type { ChainRef, TableRef } from "../netlink/nft/message.ts";
import type { Rule } from "../netlink/nft/phrase.ts";
import type { KernelRule } from "../netlink/nft/rule.ts";
import type { DataType } from "../netlink/nft/set.ts";
import { commentTest, type CommentPattern, type UserdataTest } from "../netlink/nft/userdata.ts";

export interface PlannedChain {
  readonly chain: string;
  /** Where it hangs; none for a chain that is jumped to. */
  readonly base?: Base;
  readonly comment?: string;
  /**
   * In this order among each other, wherever other rules stand. Of a rule that is there twice, one is enough.
   */
  readonly rules: readonly Rule[];
  /** A missing rule comes before all others of the chain, not behind them. */
  readonly first?: boolean;
  /** Such rules are ours alone: those that the plan lacks go away. */
  readonly owns?: Owned;
  /** Of those, what stays all the same. */
  readonly keeps?: Kept;
}

/** Rules as the kernel has them, and as iptables-save writes them. */
export interface Kept {
  readonly rule: (rule: KernelRule) => boolean;
  readonly line: (line: string) => boolean;
}

/** Rules by their user data; where that leaves it open (undefined), by all that they say. */
export interface RuleTest {
  readonly userdata: (data: Uint8Array | undefined) => boolean | undefined;
  readonly whole: (rule: KernelRule) => boolean;
}

/** Rules by their comments, by what they say, by what they jump to, or all of a chain. */
export type Owned = CommentPattern | RuleTest | { readonly jumpsTo: string } | "all";

const asRuleTest = (owns: CommentPattern | RuleTest): RuleTest =>
  typeof owns === "object" && "userdata" in owns ? owns : { userdata: commentTest(owns), whole: () => true };

/** Whether a rule of such user data may be one of them. */
export function userdataTestOf(owns: CommentPattern | RuleTest): UserdataTest {
  const { userdata } = asRuleTest(owns);
  return (data) => userdata(data) !== false;
}

/** Whether a rule is one of them. `read` gives what it says, which is only asked for where it matters. */
export function ruleTest(
  owns: CommentPattern | RuleTest,
): (data: Uint8Array | undefined, read: () => KernelRule | undefined) => boolean {
  const { userdata, whole } = asRuleTest(owns);
  return (data, read) => {
    const known = userdata(data);
    if (known !== undefined) return known;
    const rule = read();
    return rule !== undefined && whole(rule);
  };
}

export interface PlannedSet {
  readonly set: string;
  readonly key: readonly DataType[];
  readonly comment?: string;
}

/** One table: what it lacks is added, what is in it otherwise stays. */
export interface Plan extends TableRef {
  readonly comment?: string;
  /** What is in them is for others to say. */
  readonly sets?: readonly PlannedSet[];
  /** In the order in which those that are missing are made; one may come twice, with rules for either end of it. */
  readonly chains: readonly PlannedChain[];
}

export interface OwnedRules {
  readonly chain: string;
  readonly owns: CommentPattern | RuleTest;
  /** A text that such rules have in them somewhere: where it is in none of dozens, none of these is looked at. */
  readonly mention?: string;
}

/** What of a table goes away. What is not there is fine. */
export interface Removal extends TableRef {
  /** Rules of these chains with such comments, and those that jump to a chain which goes away, too. */
  readonly rules?: readonly (OwnedRules | { readonly chain: string; readonly to: string })[];
  /** Chains with all that is in them, those that jump before those that are jumped to. */
  readonly chains?: readonly string[];
}

export const chainRef = ({ family, table }: TableRef, chain: string): ChainRef => ({ family, table, chain });

function baseText(base: Base | undefined): string {
  return base === undefined ? "no hook" : `type ${base.type} hook ${base.hook} priority ${base.priority}`;
}

/**
 * Refuses a chain that is there but hangs elsewhere, so that its rules would never see the packets they are for. Its
 * policy is its owner's choice.
 */
export function checkPlace(chain: Chain, want: Base | undefined): void {
  const { base } = chain;
  if (base?.type !== want?.type || base?.hook !== want?.hook || base?.priority !== want?.priority)
    throw new FirewallError(
      "failed",
      `nft chain ${chain.family} ${chain.table} "${chain.chain}": want ${baseText(want)}, is ${baseText(base)}`,
      { hint: "delete this chain or rename it" },
    );
}
