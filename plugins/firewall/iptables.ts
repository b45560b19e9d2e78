// The iptables backend. Where iptables keeps its rules in nf_tables, they are read and written there without a process
// (iptables-nft.ts); else one process looks at a family's filter table and one writes what is missing, all or nothing.
import { inContext } from "../../lib/cni/boundary.ts";
import { takeLock } from "../../lib/cni/lock.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";
import { ruleLine, sameRuleKey } from "../../lib/firewall/iptables/ensure.ts";
import { findIptables, findLegacyIptables, isLegacyLoaded, type Iptables } from "../../lib/firewall/iptables/find.ts";
import { restore } from "../../lib/firewall/iptables/restore.ts";
import { needIptables } from "../../lib/firewall/iptables/run.ts";
import { deletion, emptyTable, saveTable, type SavedTable } from "../../lib/firewall/iptables/save.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Family, Ip } from "../../lib/ip/ip.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { changesInNft, missingInNft, type FamilyRules } from "./iptables-nft.ts";
import { acceptRules, forwardChain, wantedRules, type ChainRule, type WantedRules } from "./iptables-rules.ts";
import { goneIsolations, type IsGone } from "./isolation.ts";
import { families, type Wish } from "./wish.ts";

const lockDirectory = "/run/cni/locks";
/** Go's plugin, which knows nothing of our lock, may make the same chain in the same moment. */
const attempts = 3;

interface Part extends FamilyRules {
  readonly tool: Iptables;
}

/** The families in use, and the iptables of each. Throws a CniError where there is none. */
function parts(host: Host, wish: Wish): Part[] {
  return families.flatMap((family) => {
    const addresses = wish.addresses.filter((ip) => ip.family === family);
    if (addresses.length === 0) return [];
    try {
      return { family, tool: needIptables(host, family), wanted: wantedRules(wish, addresses) };
    } catch (error) {
      throw inContext(error, `could not initialize iptables protocol ${family === 4 ? 0 : 1}`, host);
    }
  });
}

/** Runs `body` for the families whose rules are in nf_tables, and returns the others: all where this kernel has none. */
function inKernel(host: Host, all: readonly Part[], body: (nft: NftSocket, own: readonly Part[]) => void): Part[] {
  const own = all.filter(({ tool }) => tool.variant === "nft");
  const nft = own.length === 0 ? undefined : openNftIfThere(host);
  if (nft === undefined) return [...all];
  try {
    body(nft, own);
  } finally {
    nft.close();
  }
  return all.filter((part) => !own.includes(part));
}

export function ensureByIptables(host: Host, wish: Wish): void {
  const others = inKernel(host, parts(host, wish), (nft, own) => void nft.update(() => changesInNft(nft, own)));
  for (const { tool, wanted } of others) ensureFamily(host, tool, wanted);
}

/** What containers share is made by one at a time; the steady state adds rules that nobody else would, and needs no lock. */
function ensureFamily(host: Host, tool: Iptables, wanted: WantedRules): void {
  const add = (lines: readonly string[]) => restore(host, tool, { filter: lines });
  const lacking = () => linesOf(missingIn(wanted, saveTable(host, tool, "filter")));
  const lines = lacking();
  if (lines.every((line) => line.startsWith(`-A ${forwardChain} `))) {
    add(lines);
    return;
  }
  host.files.makeDirectory(lockDirectory, 0o755);
  const lock = takeLock(host, `${lockDirectory}/firewall`, { mode: 0o600 });
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        add(lacking());
        return;
      } catch (error) {
        if (attempt === attempts) throw error;
      }
    }
  } finally {
    lock.release();
  }
}

/** What is missing, a line each. */
export function compareByIptables(host: Host, wish: Wish): string[] {
  const found: { readonly part: Part; readonly missing: WantedRules }[] = [];
  const others = inKernel(host, parts(host, wish), (nft, own) => {
    for (const part of own) found.push({ part, missing: missingInNft(nft, part) });
  });
  for (const part of others) {
    const { tool, family } = part;
    // To ask iptables for older tables that nobody uses would bring them into being.
    const isThere = tool.variant !== "legacy" || isLegacyLoaded(host, family, "filter");
    found.push({ part, missing: missingIn(part.wanted, isThere ? saveTable(host, tool, "filter") : emptyTable) });
  }
  return found.flatMap(({ part, missing: { chains, rules } }) =>
    [...chains.map((chain) => `-N ${chain}`), ...rules.map(lineOf)].map(
      (line) => `${part.tool.command().argv0} -t filter: ${line}`,
    ),
  );
}

function missingIn({ chains, rules }: WantedRules, there: SavedTable): WantedRules {
  const present = new Set(there.rules.map(sameRuleKey));
  return {
    chains: chains.filter((chain) => !there.chains.has(chain)),
    rules: rules.filter((rule) => !present.has(sameRuleKey(lineOf(rule)))),
  };
}

const linesOf = ({ chains, rules }: WantedRules): string[] => [
  ...chains.map((chain) => `-N ${chain}`),
  ...rules.map((rule) => (rule.at === "end" ? lineOf(rule) : lineOf(rule).replace(/^-A (\S+)/, "-I $1 1"))),
];

const lineOf = ({ chain, rule }: ChainRule): string => ruleLine(chain, rule);

/** Takes away the rules that let addresses pass, and policies of bridges that are gone, where nf_tables does not have them. */
export function removeByIptables(host: Host, family: Family, addresses: readonly Ip[], isGone: IsGone): void {
  const accepts = addresses.filter((ip) => ip.family === family).flatMap(acceptRules);
  const ours = new Set(accepts.map((rule) => sameRuleKey(lineOf(rule))));
  for (const tool of otherTools(host, family))
    removeLines(host, tool, ({ rules }) => [
      ...rules.filter((rule) => ours.has(sameRuleKey(rule))),
      ...goneIsolations(rules, isGone),
    ]);
}

/** What reaches tables that nobody else does: the older ones where they are in use, and whatever a script leads to. */
function otherTools(host: Host, family: Family): Iptables[] {
  const usual = findIptables(host, family);
  const legacy = isLegacyLoaded(host, family, "filter") ? findLegacyIptables(host, family) : undefined;
  const isScript = usual?.variant === "unknown" && legacy?.variant !== "unknown";
  return [...(isScript ? [usual] : []), ...(legacy === undefined ? [] : [legacy])];
}

/** Deletes the rules that `pick` finds. Another's DEL may be as fast, and the whole of it is then decided anew. */
function removeLines(host: Host, tool: Iptables, pick: (there: SavedTable) => readonly string[]): void {
  for (let attempt = 1; ; attempt++) {
    try {
      restore(host, tool, { filter: pick(saveTable(host, tool, "filter")).map(deletion) });
      return;
    } catch (error) {
      if (attempt === attempts) throw error;
    }
  }
}
