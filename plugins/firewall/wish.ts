// What an attachment is to have, out of the result before it and the configuration.
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment, AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, type Family, type Ip } from "../../lib/ip/ip.ts";
import { bridgeOf } from "./bridge.ts";
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

/** Reads the wish out of a request that must have a result before it. Throws a CniError. */
export function wishOf(request: AttachmentRequest<FirewallConf>, host: Host): Wish & { readonly before: Result } {
  const { adminChain, ingressPolicy } = request.conf;
  const before = request.prevResult();
  if (before === undefined)
    throw new CniError("invalidConfig", "missing prevResult from earlier plugin", {
      hint: "firewall comes after the plugin that gives the container its addresses",
    });
  return {
    before,
    owner: { network: request.network, netns: request.netns, ...request.attachment },
    addresses: addressesIn(before),
    adminChain,
    isolation:
      ingressPolicy === "open" ? undefined : { bridge: bridgeOf(host, before, ingressPolicy), policy: ingressPolicy },
  };
}
