// Taking rules away, out of both backends at once, since a configuration may have changed: whatever made them, they are
// found by names and comments. All that nf_tables has of them goes in one transaction, so that the kernel waits once.
import type { Faults } from "../../lib/cni/faults.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { changesAway } from "../../lib/firewall/apply.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";
import { findLegacyIptables, isLegacyLoaded } from "../../lib/firewall/iptables/find.ts";
import { restore } from "../../lib/firewall/iptables/restore.ts";
import { chainRemoval, deletion, optionOf, saveTable, type SavedTable } from "../../lib/firewall/iptables/save.ts";
import { chainRef, type RuleTest } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import type { Family } from "../../lib/ip/ip.ts";
import { targetOf } from "../../lib/netlink/nft/expr.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { commentOf } from "../../lib/netlink/nft/xt.ts";
import { tableName } from "../../lib/netlink/nft/table.ts";
import type { UserdataTest } from "../../lib/netlink/nft/userdata.ts";
import { includesBytes } from "../../lib/netlink/wire/bytes.ts";
import type { Owner } from "./backend.ts";
import { oneAtATime } from "./lock.ts";
import { kernelView, savedView, type NatView } from "./nat-view.ts";
import {
  containerChain,
  entryChain,
  isContainerChain,
  natTable,
  networkMark,
  oldContainerChain,
  oldEntryChain,
  ownerIn,
  rulesOf,
  staleRules,
} from "./names.ts";
import { nftRulesAway } from "./nft.ts";
import { hostports, tableOf } from "./nft-plan.ts";
import type { IsOwn } from "./own.ts";
import { partAway, sharedWith } from "./shared.ts";

const families: readonly Family[] = [4, 6];

/** A jump of the entry chain, of whatever container. */
interface Jump {
  readonly comment: string;
  readonly chain: string;
}

/** The nat table of a family as it is looked through for what has to go. */
interface Nat extends NatView {
  readonly family: Family;
  has(chain: string): boolean;
  /** Those whose comment has this text in it, and perhaps others. */
  jumps(commented: string): Jump[];
}

/** Which chains of a nat table go, with every jump to them. */
type Choice = (nat: Nat) => readonly string[];

/** Takes an attachment's rules away. What fails is added to the faults, and does not keep the rest from going. */
export function removeRules(host: Host, { network, attachment, isOwn, isOthers }: Owner, faults: Faults): void {
  const { containerId } = attachment;
  const [chain, old] = [containerChain, oldContainerChain].map((name) => name(host, network, containerId));
  removeBoth(host, faults, { owns: () => rulesOf(attachment, isOwn), mention: containerId, isOthers }, (nat) => {
    const named = [chain, old].filter((each) => each !== undefined && nat.has(each)) as string[];
    // The network may have had another name when they were made.
    return named.length > 0 ? named : renamed(nat, containerId, isOwn);
  });
}

/** A container's chains by the comments that lead there: those that lead to an address of the attachment. */
function renamed(nat: Nat, containerId: string, isOwn: IsOwn): string[] {
  const chains = nat
    .jumps(`id: "${containerId}"`)
    .filter(({ comment, chain }) => ownerIn(comment)?.containerId === containerId && isContainerChain(chain))
    .map(({ chain }) => chain);
  return [...new Set(chains)].filter((chain) => nat.targets(chain).some(({ target }) => isOwn(target)));
}

/** Takes away the rules of a network's attachments that are none of the valid. */
export function removeStaleRules(host: Host, network: string, valid: readonly Attachment[], faults: Faults): void {
  const alive = new Set(valid.map(({ containerId }) => containerId));
  removeBoth(
    host,
    faults,
    { owns: () => staleRules(host, network, valid), mention: networkMark(host, network), isOthers: () => false },
    (nat) =>
      nat.jumps(`name: "${network}"`).flatMap(({ comment, chain }) => {
        const owner = ownerIn(comment);
        const stale = owner?.network === network && !alive.has(owner.containerId) && isContainerChain(chain);
        return stale ? [chain] : [];
      }),
  );
}

/** Chains by which packets come to the rules of an attachment: where one is missing, there is nothing behind it. */
const ways = families.flatMap((family) =>
  [
    chainRef(tableOf(family), hostports),
    chainRef(natTable(family), entryChain),
    chainRef(natTable(family), oldEntryChain),
  ].map((ref) => ({ family, ref })),
);

/** Mostly the tables alone show that there are none; a chain that is asked for in vain costs more. */
function waysIn(nft: NftSocket): typeof ways {
  const tables = new Set(nft.table.list().map(tableName));
  const possible = ways.filter(({ ref }) => tables.has(tableName(ref)));
  const found = nft.chain.getAll(possible.map(({ ref }) => ref));
  return possible.filter((_, at) => found[at] !== undefined);
}

function removeBoth(
  host: Host,
  faults: Faults,
  {
    owns,
    mention,
    isOthers,
  }: { readonly owns: () => UserdataTest | RuleTest; readonly mention: string; readonly isOthers: IsOwn },
  choose: Choice,
): void {
  faults.attempt(() => {
    let there: typeof ways = [];
    const nft = openNftIfThere(host, (opened) => {
      there = waysIn(opened);
    });
    try {
      if (nft === undefined || there.length === 0) return;
      const familiesOf = (isWay: (chain: string) => boolean) =>
        families.filter((family) => there.some((way) => way.family === family && isWay(way.ref.chain)));
      // Closing the socket is what waits for the kernel, and that can be done side by side.
      oneAtATime(host, () =>
        nft.update(() => [
          ...nftRulesAway(
            nft,
            familiesOf((chain) => chain === hostports),
            owns(),
            mention,
          ),
          ...familiesOf((chain) => chain !== hostports).flatMap((family) => {
            const nat = kernelNat(nft, family);
            const chosen = [...new Set(choose(nat))];
            const shared = chosen.flatMap((chain) => {
              const kept = sharedWith(nat, chain, isOthers);
              return kept === undefined ? [] : [{ chain, kept }];
            });
            const chains = chosen.filter((each) => !shared.some(({ chain }) => chain === each));
            const rules = chains.flatMap((to) => [entryChain, oldEntryChain].map((chain) => ({ chain, to })));
            return [
              ...shared.flatMap(({ chain, kept }) => partAway(nft, family, chain, kept)),
              ...changesAway(nft, { ...natTable(family), rules, chains }),
            ];
          }),
        ]),
      );
    } finally {
      nft?.close();
    }
  });
  for (const family of families)
    faults.attempt(() => {
      if (isLegacyLoaded(host, family, "nat")) oneAtATime(host, () => removeLegacy(host, family, choose, isOthers));
    });
}

function removeLegacy(host: Host, family: Family, choose: Choice, isOthers: IsOwn): void {
  const tool = findLegacyIptables(host, family);
  if (tool === undefined) return;
  const there = saveTable(host, tool, "nat");
  const nat = savedNat(there, family);
  const lines = [...new Set(choose(nat))].flatMap((chain) => {
    const kept = sharedWith(nat, chain, isOthers);
    if (kept === undefined) return chainRemoval(there, chain);
    const own = there.rules.filter((line) => line.startsWith(`-A ${chain} `) && !kept.mappings.line(line));
    const jumps = there.rules.filter((line) => optionOf(line, "-j") === chain && !kept.entries.line(line));
    return [...jumps, ...own].map(deletion);
  });
  restore(host, tool, { nat: lines });
}

function kernelNat(nft: NftSocket, family: Family): Nat {
  const entry = chainRef(natTable(family), entryChain);
  return {
    ...kernelView(nft, family),
    family,
    has: (chain) => nft.chain.get(chainRef(natTable(family), chain)) !== undefined,
    jumps(commented) {
      const text = utf8Bytes(commented);
      const mentions = (bytes: Uint8Array) => includesBytes(bytes, text);
      return nft.rule.list(entry, mentions, mentions).flatMap((rule) => jumpOf(commentOf(rule), targetOf(rule.exprs)));
    },
  };
}

function savedNat(there: SavedTable, family: Family): Nat {
  return {
    ...savedView(there),
    family,
    has: (chain) => there.chains.has(chain),
    jumps: () =>
      there.rules
        .filter((line) => line.startsWith(`-A ${entryChain} `))
        .flatMap((line) => jumpOf(optionOf(line, "--comment"), optionOf(line, "-j"))),
  };
}

const jumpOf = (comment: string | undefined, chain: string | undefined): Jump[] =>
  comment === undefined || chain === undefined ? [] : [{ comment, chain }];
