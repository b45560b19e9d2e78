// Names that other tools and the Go plugin know, and how our own derive from an attachment.
import type { Attachment } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { commentIn, commentTest, markIn, type UserdataTest } from "../../lib/netlink/nft/userdata.ts";

/** Of nftables, in both families. */
export const nftTable = "cni_hostport";
export const nftTableComment = "CNI portmap plugin";

/**
 * What a rule of nf_tables has beside its comment, which is the container's id and all that the Go plugin looks at: the
 * network, hashed since the kernel keeps but 256 bytes, and the link in the container.
 */
export const ownerMark = (host: Host, network: string, ifName: string): string =>
  `${networkMark(host, network)}${ifName}`;
const networkMark = (host: Host, network: string): string => `${host.sha512(network).slice(0, 16)} `;
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
 * by now, and those with no mark, which the Go plugin made.
 */
export function rulesOf({ containerId, ifName }: Attachment): UserdataTest {
  const ofContainer = commentTest({ is: containerId });
  return (data) => {
    if (!ofContainer(data)) return false;
    const mark = markIn(data);
    return mark === undefined || ifNameOf(mark) === ifName;
  };
}
