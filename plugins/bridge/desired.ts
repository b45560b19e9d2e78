// What an attachment should come to look like, out of the configuration and IPAM's answer. Pure: the kernel is not
// asked and not told anything here.
import { CniError } from "../../lib/cni/error.ts";
import type { Dns, Result, ResultInterface, ResultIp, ResultRoute } from "../../lib/cni/result.ts";
import { addToIp, bitsOf, equalIps, type Family, type Ip } from "../../lib/ip/ip.ts";
import { RT_TABLE_MAIN } from "../../lib/netlink/route/route.ts";
import { containsIp, defaultRoute, equalPrefixes, networkOf, type Prefix } from "../../lib/ip/prefix.ts";

/** Where the container's link stands in a result's interfaces: after the bridge and the node's end of the pair. */
export const containerInterface = 2;

/** What of the configuration decides about addresses. */
export interface GatewayConf {
  readonly isGateway: boolean;
  readonly isDefaultGateway: boolean;
}

/** What an attachment with IPAM should have. */
export interface Layer3 {
  /** IPAM's addresses, with the gateway that is in force and the container's place in the interfaces. */
  readonly ips: readonly ResultIp[];
  /** IPAM's routes, and the default routes we add: what the result reports. */
  readonly routes: readonly ResultRoute[];
  /** The same for the container's kernel: every gateway spelled out, nothing twice. */
  readonly containerRoutes: readonly ContainerRoute[];
  /** Addresses of the bridge, one for each gateway; none unless it is one. */
  readonly gateways: readonly Prefix[];
}

export interface ContainerRoute extends ResultRoute {
  /** The gateway lies in none of our subnets: the kernel takes it only when told that it is on this link. */
  readonly onlink: boolean;
}

/** Decides on gateways and default routes. Throws where IPAM gave no address. */
export function planLayer3(ipam: Result, { isGateway, isDefaultGateway }: GatewayConf): Layer3 {
  if (ipam.ips.length === 0) {
    throw new CniError("internal", "IPAM plugin returned missing IP config", {
      hint: "see that the IPAM plugin's configuration names a range",
    });
  }
  const routes = [...ipam.routes];
  const gateways: Prefix[] = [];
  const routed = new Set<Family>();
  const ips = ipam.ips.map((given): ResultIp => {
    const { address } = given;
    const { family } = address.ip;
    const gateway = given.gateway ?? (isGateway ? firstOf(address) : undefined);
    if (isDefaultGateway && !routed.has(family)) {
      routed.add(family);
      const dst = defaultRoute(family);
      // One without a gateway counts: the kernel gets it by way of this very gateway.
      if (!routes.some((route) => equalPrefixes(route.dst, dst)))
        routes.push(gateway === undefined ? { dst } : { dst, gw: gateway });
    }
    if (isGateway && gateway !== undefined) {
      const own = { ip: gateway, length: address.length };
      if (!gateways.some((other) => equalPrefixes(other, own))) gateways.push(own);
    }
    return { address, gateway, interface: containerInterface };
  });
  return { ips, routes, containerRoutes: containerRoutes(ips, routes), gateways };
}

/** The first address of a subnet after its own; undefined where there is none after it. */
function firstOf(prefix: Prefix): Ip | undefined {
  const first = addToIp(networkOf(prefix), 1);
  return first.value >> BigInt(bitsOf(first.family)) === 0n ? first : undefined;
}

/** The gateway of a family's routes that name none. */
export const firstGateway = (ips: readonly ResultIp[], family: Family): Ip | undefined =>
  ips.find(({ gateway }) => gateway?.family === family)?.gateway;

/** A route without a gateway goes by way of its family's first one; where there is none, it is on the link. */
function containerRoutes(ips: readonly ResultIp[], routes: readonly ResultRoute[]): ContainerRoute[] {
  const made: ContainerRoute[] = [];
  for (const route of routes) {
    const { family } = route.dst.ip;
    const gw = route.gw ?? firstGateway(ips, family);
    const reachable = gw === undefined || isLinkLocal(gw) || ips.some(({ address }) => containsIp(address, gw));
    const full = { ...route, gw, onlink: !reachable };
    if (!made.some((other) => sameRoute(other, full))) made.push(full);
  }
  return made;
}

const isLinkLocal = ({ family, value }: Ip): boolean => family === 6 && value >> 118n === 0x3fan; // fe80::/10

/** Whether one says just what the other says; for IPAM table 0 means the main one. */
function sameRoute(a: ContainerRoute, b: ContainerRoute): boolean {
  const sameGateway = a.gw === undefined || b.gw === undefined ? a.gw === b.gw : equalIps(a.gw, b.gw);
  const numbers = ({ priority = 0, table, scope = 0, mtu = 0, advmss = 0 }: ContainerRoute) =>
    [priority, table || RT_TABLE_MAIN, scope, mtu, advmss].join();
  return sameGateway && equalPrefixes(a.dst, b.dst) && numbers(a) === numbers(b);
}

/** Whether two subnets have an address in common. */
export const overlap = (a: Prefix, b: Prefix): boolean => containsIp(a, b.ip) || containsIp(b, a.ip);

/** The links of an attachment, for its result. */
export interface AttachmentLinks {
  readonly bridge: ResultInterface;
  readonly port: ResultInterface;
  readonly container: ResultInterface;
  /** The link that carries a VLAN's gateway addresses, where there is one. */
  readonly vlanGateway: ResultInterface | undefined;
}

/** What ADD reports. `dns` of the configuration replaces IPAM's. */
export function composeResult(
  { bridge, port, container, vlanGateway }: AttachmentLinks,
  layer3: Layer3 | undefined,
  dns: Dns,
): Result {
  return {
    interfaces: [bridge, port, container, ...(vlanGateway === undefined ? [] : [vlanGateway])],
    ips: layer3?.ips ?? [],
    routes: layer3?.routes ?? [],
    dns,
  };
}
