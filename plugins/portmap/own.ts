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

/**
 * Judges by the addresses of the result; what its link has is the attachment's, too. Where the result is not known, all is
 * that no other link of the container has: of a container without a netns, everything. The container is looked into once,
 * when it first matters; that may throw.
 */
export function ownTest(
  host: Host,
  { netns, attachment }: Pick<AttachmentRequest<unknown>, "netns" | "attachment">,
  addresses: Addresses | undefined,
): IsOwn {
  let links: Links | undefined;
  return (address) => {
    const known = addresses?.[address.family]?.ip;
    if (known !== undefined && equalIps(known, address)) return true;
    links ??= lookInto(host, netns, attachment.ifName);
    const has = (ips: readonly Ip[]) => ips.some((ip) => equalIps(ip, address));
    return known === undefined ? !has(links.others) : has(links.own);
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
