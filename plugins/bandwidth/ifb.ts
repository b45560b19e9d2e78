// The link that what a container sends is redirected to: the queue of a link shapes what it sends, and this one sends on
// what the node's end of the pair received. Its first name is the Go plugin's, and derives from network and container; a
// container's second attachment to a network, which Go's cannot make, has a name of its own. The alias says whose it is.
import { attachmentAlias, networkAlias } from "../../lib/cni/alias.ts";
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import type { Undo } from "../../lib/cni/undo.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { localMac, type Mac } from "../../lib/ip/mac.ts";
import { addIfb, setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import type { TcSocket } from "../../lib/netlink/tc/open.ts";

const prefix = "bwp";
const digits = 12;
const nameOf = (host: Host, text: string): string => prefix + host.sha512(text).slice(0, digits);

/** The names an attachment's link may have, in the order they are tried. */
export const ifbNames = (host: Host, network: string, { containerId, ifName }: Attachment): readonly string[] => [
  nameOf(host, network + containerId),
  nameOf(host, network + containerId + ifName),
];

/** The links of an attachment that are there: by alias, or without one, as Go's plugin and a killed ADD leave them. */
export function ownIfbs(host: Host, node: RouteSocket, network: string, attachment: Attachment): Link[] {
  const alias = attachmentAlias(network, attachment);
  const [first, second] = ifbNames(host, network, attachment).map((name) => node.link.get(name));
  const own = [first, second].filter((link): link is Link => link?.kind === "ifb" && link.alias === alias);
  if (second?.kind === "ifb" && second.alias === undefined) own.push(second);
  // The container's other attachment may have the first name.
  if (own.length === 0 && first?.kind === "ifb" && first.alias === undefined) own.push(first);
  return own;
}

/** How the MACs of a network's links begin: by it, GC knows what an ADD never came to give an alias. */
const macStart = (host: Host, network: string): Uint8Array => {
  const hash = host.sha512(network);
  return Uint8Array.from([0, 2, 4, 6], (at) => Number.parseInt(hash.slice(at, at + 2), 16));
};
const newMac = (host: Host, network: string): Mac =>
  localMac(Uint8Array.of(...macStart(host, network), ...host.random(2)));

/** Whether a link is one that an ADD of this network was killed over. Go's plugin makes what is up already. */
const isUnfinished = (host: Host, network: string, { up, alias, mac }: Link): boolean =>
  !up &&
  alias === undefined &&
  mac?.startsWith(localMac(Uint8Array.of(...macStart(host, network), 0, 0)).slice(0, 11)) === true;

/** The network's links that are of none of these attachments. */
export function staleIfbs(host: Host, links: readonly Link[], network: string, valid: readonly Attachment[]): Link[] {
  const aliases = new Set(valid.map((attachment) => attachmentAlias(network, attachment)));
  return links.filter((link) => {
    if (link.kind !== "ifb" || !link.name.startsWith(prefix)) return false;
    if (link.alias === undefined) return isUnfinished(host, network, link);
    return link.alias.startsWith(networkAlias(network)) && !aliases.has(link.alias);
  });
}

/** How often the same name is tried again when what held it went away meanwhile, or was deleted as a leftover. */
const attempts = 3;

/** Makes the link, up, with the MTU of the link it is for. */
export function makeIfb(
  host: Host,
  { node, tc }: { readonly node: RouteSocket; readonly tc: TcSocket },
  network: string,
  attachment: Attachment,
  { ifIndex: forIfIndex, mtu }: Link,
  undo: Undo,
): Link {
  const alias = attachmentAlias(network, attachment);
  // Set here it stays: udev gives a MAC of its own to a link whose MAC the kernel drew.
  const mac = newMac(host, network);
  let tried = "";
  undo.push("delete the ifb", () => {
    if (node.link.get(tried)?.mac === mac) node.link.del(tried);
  });
  for (const name of ifbNames(host, network, attachment)) {
    for (let attempt = 1; attempt <= attempts; attempt++) {
      tried = name;
      try {
        node.change(addIfb({ name, mac, mtu, txQueueLength: 0 }));
        // One that is up says whose it is; one that is not was never finished.
        node.change(setLink(name, { alias, up: true }));
      } catch (error) {
        if (!isErrno(error, "EEXIST")) throw inContext(error, "adding link", host);
        const there = node.link.get(name);
        if (there !== undefined && !isLeftover(node, tc, there, alias, forIfIndex)) break;
        if (there === undefined) continue;
        host.log(`deleting "${name}", left behind by an earlier ADD`);
        node.link.del(there.ifIndex);
        continue;
      }
      const made = node.link.get(name);
      if (made?.mac === mac) return made;
      throw new CniError("tryAgainLater", `"${name}" went away`, {
        hint: "another call is at work on this attachment",
      });
    }
  }
  throw new CniError("internal", "adding link: file exists", {
    details: `names ${ifbNames(host, network, attachment).join(", ")}`,
    hint: "delete those of these links that nobody uses",
  });
}

/** Whether a link of our name is nobody's: ours from before, or without an alias and without anyone else who uses it. */
function isLeftover(node: RouteSocket, tc: TcSocket, there: Link, alias: string, forIfIndex: number): boolean {
  if (there.kind !== "ifb") return false;
  if (there.alias !== undefined) return there.alias === alias;
  return !node.link
    .list()
    .filter(({ kind, ifIndex }) => kind === "veth" && ifIndex !== forIfIndex)
    .some(({ ifIndex }) => tc.filter.list(ifIndex).some(({ redirectsTo }) => redirectsTo === there.ifIndex));
}
