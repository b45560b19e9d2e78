// What differences.ts is a list of.
import type { Played } from "./scenario.ts";

/** A way in which ours may differ from Go's: because it is better, or because it is free. */
export interface Difference {
  /** Why ours is so. */
  readonly why: string;
  /** The test files in which it must be seen; it is allowed in no other. */
  readonly in: readonly string[];
  readonly path: RegExp;
  /** Only in scenarios of such names. */
  readonly scenario?: RegExp;
  readonly fits?: (go: unknown, ours: unknown) => boolean;
  /** Only in steps that went like this. */
  readonly step?: (go: Played, ours: Played) => boolean;
}
