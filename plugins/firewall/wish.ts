// What an attachment is to have, out of the result before it and the configuration. Pure.
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment, AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import { equalIps, type Family, type Ip } from "../../lib/ip/ip.ts";
import type { FirewallConf, IngressPolicy } from "./conf.ts";

export const families: readonly Family[] = [4, 6];

/** Whose rules they are: one attachment to one network. */
export interface Owner extends Attachment {
  readonly network: string;
  /** CNI_NETNS of ADD; "" where a note does not say. */
  readonly netns: string;
}

/** A bridge that is kept apart from others of its kind. */
export interface Isolation {
  readonly bridge: string;
  readonly policy: Exclude<IngressPolicy, "open">;
}

export interface Wish {
  readonly owner: Owner;
  /** Whose packets pass. */
  readonly addresses: readonly Ip[];
  readonly adminChain: string;
  readonly isolation: Isolation | undefined;
}

export const addressesIn = ({ ips }: Result): Ip[] =>
  ips.map(({ address }) => address.ip).filter((ip, at, all) => all.findIndex((other) => equalIps(other, ip)) === at);

/** Reads the wish out of a request that must have a result before it. */
export function wishOf(request: AttachmentRequest<FirewallConf>): Wish & { readonly before: Result } {
  const { conf } = request;
  const before = request.prevResult();
  if (before === undefined)
    throw new CniError("invalidConfig", "missing prevResult from earlier plugin", {
      hint: "firewall comes after the plugin that gives the container its addresses",
    });
  return {
    before,
    owner: { network: request.network, netns: request.netns, ...request.attachment },
    addresses: addressesIn(before),
    adminChain: conf.adminChain,
    isolation:
      conf.ingressPolicy === "open" ? undefined : { bridge: bridgeOf(before, conf), policy: conf.ingressPolicy },
  };
}

/** IFNAMSIZ of linux/if.h, without the zero. */
const maxNameBytes = 15;

/** The bridge is the first link of a result, as the bridge plugin writes it. */
function bridgeOf({ interfaces: [first] }: Result, { ingressPolicy }: FirewallConf): string {
  const hint = 'put "firewall" behind "bridge" in the list, or set "ingressPolicy" to open';
  if (first === undefined)
    throw new CniError(
      "invalidConfig",
      `interface needs to be set for ingress policy "${ingressPolicy}", make sure to chain "firewall" plugin with "bridge"`,
      { hint },
    );
  if (first.name === "") throw new CniError("invalidConfig", "got empty bridge name", { hint });
  if (utf8Bytes(first.name).length > maxNameBytes)
    throw new CniError(
      "invalidConfig",
      `"${first.name}" is no name of a bridge: it has more than ${maxNameBytes} bytes`,
      {
        hint,
      },
    );
  return first.name;
}
