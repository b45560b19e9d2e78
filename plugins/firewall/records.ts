// Whose an address is. Its rules in iptables cannot say, since the Go plugin finds them by all of their words; so a file
// does, one for each address, that goes with the boot as the rules do. By it DEL finds an attachment's rules without a
// result and leaves alone those of an address that another one has by now, and GC finds what nobody took back.
import { openIfThere } from "../../lib/cni/netns.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { formatIp, parseIp, type Ip } from "../../lib/ip/ip.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { Owner } from "./wish.ts";

export const directory = "/run/cni/firewall";
const pathOf = (ip: Ip): string => `${directory}/${formatIp(ip)}`;

export const isSameAttachment = (a: Attachment, b: Attachment): boolean =>
  a.containerId === b.containerId && a.ifName === b.ifName;

/** Notes an owner, in place of whoever had the address before. A note has no name before it is whole. */
export function note(host: Host, ip: Ip, { network, containerId, ifName, netns }: Owner): void {
  const { files } = host;
  const text = `${network}\n${containerId}\n${ifName}\n${netns}\n`;
  files.makeDirectory(directory, 0o700);
  const file = files.prepare(directory, text, 0o600);
  try {
    if (!file.publish(pathOf(ip))) files.replace(pathOf(ip), text, 0o600);
  } finally {
    file.discard();
  }
}

/** undefined where nobody is noted, which is so of addresses that the Go plugin let through. */
export function noted(host: Host, ip: Ip): Owner | undefined {
  try {
    const [network = "", containerId = "", ifName = "", netns = ""] = host.files.read(pathOf(ip)).split("\n");
    return { network, containerId, ifName, netns };
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/**
 * Whether an owner's link is gone, and its note therefore stale: the Go plugin takes rules back, and no note. An owner of
 * whom the note does not say where it was may be there.
 */
export function isOwnerGone(host: Host, { netns: path, ifName }: Owner): boolean {
  if (path === "") return false;
  const netns = openIfThere(path, host);
  if (netns === undefined) return true;
  try {
    const route = openRoute(host, netns);
    try {
      return route.link.get(ifName) === undefined;
    } finally {
      route.close();
    }
  } finally {
    netns.close();
  }
}

export const forget = (host: Host, ip: Ip): boolean => host.files.remove(pathOf(ip));

/** What writers left that were killed. */
export function removeAbandoned(host: Host): void {
  try {
    host.files.removeAbandoned(directory);
  } catch (error) {
    if (!isErrno(error, "ENOENT", "ENOTDIR")) throw error;
  }
}

export interface Noted {
  readonly ip: Ip;
  readonly owner: Owner;
}

/** The addresses that an attachment is noted for, whatever its network is called by now. */
export const notedFor = (host: Host, attachment: Attachment): Noted[] =>
  read(host, () => host.files.containing(directory, attachment.containerId)).filter(({ owner }) =>
    isSameAttachment(owner, attachment),
  );

/** Every address that somebody is noted for. */
export const allNoted = (host: Host): Noted[] => read(host, () => host.files.list(directory));

function read(host: Host, list: () => string[]): Noted[] {
  let names: string[];
  try {
    names = list();
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
  return names.flatMap((name) => {
    const ip = parseIp(name);
    const owner = ip === undefined ? undefined : noted(host, ip);
    return ip === undefined || owner === undefined ? [] : { ip, owner };
  });
}
