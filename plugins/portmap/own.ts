// Whose an address is, where rules do not say for which link of the container they are: the Go plugin's, and all of
// iptables. A container may have several links, each an attachment of its own, and one's rules are nobody else's to take.
import { openIfThere } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, type Ip } from "../../lib/ip/ip.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { Addresses } from "./address.ts";

/** Whether what leads to an address of the container is the attachment's. */
export type IsOwn = (address: Ip) => boolean;

export interface Whose {
  readonly isOwn: IsOwn;
  /** Whether another link of the container has the address. */
  readonly isOthers: IsOwn;
}

/**
 * Judges by the addresses of the result; what its link has is the attachment's, too. Where the result is not known, all is
 * that no other link of the container has: of a container without a netns, everything. The container is looked into once,
 * when it first matters; that may throw.
 */
export function whoseTests(
  host: Host,
  { netns, attachment }: Pick<AttachmentRequest<unknown>, "netns" | "attachment">,
  addresses: Addresses | undefined,
): Whose {
  let links: Links | undefined;
  const has = (which: keyof Links, address: Ip): boolean => {
    links ??= lookInto(host, netns, attachment.ifName);
    return links[which].some((ip) => equalIps(ip, address));
  };
  const known = ({ family }: Ip) => addresses?.[family]?.ip;
  const isKnown = (address: Ip) => {
    const own = known(address);
    return own !== undefined && equalIps(own, address);
  };
  return {
    isOwn: (address) =>
      isKnown(address) || (known(address) === undefined ? !has("others", address) : has("own", address)),
    isOthers: (address) => !isKnown(address) && has("others", address),
  };
}

/** The addresses of the attachment's link in the container, and of all others. */
interface Links {
  readonly own: readonly Ip[];
  readonly others: readonly Ip[];
}

function lookInto(host: Host, path: string, ifName: string): Links {
  const netns = openIfThere(path, host);
  if (netns === undefined) return { own: [], others: [] };
  try {
    const container = openRoute(host, netns);
    try {
      const links = container.link.list();
      const of = (chosen: typeof links) =>
        chosen.flatMap(({ ifIndex }) => container.addr.list(ifIndex).map(({ prefix }) => prefix.ip));
      return {
        own: of(links.filter(({ name }) => name === ifName)),
        others: of(links.filter(({ name }) => name !== ifName)),
      };
    } finally {
      container.close();
    }
  } finally {
    netns.close();
  }
}
