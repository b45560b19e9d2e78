// The iptables backend. Where iptables keeps its rules in nf_tables they are written there in its own form, without a
// process. Where it does not, or where conditions are in words that only iptables can read, one iptables-save and one
// iptables-restore for each family do it.
import { toCniError } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import { changesAway, changesFor, compare } from "../../lib/firewall/apply.ts";
import { isIptablesUsable, openNftIfThere } from "../../lib/firewall/backend.ts";
import { FirewallError } from "../../lib/firewall/error.ts";
import { missingLines } from "../../lib/firewall/iptables/ensure.ts";
import type { Iptables } from "../../lib/firewall/iptables/find.ts";
import { restore } from "../../lib/firewall/iptables/restore.ts";
import { needIptables, runIptables } from "../../lib/firewall/iptables/run.ts";
import { chainRemoval, saveTable, wordsOf, type SavedTable } from "../../lib/firewall/iptables/save.ts";
import { chainRef } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Family } from "../../lib/ip/ip.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import { familiesOf } from "./address.ts";
import type { Compared, RulesBackend, Wanted } from "./backend.ts";
import type { PortmapConf } from "./conf.ts";
import type { Judge } from "./holder.ts";
import { iptablesPlan, type IptablesWish } from "./iptables-plan.ts";
import { oneAtATime } from "./lock.ts";
import { kernelView, preceding, savedView } from "./nat-view.ts";
import { sharedWith } from "./shared.ts";
import { containerChain, entryChain, entryComment, natTable } from "./names.ts";

/** What is wanted in one family, and the iptables that has its rules. */
interface Task {
  readonly wish: IptablesWish;
  readonly tool: Iptables;
}

function tasksOf({ conf, network, attachment, isOthers, addresses }: Wanted, host: Host): Task[] {
  refuseUnmappable(conf);
  const { containerId } = attachment;
  const { mappings, snat, masqAll, mark, externalSetMarkChain } = conf;
  const common = { mappings, snat, masqAll, mark, externalSetMarkChain, containerId, isOthers };
  const [chain, comment] = [containerChain(host, network, containerId), entryComment(network, containerId)];
  return familiesOf(addresses).flatMap((family) => {
    const address = addresses[family];
    if (address === undefined) return [];
    const conditions = conditionWords(conf, family);
    return [{ tool: needIptables(host, family), wish: { ...common, chain, comment, address, conditions } }];
  });
}

function refuseUnmappable({ mappings }: PortmapConf): void {
  const at = mappings.findIndex(({ protocol }) => protocol === "udplite");
  if (at < 0) return;
  throw new CniError("invalidConfig", `"runtimeConfig.portMappings[${at}].protocol" udplite: iptables cannot map it`, {
    hint: "use the nftables backend",
  });
}

/** The words are iptables' own, but none may be more than a word. */
function conditionWords({ conditions }: PortmapConf, family: Family): readonly string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these would end the rule and begin another
  const at = conditions[family].findIndex((word) => /[\x00-\x1f\x7f]/.test(word));
  if (at < 0) return conditions[family];
  throw new CniError("invalidConfig", `"conditionsV${family}[${at}]" has a control character`, {
    details: JSON.stringify(conditions[family][at]),
    hint: "give each word of the rule as one string",
  });
}

const isInKernel = ({ tool, wish }: Task): boolean => tool.variant === "nft" && wish.conditions.length === 0;

export const iptables: RulesBackend = {
  ensure(wanted, judge, host) {
    const tasks = tasksOf(wanted, host);
    const inKernel = tasks.filter(isInKernel);
    if (inKernel.length > 0)
      withNft(host, (nft) =>
        oneAtATime(host, () => nft.update(() => inKernel.flatMap(({ wish }) => changesOf(nft, wish, judge)))),
      );
    const byWords = tasks.filter((task) => !isInKernel(task));
    if (byWords.length > 0)
      oneAtATime(host, () => {
        for (const task of byWords) ensureByWords(host, task, judge);
      });
  },

  compare(wanted, host) {
    const found = tasksOf(wanted, host).map((task) =>
      isInKernel(task) ? withNft(host, (nft) => compareInKernel(nft, task.wish)) : compareByWords(host, task),
    );
    return { missing: found.flatMap(({ missing }) => missing), holders: found.flatMap(({ holders }) => holders) };
  },

  checkUsable(conf, host) {
    refuseUnmappable(conf);
    for (const family of [4, 6] as const) conditionWords(conf, family);
    try {
      needIptables(host, 4);
    } catch (cause) {
      const { message, details } = toCniError(cause, host);
      throw new CniError("unavailable", message, { cause, details });
    }
    if (isIptablesUsable(host)) return;
    throw new CniError("unavailable", "iptables cannot look at its tables", {
      hint: "`iptables -t filter -S INPUT 1` says why; or choose the nftables backend",
    });
  },
};

function withNft<T>(host: Host, body: (nft: NftSocket) => T): T {
  const nft = openNftIfThere(host);
  if (nft === undefined)
    throw new CniError("internal", "this node's iptables keeps its rules in nf_tables, and the kernel has none", {
      hint: "load the module nf_tables, or let iptables be the older one (iptables-legacy)",
    });
  try {
    return body(nft);
  } finally {
    nft.close();
  }
}

function changesOf(nft: NftSocket, wish: IptablesWish, judge: Judge): Request[] {
  const { chain, address, mappings, externalSetMarkChain, snat } = wish;
  const { ip } = address;
  const table = natTable(ip.family);
  if (snat && externalSetMarkChain !== undefined && nft.chain.get(chainRef(table, externalSetMarkChain)) === undefined)
    throw new CniError(
      "internal",
      `"externalSetMarkChain" ${externalSetMarkChain} is no chain of table nat (IPv${ip.family})`,
      {
        hint: "whoever makes that chain has to come first; or leave the option out",
      },
    );
  const stale = preceding(kernelView(nft, ip.family), chain, ip.family, mappings)
    .filter(({ holder }) => judge.isStale(holder, ip))
    .map((each) => each.chain);
  const away = changesAway(nft, { ...table, rules: stale.map((to) => ({ chain: entryChain, to })), chains: stale });
  return [
    ...away,
    ...changesFor(nft, iptablesPlan(wish, sharedWith(kernelView(nft, ip.family), chain, wish.isOthers))),
  ];
}

function compareInKernel(nft: NftSocket, wish: IptablesWish): Compared {
  const { family } = wish.address.ip;
  const holders = preceding(kernelView(nft, family), wish.chain, family, wish.mappings);
  return { missing: compare(nft, iptablesPlan(wish)), holders: holders.map(({ holder }) => holder) };
}

/** Another tool may make the shared chains between our look and our change; then we look again. */
const attempts = 3;

/** Reads and writes by iptables. */
function ensureByWords(host: Host, task: Task, judge: Judge): void {
  let before = "";
  for (let attempt = 1; ; attempt++) {
    const lines = linesOf(task, saveTable(host, task.tool, "nat"), judge);
    try {
      restore(host, task.tool, { nat: lines });
      return;
    } catch (error) {
      const now = lines.join("\n");
      if (attempt === attempts || now === before) throw ofConditions(task.wish, error);
      before = now;
    }
  }
}

/** Where iptables has stopped at a rule with conditions these are to blame: all else in it is ours. */
function ofConditions({ conditions, address }: IptablesWish, error: unknown): unknown {
  if (conditions.length === 0 || !(error instanceof FirewallError) || !error.details.includes(` is -A ${entryChain} `))
    return error;
  const field = `conditionsV${address.ip.family}`;
  return new CniError("invalidConfig", `"${field}" ${JSON.stringify(conditions)}: ${error.message}`, {
    cause: error,
    details: error.details,
    hint: "give matches that `iptables -A` understands, each word as one string",
  });
}

function linesOf({ wish }: Task, there: SavedTable, judge: Judge): string[] {
  const { ip } = wish.address;
  const stale = preceding(savedView(there), wish.chain, ip.family, wish.mappings)
    .filter(({ holder }) => judge.isStale(holder, ip))
    .flatMap(({ chain }) => chainRemoval(there, chain));
  return [
    ...stale,
    ...missingLines(iptablesPlan(wish, sharedWith(savedView(there), wish.chain, wish.isOthers)), there),
  ];
}

function compareByWords(host: Host, { tool, wish }: Task): Compared {
  const there = saveTable(host, tool, "nat");
  const { family } = wish.address.ip;
  const { argv0 } = tool.command();
  const shared = sharedWith(savedView(there), wish.chain, wish.isOthers);
  const lacking = missingLines(iptablesPlan(wish, shared), there).filter((line) => /^-[AIN] /.test(line));
  // What conditions look like once iptables has read them is for iptables to say.
  const isThere = (line: string): boolean =>
    wish.conditions.length > 0 &&
    line.startsWith(`-A ${entryChain} `) &&
    runIptables(host, tool, ["-t", "nat", "-C", ...wordsOf(line).slice(1), "--wait"]).status === 0;
  return {
    missing: lacking.filter((line) => !isThere(line)).map((line) => `${argv0} -t nat ${line}`),
    holders: preceding(savedView(there), wish.chain, family, wish.mappings).map(({ holder }) => holder),
  };
}
