// What the links we make on the node are marked with, for whoever looks at them and for GC: the network and the attachment.
import type { Attachment } from "./plugin.ts";

/** The kernel keeps 255 bytes of an alias; all but the interface's name, of 15 bytes at most, is ASCII. */
const aliasLength = 240;

/** What the aliases of a network's links begin with. */
export const networkAlias = (network: string): string => `cni:${network}:`;

/** Whose a link is. */
export const attachmentAlias = (network: string, { containerId, ifName }: Attachment): string =>
  `${networkAlias(network)}${containerId}:${ifName}`.slice(0, aliasLength);
