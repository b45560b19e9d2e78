// The differences between what CHECK expects and what it found: one sentence for each. Pure.
import { bitsOf, equalIps, formatIp } from "../../lib/ip/ip.ts";
import { equalPrefixes, formatPrefix, maskPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import { RT_TABLE_MAIN, type Hop, type Route } from "../../lib/netlink/route/route.ts";
import { gatewayDifferences, vlanDifferences } from "./compare-gateway.ts";
import type { Expected, ExpectedRoute } from "./expect.ts";
import { portAlias } from "./names.ts";
import { sameMac, type Observed } from "./observe.ts";

/** net/pkt_sched.h; in packets. */
const DEFAULT_TX_QUEUE_LEN = 1000;

export function compare(expected: Expected, observed: Observed): string[] {
  return [
    ...bridgeDifferences(expected, observed),
    ...containerDifferences(expected, observed),
    ...portDifferences(expected, observed),
    ...addressDifferences(expected, observed),
    ...routeDifferences(expected, observed),
    ...settingDifferences(observed),
    ...gatewayDifferences(expected, observed),
  ];
}

function bridgeDifferences({ conf, bridge }: Expected, { bridge: found, bridgePortMacs }: Observed): string[] {
  const name = conf.bridge;
  if (bridge === undefined) return [`Interface name missing: prevResult has no link "${name}" on the node`];
  if (found === undefined) return [`Interface name ${name} not found`];
  if (found.kind !== "bridge") return [`Interface ${name} does not have link type of bridge`];
  const differences: string[] = [];
  // A bridge whose MAC nobody set takes on its lowest port's: then it is no difference that it has another one by now.
  const follows = found.mac !== undefined && bridgePortMacs.includes(found.mac);
  if (!sameMac(bridge.mac, found.mac) && !follows)
    differences.push(`Bridge interface ${name} Mac doesn't match: recorded ${bridge.mac}, found ${found.mac}`);
  if (!found.up) differences.push(`Bridge interface ${name} is down`);
  if (conf.promisc && !found.promisc)
    differences.push(`Bridge interface ${name} configured Promisc Mode true doesn't match current state: false`);
  return differences;
}

function containerDifferences(
  { conf, container, attachment: { ifName }, netns }: Expected,
  { container: found, port }: Observed,
): string[] {
  if (container?.sandbox !== netns)
    return [`Sandbox in prevResult ${container?.sandbox ?? ""} doesn't match configured netns: ${netns}`];
  if (found === undefined) return [`CNI created interface in container ${ifName} not found`];
  if (found.kind !== "veth") return [`Container interface ${ifName} not of type veth`];
  const differences: string[] = [];
  if (!sameMac(container.mac, found.mac))
    differences.push(`Interface ${ifName} Mac ${container.mac} doesn't match container Mac: ${found.mac}`);
  if (conf.containerUp && !found.up) differences.push(`Interface ${ifName} is down`);
  // A later plugin may have changed it, and says so where the result has it; larger frames than the port's are lost on the
  // way. One that made it smaller need not say so.
  if (port !== undefined && found.mtu > port.mtu && container.mtu !== undefined && container.mtu !== found.mtu)
    differences.push(`Interface ${ifName} has MTU ${found.mtu}, its port ${port.mtu}`);
  return differences;
}

function portDifferences(
  { conf, network, attachment, nodeLinks, vlans }: Expected,
  { bridge, container, port, portIsOurs, portVlans }: Observed,
): string[] {
  // Without the container's link there is no telling which port is its own, and that link is reported already.
  if (container === undefined || container.kind !== "veth") return [];
  const recorded = port === undefined ? undefined : nodeLinks.find(({ name }) => name === port.name);
  if (port === undefined || recorded === undefined) return [`CNI veth created for bridge ${conf.bridge} was not found`];
  const differences: string[] = [];
  if (!sameMac(recorded.mac, port.mac))
    differences.push(`Interface ${port.name} Mac doesn't match: recorded ${recorded.mac}, found ${port.mac}`);
  if (!port.up) differences.push(`Interface ${port.name} is down`);
  const mtu = recorded.mtu || conf.mtu;
  // A later plugin that changes the container's may change this one with it.
  if (mtu !== undefined && port.mtu !== mtu && port.mtu !== container.mtu)
    differences.push(`Interface ${port.name} has MTU ${port.mtu}, recorded ${mtu}`);
  // The kernel gives a link without a queue the usual one when a later plugin shapes it.
  if (portIsOurs && port.txQueueLength !== 0 && port.txQueueLength !== DEFAULT_TX_QUEUE_LEN)
    differences.push(`Interface ${port.name} has a transmit queue of ${port.txQueueLength}, ADD set 0`);
  const alias = portAlias(network, attachment);
  if (portIsOurs && port.alias !== alias)
    differences.push(`Interface ${port.name} has alias ${quoted(port.alias)}, ADD set ${quoted(alias)}`);
  if (bridge === undefined || port.masterIfIndex !== bridge.ifIndex)
    return [...differences, `Interface ${port.name} is no port of bridge ${conf.bridge}`];
  const flags = [
    ["hairpin", conf.hairpin, port.port?.hairpin === true],
    ["isolated", conf.isolated, port.port?.isolated === true],
  ] as const;
  for (const [flag, wanted, is] of flags) {
    if (wanted !== is)
      differences.push(`Port ${port.name} has ${flag} ${is ? "on" : "off"}, configured ${wanted ? "on" : "off"}`);
  }
  if (vlans === undefined) return differences;
  if (bridge.vlanFiltering !== true) differences.push(`Bridge interface ${conf.bridge} does not keep VLANs apart`);
  const extra = conf.preserveDefaultVlan ? [] : portVlans.filter(({ id }) => !vlans.has(id));
  return [
    ...differences,
    ...vlanDifferences(port.name, vlans, portVlans),
    ...extra.map(({ id }) => `Port ${port.name} has VLAN ${id}, which is not configured`),
  ];
}

const quoted = (text: string | undefined): string => (text === undefined ? "none" : `"${text}"`);

function addressDifferences(
  { attachment: { ifName }, addresses }: Expected,
  { container, ...observed }: Observed,
): string[] {
  if (container === undefined) return [];
  const isToSubnet = (address: Prefix, { dst, table, ifIndex }: Route): boolean =>
    table === RT_TABLE_MAIN && ifIndex === container.ifIndex && equalPrefixes(dst, maskPrefix(address));
  return addresses.flatMap((address) => {
    if (!observed.addresses.some((found) => equalPrefixes(found, address)))
      return [`Failed to match addr ${formatPrefix(address)} on interface ${ifName}`];
    // An address that is its whole subnet gets no route from the kernel.
    if (address.length === bitsOf(address.ip.family) || observed.routes.some((route) => isToSubnet(address, route)))
      return [];
    return [`No route to the subnet of ${formatPrefix(address)} on interface ${ifName}`];
  });
}

function routeDifferences({ routes }: Expected, { container, ...observed }: Observed): string[] {
  if (container === undefined) return [];
  return routes
    .filter((route) => !observed.routes.some((found) => isRoute(route, found, container.ifIndex)))
    .map((route) => `Expected Route ${describe(route)} not found in routing table`);
}

/** What the result leaves open is open; a route it gives no gateway may be another plugin's, on another link. */
function isRoute(route: ExpectedRoute, found: Route, ifIndex: number): boolean {
  const { dst, gw, ownGw, table, priority, scope, mtu, advmss } = route;
  const isBy = ({ gw: by, ifIndex: on }: Hop): boolean => {
    const wanted = gw ?? (on === ifIndex ? ownGw : undefined);
    return wanted === undefined || (by !== undefined && equalIps(by, wanted));
  };
  return (
    found.table === (table || RT_TABLE_MAIN) &&
    equalPrefixes(found.dst, maskPrefix(dst)) &&
    (found.hops ?? [found]).some(isBy) &&
    (!priority || found.priority === priority) &&
    (scope === undefined || dst.ip.family === 6 || found.scope === scope) &&
    (!mtu || found.mtu === mtu) &&
    (!advmss || found.advmss === advmss)
  );
}

function describe({ dst, gw, ownGw, ...numbers }: ExpectedRoute): string {
  const by = gw ?? ownGw;
  const more = (["priority", "table", "scope", "mtu", "advmss"] as const).flatMap((name) => {
    const value = numbers[name];
    return value === undefined ? [] : [`${name} ${value}`];
  });
  return [formatPrefix(dst), ...(by === undefined ? [] : [`via ${formatIp(by)}`]), ...more].join(" ");
}

function settingDifferences({ settings }: Observed): string[] {
  return settings
    .filter(({ found, value }) => found !== undefined && found !== value)
    .map(({ link, key, found, value }) => `Interface ${link} has ${key} ${found}, ADD set ${value}`);
}
