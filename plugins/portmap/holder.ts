// Whoever else has a port: whether he lives, and what is done then. The mapping that was there first is the one that packets
// take, so one that leads nowhere any more would keep ours from ever being used.
import { CniError } from "../../lib/cni/error.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, formatIp, type Ip } from "../../lib/ip/ip.ts";
import { containsIp } from "../../lib/ip/prefix.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { Route } from "../../lib/netlink/route/route.ts";
import type { PortmapConf } from "./conf.ts";
import { mappingText, type Mapping } from "./mapping.ts";

/** A mapping of another container that comes before one of ours. */
export interface Holder {
  readonly containerId: string;
  readonly port: Pick<Mapping, "protocol" | "hostPort" | "hostIp">;
  readonly target: Ip;
}

/** Of the range that the specification leaves to plugins. */
const portTaken = 100;

/** Whether packets for one port can be for the other: two different host addresses keep them apart. */
export const isSamePort = (a: Holder["port"], b: Holder["port"]): boolean =>
  a.protocol === b.protocol &&
  a.hostPort === b.hostPort &&
  (a.hostIp === undefined || b.hostIp === undefined || equalIps(a.hostIp, b.hostIp));

export const holderText = ({ port, containerId, target }: Holder): string =>
  `host port ${mappingText(port)} leads to ${formatIp(target)} of container "${containerId}"`;

/** Judges holders: true for one that leads nowhere any more. Of one that lives it tells, or refuses (100), as configured. */
export class Judge {
  readonly #host: Host;
  readonly #conflict: PortmapConf["conflict"];
  readonly #told = new Set<string>();

  constructor(host: Host, { conflict }: Pick<PortmapConf, "conflict">) {
    this.#host = host;
    this.#conflict = conflict;
  }

  /** `own` is the address that the port shall lead to. */
  isStale(holder: Holder, own: Ip): boolean {
    const text = holderText(holder);
    const stale = equalIps(holder.target, own) || isGone(this.#host, holder.target);
    if (!stale && this.#conflict === "fail")
      throw new CniError({ code: portTaken }, text, {
        hint: 'choose another host port, end that container, or set "hostPortConflict" to "warn"',
      });
    if (!this.#told.has(text)) {
      this.#told.add(text);
      this.#host.log(stale ? `${text}, which is gone: deleted` : `${text}, which keeps it while it lives`);
    }
    return stale;
  }
}

/** Links behind which containers are, or to which those lead. The kernel forgets the routes of one that is down. */
const containerLinks = new Set(["bridge", "veth", "macvlan", "ipvlan", "vlan", "vrf"]);

/**
 * A container of this node is a neighbour on one of its links, or has a route of its own, be it in another table. Anyone
 * else has left, if all links are up that could lead to him: as long as one is down, nobody knows.
 */
function isGone(host: Host, address: Ip): boolean {
  const node = openRoute(host);
  try {
    const way = node.route.lookUp(address);
    if (way !== undefined && way.type !== "other" && way.direct) return false;
    if (node.link.list().some(({ up, kind }) => !up && kind !== undefined && containerLinks.has(kind))) return false;
    return !node.route.list(address.family).some((route) => isDirect(route) && containsIp(route.dst, address));
  } finally {
    node.close();
  }
}

const isDirect = ({ dst, gw, hops = [] }: Route): boolean =>
  dst.length > 0 && gw === undefined && hops.every((hop) => hop.gw === undefined);
