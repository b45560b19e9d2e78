// A mapping of a port, as every file of this plugin uses it.
import { endpointText, type Family, type Ip } from "../../lib/ip/ip.ts";
import type { Transport } from "../../lib/netlink/nft/match.ts";

export interface Mapping {
  readonly protocol: Transport;
  readonly hostPort: number;
  readonly containerPort: number;
  /** The one address of the node it is on; undefined: every address. */
  readonly hostIp: Ip | undefined;
  /** The one family it is for, which the host address says, even where that is 0.0.0.0 or ::. */
  readonly family: Family | undefined;
}

/** Those that an address of the container can answer. */
export const mappingsFor = (family: Family, mappings: readonly Mapping[]): Mapping[] =>
  mappings.filter((mapping) => mapping.family === undefined || mapping.family === family);

/** A mapping as people read it: "tcp 192.0.2.1:8080". */
export const mappingText = ({
  protocol,
  hostPort,
  hostIp,
}: Pick<Mapping, "protocol" | "hostPort" | "hostIp">): string =>
  `${protocol} ${hostIp === undefined ? hostPort : endpointText(hostIp, hostPort)}`;
