// The mappings in iptables' nat table as they are met by packets, whoever made them: rules of the entry chain, and what the
// chains behind them do. Read over nfnetlink, or out of iptables-save's lines where only iptables can look.
import { optionOf, wordsOf, type SavedTable } from "../../lib/firewall/iptables/save.ts";
import { chainRef } from "../../lib/firewall/plan.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import { parseIp, type Family, type Ip } from "../../lib/ip/ip.ts";
import { comparesMultiport } from "../../lib/netlink/nft/glance.ts";
import { transportNamed, type Transport } from "../../lib/netlink/nft/match.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import { phraseOf } from "../../lib/netlink/nft/phrase.ts";
import { includesBytes } from "../../lib/netlink/wire/bytes.ts";
import { isSamePort, type Holder } from "./holder.ts";
import { mappingsFor, type Mapping } from "./mapping.ts";
import { entryChain, natTable, ownerIn, setMarkChain } from "./names.ts";

/** A rule that leads packets for some ports to a container's chain, and asks nothing else of them. */
export interface Entry {
  readonly protocol: Transport;
  readonly ports: readonly number[];
  readonly chain: string;
  readonly comment: string;
}

export interface NatView {
  /** In order; those of other ports than `ports` may be left out. */
  entries(ports: readonly number[]): Entry[];
  /** Where a chain sends packets to. */
  targets(chain: string): Pick<Holder, "port" | "target">[];
}

/** Chains of others that packets for these mappings meet before they come to `own`, with what is held there. */
export function preceding(
  view: NatView,
  own: string,
  family: Family,
  mappings: readonly Mapping[],
): { readonly chain: string; readonly holder: Holder }[] {
  const entries = view.entries(mappings.map(({ hostPort }) => hostPort));
  const at = entries.findIndex(({ chain }) => chain === own);
  const byPort = Map.groupBy(mappingsFor(family, mappings), ({ hostPort }) => hostPort);
  const found = new Map<string, Holder>();
  for (const { protocol, ports, chain, comment } of entries.slice(0, at < 0 ? undefined : at)) {
    if (found.has(chain)) continue;
    const ours = ports.flatMap((port) => byPort.get(port) ?? []).filter((each) => each.protocol === protocol);
    if (ours.length === 0) continue;
    const held = view.targets(chain).find(({ port }) => ours.some((each) => isSamePort(each, port)));
    if (held !== undefined) found.set(chain, { ...held, containerId: ownerIn(comment)?.containerId ?? comment });
  }
  return Array.from(found, ([chain, holder]) => ({ chain, holder }));
}

const marking = utf8Bytes(`${setMarkChain}\0`);

/** Looks over nfnetlink: one reading of the entry chain, and one of each chain behind it that is asked for. */
export function kernelView(nft: NftSocket, family: Family): NatView {
  type Test = (bytes: Uint8Array) => boolean;
  const read = (chain: string, wanted: Test, mention?: Test) =>
    nft.rule.list(chainRef(natTable(family), chain), wanted, mention).flatMap((rule) => phraseOf(rule) ?? []);
  return {
    entries(ports) {
      const hasPort = comparesMultiport(ports);
      return read(entryChain, hasPort, hasPort).flatMap(({ match, verdict, comment = "" }): Entry[] => {
        const asked = match.filter(({ field }) => field !== "l4proto");
        const [first, ...others] = asked;
        if (first?.field !== "dports" || first.not === true || others.length > 0) return [];
        return typeof verdict === "object" && "jump" in verdict ? [{ ...first.is, chain: verdict.jump, comment }] : [];
      });
    },
    targets: (chain) =>
      // Of three rules for a port two only mark its packets.
      read(chain, (bytes) => !includesBytes(bytes, marking)).flatMap(({ match, verdict }) => {
        const port = match.find(({ field }) => field === "dport");
        if (typeof verdict !== "object" || !("dnat" in verdict) || port?.field !== "dport") return [];
        const host = match.find(({ field }) => field === "daddr");
        const hostIp = host?.field === "daddr" ? host.is.ip : undefined;
        return [{ port: { protocol: port.is.protocol, hostPort: port.is.port, hostIp }, target: verdict.dnat.ip }];
      }),
  };
}

/** Words of an entry rule beside which there are no conditions: -A, -p, two matches, comment, ports and target. */
const plainEntryWords = 14;

/** Looks at what iptables-save has said. */
export function savedView({ rules }: SavedTable): NatView {
  const inChain = (chain: string) => rules.filter((line) => line.startsWith(`-A ${chain} `));
  const protocolOf = (line: string) => transportNamed(optionOf(line, "-p") ?? "");
  return {
    entries: () =>
      inChain(entryChain).flatMap((line): Entry[] => {
        const [protocol, chain] = [protocolOf(line), optionOf(line, "-j")];
        const ports = optionOf(line, "--dports")?.split(",").map(Number) ?? [];
        if (protocol === undefined || chain === undefined || wordsOf(line).length > plainEntryWords) return [];
        return [{ protocol, ports, chain, comment: optionOf(line, "--comment") ?? "" }];
      }),
    targets: (chain) =>
      inChain(chain).flatMap((line) => {
        const [protocol, port] = [protocolOf(line), Number(optionOf(line, "--dport"))];
        const target = addressIn(optionOf(line, "--to-destination"));
        if (protocol === undefined || Number.isNaN(port) || target === undefined) return [];
        const hostIp = parseHostIp(optionOf(line, "-d"));
        return [{ port: { protocol, hostPort: port, hostIp }, target }];
      }),
  };
}

/** The address of "10.1.0.5/32". */
export const parseHostIp = (one = ""): Ip | undefined => parseIp(one.replace(/\/(32|128)$/, ""));

/** The address of "10.1.0.5:80" or "[fd00::5]:80". */
export const addressIn = (endpoint = ""): Ip | undefined =>
  parseIp(endpoint.replace(/:\d+$/, "").replace(/^\[|\]$/g, ""));
