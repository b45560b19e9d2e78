// The nftables backend: makes the rules of an attachment, compares, and takes them away, over nfnetlink and without nft.
import { changesAway, changesFor, compare } from "../../lib/firewall/apply.ts";
import { chainRef, ruleTest, userdataTestOf, type RuleTest } from "../../lib/firewall/plan.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import { bitsOf, type Family } from "../../lib/ip/ip.ts";
import { comparesPort } from "../../lib/netlink/nft/glance.ts";
import { matchText, type Match } from "../../lib/netlink/nft/match.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf, phraseText } from "../../lib/netlink/nft/phrase.ts";
import { delRule, userdataOf, type KernelRule } from "../../lib/netlink/nft/rule.ts";
import type { UserdataTest } from "../../lib/netlink/nft/userdata.ts";
import { includesBytes } from "../../lib/netlink/wire/bytes.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import { isSamePort, type Holder } from "./holder.ts";
import { mappingsFor } from "./mapping.ts";
import { rulesOf } from "./names.ts";
import {
  entry,
  hostipHostports,
  hostports,
  masquerading,
  nftPlan,
  prerouting,
  tableOf,
  type NftWish,
} from "./nft-plan.ts";

/** Decides of a mapping that comes before one of ours whether it goes; it may throw, and then nothing is changed. */
export type Judgement = (holder: Holder, wish: NftWish) => boolean;

/** Makes all that the wishes ask for, in one transaction. */
export function ensureNft(nft: NftSocket, wishes: readonly NftWish[], goes: Judgement): void {
  nft.update(() => wishes.flatMap((wish) => changesOf(nft, wish, goes)));
}

function oursTest({ attachment, isOwn }: NftWish): (rule: KernelRule) => boolean {
  const test = ruleTest(rulesOf(attachment, isOwn));
  return (rule) => test(rule.userdata, () => rule);
}

function changesOf(nft: NftSocket, wish: NftWish, goes: Judgement): Request[] {
  const isOurs = oursTest(wish);
  const deletions: Request[] = [];
  let known = false;
  const changes = changesFor(nft, nftPlan(asEntriesAre(nft, wish)), (ref) => {
    // Of an attachment without mappings there is nothing else: what one transaction made is there or not.
    if (ref.chain === masquerading && !known) return [];
    if (ref.chain !== hostports) return nft.rule.list(ref);
    const seen = mappingsSeen(nft, wish);
    known = mappingsFor(wish.address.family, wish.mappings).length === 0 || seen.some(isOurs);
    for (const { holder, handle } of preceding(seen, wish))
      if (goes(holder, wish)) deletions.push(delRule(ref, handle));
    return seen;
  });
  return [...deletions, ...changes];
}

/** Conditions that the Go plugin put in the shared entries, and that are ours as well, can stay there. */
function asEntriesAre(nft: NftSocket, wish: NftWish): NftWish {
  const [only = [], ...others] = wish.conditions;
  if (only.length === 0 || others.length > 0) return wish;
  const theirs = phraseText(entry(only));
  const entries = nft.rule.list(chainRef(tableOf(wish.address.family), prerouting));
  const isThere = entries.some((each) => {
    const phrase = phraseOf(each);
    return phrase !== undefined && phraseText(phrase) === theirs;
  });
  return isThere ? { ...wish, conditionsIn: "both" } : wish;
}

/** The rules that are ours, and those of other mappings of our ports. */
function mappingsSeen(nft: NftSocket, { attachment, isOwn, address, mappings }: NftWish): KernelRule[] {
  const mayBeOurs = userdataTestOf(rulesOf(attachment, isOwn));
  const hasPort = comparesPort(mappings.map(({ hostPort }) => hostPort));
  const id = utf8Bytes(attachment.containerId);
  const ref = chainRef(tableOf(address.family), hostports);
  return nft.rule.list(
    ref,
    (message) => hasPort(message) || mayBeOurs(userdataOf(message)),
    (bytes) => hasPort(bytes) || includesBytes(bytes, id),
  );
}

/** Mappings of others that packets for ours meet first. */
function preceding(seen: readonly KernelRule[], wish: NftWish): { readonly holder: Holder; readonly handle: bigint }[] {
  const { attachment, address, mappings, conditions } = wish;
  const isOurs = oursTest(wish);
  // There may be thousands of both.
  const byPort = new Map<number, { rule: KernelRule; ours: boolean; holder: Holder; condition: string }[]>();
  for (const rule of seen) {
    const { holder, condition } = mappingOf(rule);
    if (holder === undefined) continue;
    const { hostPort } = holder.port;
    const there = byPort.get(hostPort);
    const each = { rule, ours: isOurs(rule), holder, condition };
    if (there === undefined) byPort.set(hostPort, [each]);
    else there.push(each);
  }
  const ownConditions = new Set(conditions.map(textOf));
  const found = new Map<bigint, Holder>();
  for (const mapping of mappingsFor(address.family, mappings)) {
    for (const { rule, ours, holder, condition } of byPort.get(mapping.hostPort) ?? []) {
      if (!isSamePort(holder.port, mapping)) continue;
      if (ours) break;
      // Another attachment of this container is nobody else.
      if (holder.containerId === attachment.containerId) continue;
      // One for other packets than ours leaves ours alone.
      if (condition === "" || ownConditions.has(condition)) found.set(rule.handle, holder);
    }
  }
  return Array.from(found, ([handle, holder]) => ({ handle, holder }));
}

const textOf = (matches: readonly Match[]): string => matches.map(matchText).join(" ");

/** What a rule of the chain maps, and what else it asks of a packet; nothing where it is no mapping. */
function mappingOf(rule: KernelRule): { readonly holder?: Holder; readonly condition: string } {
  const phrase = phraseOf(rule);
  const { match = [], verdict = "drop" } = phrase ?? {};
  const port = match.find((each) => each.field === "dport" && each.not !== true);
  if (typeof verdict === "string" || !("dnat" in verdict) || port?.field !== "dport") return { condition: "" };
  const isHostIp = (each: Match) =>
    each.field === "daddr" && each.not !== true && each.is.length === bitsOf(each.is.ip.family);
  const hostIp = match.findLast(isHostIp);
  const others = match.filter((each) => each !== port && each !== hostIp && each.field !== "l4proto");
  return {
    holder: {
      containerId: rule.comment ?? "",
      port: {
        protocol: port.is.protocol,
        hostPort: port.is.port,
        hostIp: hostIp?.field === "daddr" ? hostIp.is.ip : undefined,
      },
      target: verdict.dnat.ip,
    },
    condition: textOf(others),
  };
}

/** What the kernel lacks of what the wishes ask for, and who comes before their mappings. */
export function compareNft(
  nft: NftSocket,
  wishes: readonly NftWish[],
): { readonly missing: readonly string[]; readonly holders: readonly Holder[] } {
  return {
    missing: wishes.flatMap((wish) => {
      // As the Go plugin makes it is right, too: its conditions are the entries', and its 1.9.1 knows no masqAll here.
      const places = wish.conditions.some((matches) => matches.length > 0)
        ? (["mappings", "both", "entries"] as const)
        : (["mappings"] as const);
      const forms = places.flatMap((conditionsIn) =>
        (wish.masqAll ? [true, false] : [false]).map((masqAll) => ({ ...wish, conditionsIn, masqAll })),
      );
      const found = forms.map((form) => compare(nft, nftPlan(form)));
      return found.reduce((least, each) => (each.length < least.length ? each : least));
    }),
    holders: wishes.flatMap((wish) => preceding(mappingsSeen(nft, wish), wish).map(({ holder }) => holder)),
  };
}

/** What deletes the rules that a test of their user data finds; all of them mention the text. */
export function nftRulesAway(
  nft: NftSocket,
  families: readonly Family[],
  owns: UserdataTest | RuleTest,
  mention: string,
): Request[] {
  return families.flatMap((family) => {
    const table = tableOf(family);
    const rules = [hostports, hostipHostports, masquerading].map((chain) => ({ chain, owns, mention }));
    return changesAway(nft, { ...table, rules });
  });
}
