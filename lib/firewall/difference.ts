// What is there beside what should be: the rules that one chain lacks and where they go, and those it has too many.
import { utf8Bytes } from "../host/utf8.ts";
import { targetOf } from "../netlink/nft/expr.ts";
import { addRule, delRule, userdataOf, type KernelRule } from "../netlink/nft/rule.ts";
import { exprsOf, phraseOf, phraseText, type Phrase, type Rule } from "../netlink/nft/phrase.ts";
import { transportNumber } from "../netlink/nft/match.ts";
import type { ChainRef } from "../netlink/nft/message.ts";
import { commentTest } from "../netlink/nft/userdata.ts";
import { includesBytes } from "../netlink/wire/bytes.ts";
import type { Request } from "../netlink/wire/conversation.ts";
import { ruleTest, userdataTestOf, type Owned, type PlannedChain } from "./plan.ts";

/** What makes two rules one: what they do, and whose they are. */
const identity = (rule: Phrase, comment: string | undefined): string =>
  `${phraseText(rule)} comment ${JSON.stringify(comment ?? "")}`;

function identityOf(there: KernelRule): string | undefined {
  const rule = phraseOf(there);
  return rule && identity(rule, rule.comment ?? there.comment);
}

/** Which rules of a chain can matter to its plan: those with a comment of the plan, and our own. */
export function mattersTo({ rules, owns }: PlannedChain): (payload: Uint8Array) => boolean {
  const inExprs = rules.some(({ iptables }) => iptables === true);
  const comments = [...new Set(rules.map(({ comment }) => comment))];
  const tests = comments.flatMap((comment) => (comment === undefined ? [] : [commentTest({ is: comment })]));
  if (owns !== undefined && !ownsByRule(owns)) tests.push(userdataTestOf(owns));
  const target = typeof owns === "object" && "jumpsTo" in owns ? utf8Bytes(`${owns.jumpsTo}\0`) : undefined;
  const bare = comments.includes(undefined);
  // iptables' comments are among the expressions, and of some releases in the user data: either way their bytes are there.
  const texts = comments.flatMap((comment) => (comment === undefined || !inExprs ? [] : [utf8Bytes(comment)]));
  return (payload) => {
    if (owns === "all" || (target !== undefined && includesBytes(payload, target))) return true;
    if (inExprs) return bare || texts.some((text) => includesBytes(payload, text));
    const userdata = userdataOf(payload);
    return userdata === undefined ? bare : tests.some((test) => test(userdata));
  };
}

const ownsByRule = (owns: Owned): owns is "all" | { readonly jumpsTo: string } =>
  owns === "all" || (typeof owns === "object" && "jumpsTo" in owns);

function ownerTest(owns: Owned | undefined): (rule: KernelRule) => boolean {
  if (owns === undefined) return () => false;
  if (owns === "all") return () => true;
  if (ownsByRule(owns)) return ({ exprs }) => targetOf(exprs) === owns.jumpsTo;
  const isOwn = ruleTest(owns);
  return (rule) => isOwn(rule.userdata, () => rule);
}

export interface Difference {
  /** Of the plan, and the handle of the rule before which each belongs. */
  readonly missing: readonly { readonly rule: Rule; readonly before: bigint | undefined }[];
  /** Of ours, what the plan no longer has. */
  readonly surplus: readonly KernelRule[];
}

/** Compares a chain's rules that matter, in the kernel's order, with its plan. */
export function differenceOf({ rules, owns, keeps }: PlannedChain, seen: readonly KernelRule[]): Difference {
  // In a new chain all is missing, and nothing has to be compared.
  if (seen.length === 0) return { missing: rules.map((rule) => ({ rule, before: undefined })), surplus: [] };
  const first = new Map<string, bigint>();
  for (const rule of seen) {
    const key = identityOf(rule);
    if (key !== undefined && !first.has(key)) first.set(key, rule.handle);
  }
  const wanted = new Set(rules.map((rule) => identity(rule, rule.comment)));
  const isOurs = ownerTest(owns);
  const surplus = seen.filter((rule) => {
    if (!isOurs(rule) || keeps?.rule(rule) === true) return false;
    const key = identityOf(rule);
    return key === undefined || !wanted.has(key);
  });
  const missing: Difference["missing"][number][] = [];
  // From the end: a rule that is missing comes before the next of the plan that is there.
  let before: bigint | undefined;
  for (const rule of rules.toReversed()) {
    const there = first.get(identity(rule, rule.comment));
    if (there === undefined) missing.unshift({ rule, before });
    else before = there;
  }
  return { missing, surplus };
}

/** The changes that make it so: what has to go first, so that its place is free. `first`: see PlannedChain. */
export function changesOf(ref: ChainRef, { missing, surplus }: Difference, first = false): Request[] {
  return [
    ...surplus.map(({ handle }) => delRule(ref, handle)),
    ...missing.map(({ rule, before }) =>
      addRule(ref, {
        exprs: () => exprsOf(ref.family, rule),
        comment: rule.iptables === true ? undefined : rule.comment,
        mark: rule.mark,
        protocol: rule.iptables === true ? protocolOf(rule) : undefined,
        before,
        first,
      }),
    ),
  ];
}

function protocolOf({ match }: Rule): number | undefined {
  const ports = match.find(({ field }) => field === "dport" || field === "dports");
  return ports?.field === "dport" || ports?.field === "dports" ? transportNumber(ports.is.protocol) : undefined;
}

/** A missing rule as people read it. */
export const missingText = ({ family, table, chain }: ChainRef, rule: Rule): string =>
  `${family} ${table} ${chain}: ${phraseText(rule)}${rule.comment === undefined ? "" : ` comment "${rule.comment}"`}`;
