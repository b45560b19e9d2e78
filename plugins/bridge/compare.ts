// The differences between what CHECK expects and what it found: one sentence for each. Pure.
import { equalIps, formatIp } from "../../lib/ip/ip.ts";
import { equalPrefixes, formatPrefix, maskPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import { bitsOf } from "../../lib/ip/ip.ts";
import { RT_TABLE_MAIN, type Route } from "../../lib/netlink/route/route.ts";
import type { ResultRoute } from "../../lib/cni/result.ts";
import type { Expected } from "./expect.ts";
import { sameMac, type Observed } from "./observe.ts";

export function compare(expected: Expected, observed: Observed): string[] {
  return [
    ...bridgeDifferences(expected, observed),
    ...containerDifferences(expected, observed),
    ...portDifferences(expected, observed),
    ...addressDifferences(expected, observed),
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

function containerDifferences({ conf, container, ifName, netns }: Expected, { container: found }: Observed): string[] {
  if (container?.sandbox !== netns)
    return [`Sandbox in prevResult ${container?.sandbox ?? ""} doesn't match configured netns: ${netns}`];
  if (found === undefined) return [`CNI created interface in container ${ifName} not found`];
  if (found.kind !== "veth") return [`Container interface ${ifName} not of type veth`];
  const differences: string[] = [];
  if (!sameMac(container.mac, found.mac))
    differences.push(`Interface ${ifName} Mac ${container.mac} doesn't match container Mac: ${found.mac}`);
  if (conf.containerUp && !found.up) differences.push(`Interface ${ifName} is down`);
  return differences;
}

function portDifferences(
  { conf, nodeLinks, vlans }: Expected,
  { bridge, container, port, portVlans }: Observed,
): string[] {
  // Without the container's link there is no telling which port is its own, and that link is reported already.
  if (container === undefined || container.kind !== "veth") return [];
  const recorded = port === undefined ? undefined : nodeLinks.find(({ name }) => name === port.name);
  if (port === undefined || recorded === undefined) return [`CNI veth created for bridge ${conf.bridge} was not found`];
  const differences: string[] = [];
  if (!sameMac(recorded.mac, port.mac))
    differences.push(`Interface ${port.name} Mac doesn't match: recorded ${recorded.mac}, found ${port.mac}`);
  if (!port.up) differences.push(`Interface ${port.name} is down`);
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
  const found = new Map(portVlans.map(({ id, pvid, untagged }) => [id, pvid && untagged ? "native" : "tagged"]));
  for (const [id, use] of vlans) {
    if (found.get(id) !== use)
      differences.push(`Port ${port.name} has VLAN ${id} ${found.get(id) ?? "not at all"}, configured ${use}`);
  }
  if (!conf.preserveDefaultVlan) {
    for (const id of found.keys())
      if (!vlans.has(id)) differences.push(`Port ${port.name} has VLAN ${id}, which is not configured`);
  }
  return differences;
}

function addressDifferences({ ifName, addresses, routes }: Expected, observed: Observed): string[] {
  if (observed.container === undefined) return [];
  const differences: string[] = [];
  for (const address of addresses) {
    if (!observed.addresses.some((found) => equalPrefixes(found, address)))
      differences.push(`Failed to match addr ${formatPrefix(address)} on interface ${ifName}`);
    // An address that is its whole subnet gets no route from the kernel.
    else if (
      address.length < bitsOf(address.ip.family) &&
      !observed.routes.some((route) => isTo(maskPrefix(address), route))
    )
      differences.push(`No route to the subnet of ${formatPrefix(address)} on interface ${ifName}`);
  }
  for (const route of routes) {
    if (observed.routes.some((found) => isRoute(route, found))) continue;
    const via = route.gw === undefined ? "" : ` via ${formatIp(route.gw)}`;
    differences.push(`Expected Route ${formatPrefix(route.dst)}${via} not found in routing table`);
  }
  return differences;
}

const isTo = (dst: Prefix, { dst: found, table }: Route, wantedTable = RT_TABLE_MAIN): boolean =>
  table === wantedTable && equalPrefixes(found, dst);

/** A default route may have been given another gateway since. */
function isRoute({ dst, gw, table }: ResultRoute, found: Route): boolean {
  if (!isTo(maskPrefix(dst), found, table || RT_TABLE_MAIN)) return false;
  return gw === undefined || dst.length === 0 || (found.gw !== undefined && equalIps(found.gw, gw));
}

function gatewayDifferences(
  { conf, gateways, gatewayLink }: Expected,
  { bridge, gatewayAddresses, forwarding }: Observed,
): string[] {
  if (bridge === undefined && conf.vlan === undefined) return [];
  const differences: string[] = [];
  for (const gateway of gateways) {
    if (!gatewayAddresses.some((found) => equalPrefixes(found, gateway)))
      differences.push(`Gateway ${formatPrefix(gateway)} is not on ${gatewayLink}`);
    const { family } = gateway.ip;
    const fault = `The node does not forward IPv${family}`;
    if (!forwarding.has(family) && !differences.includes(fault)) differences.push(fault);
  }
  return differences;
}
