// The iptables backend. Where iptables keeps its rules in nf_tables, they are read and written there without a process
// (iptables-nft.ts); else one process looks at a family's filter table and one writes what is missing, all or nothing.
import { inContext } from "../../lib/cni/boundary.ts";
import { takeLock } from "../../lib/cni/lock.ts";
import { ruleLine, sameRuleKey } from "../../lib/firewall/iptables/ensure.ts";
import { findIptables, findLegacyIptables, isLegacyLoaded, type Iptables } from "../../lib/firewall/iptables/find.ts";
import { restore } from "../../lib/firewall/iptables/restore.ts";
import { needIptables } from "../../lib/firewall/iptables/run.ts";
import { deletion, saveTable, type SavedTable } from "../../lib/firewall/iptables/save.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Family, Ip } from "../../lib/ip/ip.ts";
import { ensureInNft, removeInNft } from "./iptables-nft.ts";
import { acceptRules, forwardChain, wantedRules, type ChainRule, type WantedRules } from "./iptables-rules.ts";
import type { Wish } from "./wish.ts";

const families: readonly Family[] = [4, 6];
const lockDirectory = "/run/cni/locks";
/** Go's plugin, which knows nothing of our lock, may make the same chain in the same moment. */
const attempts = 3;

/** The families in use, and the iptables of each. Throws a CniError where there is none. */
function parts(host: Host, wish: Wish): { readonly tool: Iptables; readonly wanted: WantedRules }[] {
  return families.flatMap((family) => {
    const addresses = wish.addresses.filter((ip) => ip.family === family);
    if (addresses.length === 0) return [];
    try {
      return { tool: needIptables(host, family), wanted: wantedRules(wish, addresses) };
    } catch (error) {
      throw inContext(error, `could not initialize iptables protocol ${family === 4 ? 0 : 1}`, host);
    }
  });
}

export function ensureByIptables(host: Host, wish: Wish): void {
  for (const { tool, wanted } of parts(host, wish)) {
    const done = tool.variant === "nft" && ensureInNft(host, tool.family, wanted);
    if (!done) ensureFamily(host, tool, wanted);
  }
}

/** What containers share is made by one at a time; the steady state adds rules that nobody else would, and needs no lock. */
function ensureFamily(host: Host, tool: Iptables, wanted: WantedRules): void {
  const add = (lines: readonly string[]) => restore(host, tool, { filter: lines });
  const lacking = () => missingLines(wanted, saveTable(host, tool, "filter"));
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
export const compareByIptables = (host: Host, wish: Wish): string[] =>
  parts(host, wish).flatMap(({ tool, wanted }) =>
    missingLines(wanted, saveTable(host, tool, "filter")).map(
      (line) => `${tool.command().argv0} -t filter: ${line.replace(/^-I (\S+) 1 /, "-A $1 ")}`,
    ),
  );

function missingLines({ chains, rules }: WantedRules, there: SavedTable): string[] {
  const present = new Set(there.rules.map(sameRuleKey));
  return [
    ...chains.filter((chain) => !there.chains.has(chain)).map((chain) => `-N ${chain}`),
    ...rules
      .filter((rule) => !present.has(sameRuleKey(lineOf(rule))))
      .map((rule) => (rule.at === "end" ? lineOf(rule) : lineOf(rule).replace(/^-A (\S+)/, "-I $1 1"))),
  ];
}

const lineOf = ({ chain, rule }: ChainRule): string => ruleLine(chain, rule);

/** Takes away the rules that let addresses pass, wherever iptables may have them. */
export function removeByIptables(host: Host, addresses: readonly Ip[]): void {
  for (const family of families) {
    const own = addresses.filter((ip) => ip.family === family);
    if (own.length === 0) continue;
    removeInNft(host, family, own);
    const ours = new Set(own.flatMap(acceptRules).map((rule) => sameRuleKey(lineOf(rule))));
    for (const tool of otherTools(host, family))
      removeLines(host, tool, ({ rules: there }) => there.filter((rule) => ours.has(sameRuleKey(rule))));
  }
}

/** What reaches tables that nobody else does: the older ones where they are in use, and whatever a script leads to. */
function otherTools(host: Host, family: Family): Iptables[] {
  const usual = findIptables(host, family);
  const legacy = isLegacyLoaded(host, family, "filter") ? findLegacyIptables(host, family) : undefined;
  return [...(usual?.variant === "unknown" ? [usual] : []), ...(legacy === undefined ? [] : [legacy])];
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
