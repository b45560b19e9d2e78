// What of nf_tables should be there, as data: a table, its chains, their rules. It knows nothing of why.
import type { Base, Chain } from "../netlink/nft/chain.ts";
import type { ChainRef, TableRef } from "../netlink/nft/message.ts";
import type { Rule } from "../netlink/nft/phrase.ts";
import type { CommentPattern } from "../netlink/nft/userdata.ts";

export interface PlannedChain {
  readonly chain: string;
  /** Where it hangs; none for a chain that is jumped to. */
  readonly base?: Base;
  readonly comment?: string;
  /**
   * In this order among each other, wherever other rules stand. Of a rule that is there twice, one is enough.
   */
  readonly rules: readonly Rule[];
  /** Rules with such a comment are ours alone: those that the plan lacks go away. */
  readonly owns?: CommentPattern;
}

/** One table: what it lacks is added, what is in it otherwise stays. */
export interface Plan extends TableRef {
  readonly comment?: string;
  /** Those that are jumped to come before those that jump there. */
  readonly chains: readonly PlannedChain[];
}

/** What of a table goes away. What is not there is fine. */
export interface Removal extends TableRef {
  /** Rules of these chains with such comments. */
  readonly rules?: readonly { readonly chain: string; readonly owns: CommentPattern }[];
  /** Chains with all that is in them, those that jump before those that are jumped to. */
  readonly chains?: readonly string[];
}

export const chainRef = ({ family, table }: TableRef, chain: string): ChainRef => ({ family, table, chain });

/** A chain of this name hangs elsewhere, so that its rules would never see the packets they are for. */
export class MisplacedChainError extends Error {
  constructor(ref: ChainRef, want: Base | undefined, have: Base | undefined) {
    super(
      `nft chain ${ref.family} ${ref.table} "${ref.chain}": want ${baseText(want)}, is ${baseText(have)}; delete it or rename it`,
    );
    this.name = "MisplacedChainError";
  }
}

function baseText(base: Base | undefined): string {
  return base === undefined ? "no hook" : `type ${base.type} hook ${base.hook} priority ${base.priority}`;
}

/** Refuses a chain that is there but hangs elsewhere. Its policy is its owner's choice. */
export function checkPlace(chain: Chain, want: Base | undefined): void {
  const { base } = chain;
  if (base?.type !== want?.type || base?.hook !== want?.hook || base?.priority !== want?.priority)
    throw new MisplacedChainError(chain, want, base);
}
