// What masquerade rules are known by. Chains and comments are those of the Go plugins, so that either may delete what the
// other made, and all derive from the owner: nothing needs to be remembered.
import { utf8Bytes } from "../../host/utf8.ts";
import type { Host } from "../../host/host.ts";
import { maxCommentBytes } from "../../netlink/nft/userdata.ts";

/** Whose traffic it is: one attachment to one network. */
export interface Owner {
  readonly network: string;
  readonly containerId: string;
  readonly ifName: string;
}

/** iptables' chain of a container: attachments of one container to one network share it. */
export const chainOf = (host: Pick<Host, "sha512">, { network, containerId }: Owner): string =>
  `CNI-${host.sha512(network + containerId).slice(0, 24)}`;

/** Whether a chain has a name of that form. */
export const isChainName = (chain: string): boolean => /^CNI-[\da-f]{24}$/.test(chain);

/** What the comments of a network's rules begin with in iptables. Names hold nothing that would have to be escaped. */
export const networkComment = (network: string): string => `name: "${network}" id: `;

/** What the kernel holds of an iptables comment. */
const iptablesCommentBytes = 255;

/** The comment of iptables' rules. */
export const iptablesComment = ({ network, containerId }: Owner): string =>
  shortened(`${networkComment(network)}"${containerId}"`, iptablesCommentBytes);

const hash = (host: Pick<Host, "sha512">, text: string): string => host.sha512(text).slice(0, 16);

/** What the comments of a network's rules begin with in nftables. */
export const networkHash = (host: Pick<Host, "sha512">, network: string): string => `${hash(host, network)}-`;

/** What the comment of an owner's rules begins with in nftables. */
export const ownerHash = (host: Pick<Host, "sha512">, { network, containerId, ifName }: Owner): string =>
  networkHash(host, network) + hash(host, `${ifName}:${containerId}`);

/** The comment of nftables' rules: what they are found by, then what people read, as far as there is room. */
export function nftablesComment(host: Pick<Host, "sha512">, owner: Owner): string {
  const { network, containerId, ifName } = owner;
  return shortened(`${ownerHash(host, owner)}, net: ${network}, if: ${ifName.replaceAll('"', "")}, id: ${containerId}`);
}

/** As much of a text as a comment holds, of nftables unless told. */
export function shortened(text: string, maxBytes = maxCommentBytes): string {
  const characters = Array.from(text);
  while (utf8Bytes(characters.join("")).length > maxBytes) characters.pop();
  return characters.join("");
}
