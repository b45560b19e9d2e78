// Names of the links we make on the node. All derive from the attachment or the configuration, so that DEL finds them
// with no netns and no earlier result.
import type { Attachment } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";

/** NetworkManager leaves links alone that begin with this; so the Go plugin chose it. */
const prefix = "veth";
const digits = 8;

/**
 * The names the node's end of an attachment's pair may have, in the order they are tried: "veth" and eight hex digits
 * of SHA-512("network/containerId/ifName"), then the next eight where another's link has that name, and so on.
 */
export const hostVethNames = (host: Host, network: string, { containerId, ifName }: Attachment): LinkNames =>
  new LinkNames(host.sha512(`${network}/${containerId}/${ifName}`));

/** Whether a link has a name of that form, ours or another's. */
export const isHostVethName = (name: string): boolean => /^veth[\da-f]{8}$/.test(name);

/** What a port is marked with, for whoever looks at it and for GC. */
export { attachmentAlias as portAlias, networkAlias } from "../../lib/cni/alias.ts";

/** Sixteen link names out of 128 hex digits. Hardly anyone gets beyond the first. */
export class LinkNames {
  readonly #hash: string;

  constructor(hash: string) {
    this.#hash = hash;
  }

  at(place: number): string | undefined {
    const from = place * digits;
    return from < this.#hash.length ? prefix + this.#hash.slice(from, from + digits) : undefined;
  }

  all(): string[] {
    const names: string[] = [];
    for (let name = this.at(0); name !== undefined; name = this.at(names.length)) names.push(name);
    return names;
  }
}

/** The link that carries the gateway addresses of one VLAN of a bridge, as the Go plugin names it. */
export const vlanGatewayName = (bridge: string, vlan: number): string => `${bridge}.${vlan}`;

/** Names for the bridge's end of that link. */
export const vlanPortNames = (host: Host, bridge: string, vlan: number): string[] =>
  new LinkNames(host.sha512(vlanGatewayName(bridge, vlan))).all();
