// Names that other tools and the Go plugin know, and how our own derive from an attachment.
import type { Attachment } from "../../lib/cni/plugin.ts";
import type { RuleTest } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Family, Ip } from "../../lib/ip/ip.ts";
import type { TableRef } from "../../lib/netlink/nft/message.ts";
import { phraseOf } from "../../lib/netlink/nft/phrase.ts";
import type { KernelRule } from "../../lib/netlink/nft/rule.ts";
import { commentIn, commentTest, markIn, type UserdataTest } from "../../lib/netlink/nft/userdata.ts";
import type { IsOwn } from "./own.ts";

/** Of nftables, in both families. */
export const nftTable = "cni_hostport";
export const nftTableComment = "CNI portmap plugin";

/** Of iptables' nat table. The first three are looked for by other tools, and never change. */
export const natTable = (family: Family): TableRef => ({ family: family === 4 ? "ip" : "ip6", table: "nat" });
export const entryChain = "CNI-HOSTPORT-DNAT";
export const setMarkChain = "CNI-HOSTPORT-SETMARK";
export const masqueradeChain = "CNI-HOSTPORT-MASQ";

/** A container's chain; attachments of one container to one network share it. */
export const containerChain = (host: Pick<Host, "sha512">, network: string, containerId: string): string =>
  `CNI-DN-${chainHash(host, network, containerId)}`;
export const isContainerChain = (chain: string): boolean => /^CNI-DN-[\da-f]{21}$/.test(chain);

/** What old versions of the Go plugin made beside it, and where they led packets there. */
export const oldEntryChain = "CNI-HOSTPORT-SNAT";
export const oldContainerChain = (host: Pick<Host, "sha512">, network: string, containerId: string): string =>
  `CNI-SN-${chainHash(host, network, containerId)}`;

const chainHash = (host: Pick<Host, "sha512">, network: string, containerId: string): string =>
  host.sha512(network + containerId).slice(0, 21);

/** What the kernel holds of an iptables comment. */
const iptablesCommentBytes = 255;

/** The comment of a container's entry rules; its names are ASCII. */
export function entryComment(network: string, containerId: string): string {
  const comment = `dnat name: "${network}" id: "${containerId}"`;
  return comment.length <= iptablesCommentBytes ? comment : `${comment.slice(0, iptablesCommentBytes - 3)}...`;
}

/** The reverse; undefined for a comment that is none such, or was cut. */
export function ownerIn(comment: string): { readonly network: string; readonly containerId: string } | undefined {
  const [, network, containerId] = /^dnat name: "([^"]*)" id: "([^"]*)"$/.exec(comment) ?? [];
  return network === undefined || containerId === undefined ? undefined : { network, containerId };
}

/**
 * What a rule of nf_tables has beside its comment, which is the container's id and all that the Go plugin looks at: the
 * network, hashed since the kernel keeps but 256 bytes, and the link in the container.
 */
export const ownerMark = (host: Host, network: string, ifName: string): string =>
  `${networkMark(host, network)}${ifName}`;
/** What the marks of a network's rules begin with. */
export const networkMark = (host: Host, network: string): string => `${host.sha512(network).slice(0, 16)} `;
const ifNameOf = (mark: string): string => mark.slice(mark.indexOf(" ") + 1);

/** Finds the rules of a network's attachments that are none of the valid. The Go plugin's rules do not say whose they are. */
export function staleRules(host: Host, network: string, valid: readonly Attachment[]): UserdataTest {
  const ofNetwork = networkMark(host, network);
  const alive = new Set(valid.map(({ containerId, ifName }) => `${containerId} ${ifName}`));
  return (data) => {
    const mark = markIn(data);
    return mark?.startsWith(ofNetwork) === true && !alive.has(`${commentIn(data)} ${ifNameOf(mark)}`);
  };
}

/**
 * Finds the rules of an attachment: those of its container that are marked for this link, whatever the network is called
 * by now; and of those with no mark, which the Go plugin made, the ones that lead to an address of its own.
 */
export function rulesOf({ containerId, ifName }: Attachment, isOwn: IsOwn): RuleTest {
  const ofContainer = commentTest({ is: containerId });
  return {
    userdata(data) {
      if (!ofContainer(data)) return false;
      const mark = markIn(data);
      return mark === undefined ? undefined : ifNameOf(mark) === ifName;
    },
    whole(rule) {
      const target = targetIn(rule);
      return target !== undefined && isOwn(target);
    },
  };
}

/** The address that a rule sends packets to, or masquerades those for. */
function targetIn(rule: KernelRule): Ip | undefined {
  const { match = [], verdict = "drop" } = phraseOf(rule) ?? {};
  if (typeof verdict === "object") return "dnat" in verdict ? verdict.dnat.ip : undefined;
  const to = match.find(({ field, not }) => field === "daddr" && not !== true);
  return to?.field === "daddr" ? to.is.ip : undefined;
}
