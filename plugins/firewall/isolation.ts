// Policies of bridges that are gone. Their rules name the bridge, which all its containers share: while it is there nobody
// can tell whether it is the last of them that leaves.
import { optionOf } from "../../lib/firewall/iptables/save.ts";
import { chainRef } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import type { Match } from "../../lib/netlink/nft/match.ts";
import type { TableRef } from "../../lib/netlink/nft/message.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf } from "../../lib/netlink/nft/phrase.ts";
import { delRule } from "../../lib/netlink/nft/rule.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";
import { includesBytes } from "../../lib/netlink/wire/bytes.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import { policyComment, stages } from "./iptables-rules.ts";

export type IsGone = (bridge: string) => boolean;

/** Runs `body`, which may ask whether a link is gone; nothing is opened before it does. */
export function withLinks(host: Host, body: (isGone: IsGone) => void): void {
  let route: RouteSocket | undefined;
  try {
    body((bridge) => {
      route ??= openRoute(host);
      return route.link.get(bridge) === undefined;
    });
  } finally {
    route?.close();
  }
}

/** What takes such rules out of a table of nf_tables. */
export function isolationsAway(nft: NftSocket, table: TableRef, isGone: IsGone): Request[] {
  const text = utf8Bytes(policyComment);
  const mentions = (bytes: Uint8Array) => includesBytes(bytes, text);
  return stages.flatMap((chain) => {
    const ref = chainRef(table, chain);
    return nft.rule.list(ref, mentions, mentions).flatMap((rule) => {
      const bridge = bridgeIn(phraseOf(rule)?.match ?? []);
      return bridge !== undefined && isGone(bridge) ? [delRule(ref, rule.handle)] : [];
    });
  });
}

function bridgeIn(match: readonly Match[]): string | undefined {
  const link = match.find(({ field }) => field === "iifname" || field === "oifname");
  return link?.field === "iifname" || link?.field === "oifname" ? link.is : undefined;
}

/** Those among iptables' rules. */
export const goneIsolations = (rules: readonly string[], isGone: IsGone): string[] =>
  rules.filter((line) => {
    if (!stages.some((chain) => line.startsWith(`-A ${chain} `))) return false;
    const bridge = optionOf(line, "-i") ?? optionOf(line, "-o");
    return optionOf(line, "--comment")?.startsWith(policyComment) === true && bridge !== undefined && isGone(bridge);
  });
