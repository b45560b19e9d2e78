// Which addresses of a link are gateways, and of which networks: noted in the link's alias, where an operator sees it and
// where it goes when the link goes. Only an address that is noted for a network may be replaced when the network's subnet
// changes: nobody else's address is taken away.
import { formatPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import type { Link } from "../../lib/netlink/route/link.ts";

const mark = "cni-gateways:";
/** What the kernel keeps of an alias. */
const maxLength = 255;

const entryOf = (network: string, gateway: Prefix): string => `${network}=${formatPrefix(gateway)}`;
const entriesOf = (alias: string | undefined): string[] =>
  alias?.startsWith(mark) ? alias.slice(mark.length).split(",") : [];

/** Whether an ADD of ours made this link a gateway. It set the MAC with that, so the link does not follow its ports. */
export const isGatewayOfOurs = ({ alias }: Pick<Link, "alias">): boolean => alias?.startsWith(mark) === true;

/** Whether the address is noted as this network's gateway. */
export const isRecorded = (alias: string | undefined, network: string, address: Prefix): boolean =>
  entriesOf(alias).includes(entryOf(network, address));

/**
 * The alias that notes these gateways beside what is noted already, without what is no address of the link any more.
 * undefined: there is nothing to change, or the alias is somebody else's, or has no room.
 */
export function recordIn(
  alias: string | undefined,
  network: string,
  gateways: readonly Prefix[],
  present: readonly Prefix[],
): string | undefined {
  if (alias !== undefined && !alias.startsWith(mark)) return undefined;
  const wanted = gateways.map((gateway) => entryOf(network, gateway));
  const old = entriesOf(alias);
  if (wanted.every((entry) => old.includes(entry))) return undefined;
  const addresses = present.map(formatPrefix);
  const kept = old.filter((entry) => addresses.includes(entry.slice(entry.indexOf("=") + 1)));
  const text = mark + [...new Set([...kept, ...wanted])].join(",");
  return text.length > maxLength ? undefined : text;
}
