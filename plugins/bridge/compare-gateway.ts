// What CHECK says of the gateways: the link that has their addresses, which for a VLAN is one of its own, and forwarding.
import { equalPrefixes, formatPrefix } from "../../lib/ip/prefix.ts";
import type { PortVlan } from "../../lib/netlink/route/port.ts";
import type { Expected, VlanUse } from "./expect.ts";
import { recordIn } from "./gateway-record.ts";
import { sameMac, type Observed } from "./observe.ts";

/** One sentence for each difference; none where there are no gateways. */
export function gatewayDifferences(expected: Expected, observed: Observed): string[] {
  const { gateways } = expected;
  if (gateways.length === 0) return [];
  const families = [...new Set(gateways.map(({ ip }) => ip.family))];
  return [
    ...(expected.conf.vlan === undefined ? [] : pairDifferences(expected, observed)),
    ...addressDifferences(expected, observed),
    ...families
      .filter((family) => !observed.forwarding.has(family))
      .map((family) => `The node does not forward IPv${family}`),
  ];
}

function addressDifferences(
  { network, gateways, gatewayLink: name }: Expected,
  { gatewayLink, gatewayAddresses, portIsOurs }: Observed,
): string[] {
  // A link that is gone is reported already.
  if (gatewayLink === undefined) return [];
  const missing = gateways.filter((gateway) => !gatewayAddresses.some((found) => equalPrefixes(found, gateway)));
  const isNoted = recordIn(gatewayLink.alias, network, gateways, gatewayAddresses) === undefined;
  return [
    ...missing.map((gateway) => `Gateway ${formatPrefix(gateway)} is not on ${name}`),
    ...(isNoted || !portIsOurs || missing.length > 0
      ? []
      : [`The alias of ${name} does not note ${gateways.map(formatPrefix).join(", ")} as gateways of ${network}`]),
  ];
}

/** The pair of a VLAN's gateway, of which one end is a port of the bridge. */
function pairDifferences(
  { conf, nodeLinks, gatewayLink: name }: Expected,
  { bridge, gatewayLink: found, gatewayPort: port, gatewayPortVlans }: Observed,
): string[] {
  const { vlan } = conf;
  if (vlan === undefined) return [];
  if (found === undefined) return [`Interface name ${name} not found`];
  if (port === undefined) return [`Interface ${name} is no veth with both ends on the node`];
  const differences: string[] = [];
  const recorded = nodeLinks.find((link) => link.name === name);
  if (!sameMac(recorded?.mac, found.mac))
    differences.push(`Interface ${name} Mac doesn't match: recorded ${recorded?.mac}, found ${found.mac}`);
  for (const end of [found, port]) if (!end.up) differences.push(`Interface ${end.name} is down`);
  if (found.mtu !== port.mtu) differences.push(`Interface ${name} has MTU ${found.mtu}, its port ${port.mtu}`);
  if (bridge === undefined || port.masterIfIndex !== bridge.ifIndex)
    return [...differences, `Interface ${port.name} is no port of bridge ${conf.bridge}`];
  // One of another making may be in more VLANs.
  return [...differences, ...vlanDifferences(port.name, new Map([[vlan, "native"]]), gatewayPortVlans)];
}

/** Where a port is not in these VLANs as it should be. */
export function vlanDifferences(
  name: string,
  wanted: ReadonlyMap<number, VlanUse>,
  vlans: readonly PortVlan[],
): string[] {
  const found = new Map(vlans.map(({ id, pvid, untagged }) => [id, pvid && untagged ? "native" : "tagged"]));
  return [...wanted]
    .filter(([id, use]) => found.get(id) !== use)
    .map(([id, use]) => `Port ${name} has VLAN ${id} ${found.get(id) ?? "not at all"}, configured ${use}`);
}
