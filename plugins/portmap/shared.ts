// What of a container's chain in iptables stays, because it is of another attachment: those of one container to one network
// share the chain, as the Go plugin's do, and rules there do not say for which link they are.
import { optionOf } from "../../lib/firewall/iptables/save.ts";
import { chainRef, type Kept } from "../../lib/firewall/plan.ts";
import { formatIp, type Family, type Ip } from "../../lib/ip/ip.ts";
import { targetOf } from "../../lib/netlink/nft/expr.ts";
import { transportNamed } from "../../lib/netlink/nft/match.ts";
import type { ChainRef } from "../../lib/netlink/nft/message.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf } from "../../lib/netlink/nft/phrase.ts";
import { delRule } from "../../lib/netlink/nft/rule.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import type { Holder } from "./holder.ts";
import { addressIn, parseHostIp, type NatView } from "./nat-view.ts";
import { entryChain, natTable } from "./names.ts";
import type { IsOwn } from "./own.ts";

export interface Shared {
  /** In the container's chain. */
  readonly mappings: Kept;
  /** Jumps to it. */
  readonly entries: Kept;
}

const portKey = ({ protocol, hostPort }: Pick<Holder["port"], "protocol" | "hostPort">): string =>
  `${protocol} ${hostPort}`;
const keyOf = (port: Holder["port"]): string =>
  `${portKey(port)} ${port.hostIp === undefined ? "" : formatIp(port.hostIp)}`;

/** What others have in a chain; undefined where it is all the attachment's. */
export function sharedWith(view: NatView, chain: string, isOthers: IsOwn): Shared | undefined {
  const theirs = view.targets(chain).filter(({ target }) => isOthers(target));
  if (theirs.length === 0) return undefined;
  const ports = new Set(theirs.map(({ port }) => portKey(port)));
  const keys = new Set(theirs.map(({ port }) => keyOf(port)));
  const isTheirs = (port: Holder["port"], target: Ip | undefined) =>
    keys.has(keyOf(port)) && (target === undefined || isOthers(target));
  return {
    mappings: {
      rule(there) {
        const { match = [], verdict = "drop" } = phraseOf(there) ?? {};
        const port = match.find(({ field }) => field === "dport");
        const host = match.find(({ field }) => field === "daddr");
        if (port?.field !== "dport") return false;
        const hostIp = host?.field === "daddr" ? host.is.ip : undefined;
        const target = typeof verdict === "object" && "dnat" in verdict ? verdict.dnat.ip : undefined;
        return isTheirs({ protocol: port.is.protocol, hostPort: port.is.port, hostIp }, target);
      },
      line(line) {
        const protocol = transportNamed(optionOf(line, "-p") ?? "");
        if (protocol === undefined) return false;
        const port = {
          protocol,
          hostPort: Number(optionOf(line, "--dport")),
          hostIp: parseHostIp(optionOf(line, "-d")),
        };
        return isTheirs(port, addressIn(optionOf(line, "--to-destination")));
      },
    },
    entries: {
      rule(there) {
        const each = phraseOf(there)?.match.find(({ field }) => field === "dports");
        if (each?.field !== "dports") return false;
        const { protocol, ports: some } = each.is;
        return some.some((hostPort) => ports.has(portKey({ protocol, hostPort })));
      },
      line(line) {
        const protocol = transportNamed(optionOf(line, "-p") ?? "");
        const some = optionOf(line, "--dports")?.split(",").map(Number) ?? [];
        return protocol !== undefined && some.some((hostPort) => ports.has(portKey({ protocol, hostPort })));
      },
    },
  };
}

/** What deletes all of a chain, and of the jumps there, but what others have. */
export function partAway(nft: NftSocket, family: Family, chain: string, { mappings, entries }: Shared): Request[] {
  const [own, entry] = [chain, entryChain].map((each) => chainRef(natTable(family), each)) as [ChainRef, ChainRef];
  const jumps = nft.rule.list(entry).filter(({ exprs }) => targetOf(exprs) === chain);
  return [
    ...jumps.filter((rule) => !entries.rule(rule)).map(({ handle }) => delRule(entry, handle)),
    ...nft.rule
      .list(own)
      .filter((rule) => !mappings.rule(rule))
      .map(({ handle }) => delRule(own, handle)),
  ];
}
