// What CHECK expects to find: out of the result of ADD, as later plugins may have changed it, and the configuration.
import type { Attachment, AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result, ResultInterface, ResultRoute } from "../../lib/cni/result.ts";
import type { Ip } from "../../lib/ip/ip.ts";
import type { Prefix } from "../../lib/ip/prefix.ts";
import type { BridgeConf } from "./conf.ts";
import { firstGateway } from "./desired.ts";
import { vlanGatewayName } from "./names.ts";
import { portVlans } from "./pair.ts";
import { containerSettings, type Setting } from "./settings.ts";

/** How a port treats a VLAN: the native one is both pvid and untagged. */
export type VlanUse = "native" | "tagged";

/** A route as the result reports it. */
export interface ExpectedRoute extends ResultRoute {
  /** By way of which it goes where it is on the container's own link: the result may leave that open. */
  readonly ownGw: Ip | undefined;
}

export interface Expected {
  readonly conf: BridgeConf;
  readonly network: string;
  readonly attachment: Attachment;
  readonly netns: string;
  /** As the result describes it; undefined where it does not. */
  readonly bridge: ResultInterface | undefined;
  readonly container: ResultInterface | undefined;
  /** Every link on the node in the result but the bridge: the port is one of them. */
  readonly nodeLinks: readonly ResultInterface[];
  readonly addresses: readonly Prefix[];
  readonly routes: readonly ExpectedRoute[];
  /** Where the gateways' addresses are, and which. */
  readonly gatewayLink: string;
  readonly gateways: readonly Prefix[];
  /** Of the container's links; none where IPAM gave no address. */
  readonly settings: readonly Setting[];
  /** The port's VLANs; undefined where the configuration says nothing of them. */
  readonly vlans: ReadonlyMap<number, VlanUse> | undefined;
}

export function expect(
  prevResult: Result,
  conf: BridgeConf,
  { network, netns, attachment }: Pick<AttachmentRequest<BridgeConf>, "network" | "netns" | "attachment">,
): Expected {
  const { interfaces, ips, routes } = prevResult;
  const { ifName } = attachment;
  const named = interfaces.filter(({ name, sandbox }) => name === ifName && sandbox !== undefined);
  const container = named.find(({ sandbox }) => sandbox === netns) ?? named[0];
  const at = container === undefined ? -1 : interfaces.indexOf(container);
  const own = ips.filter((ip) => ip.interface === undefined || ip.interface === at);
  const onNode = interfaces.filter(({ sandbox }) => sandbox === undefined);
  const v6 = own.some(({ address }) => address.ip.family === 6);
  return {
    conf,
    network,
    attachment,
    netns,
    bridge: onNode.find(({ name }) => name === conf.bridge),
    container,
    nodeLinks: onNode.filter(({ name }) => name !== conf.bridge),
    addresses: own.map(({ address }) => address),
    routes: routes.map((route) => ({ ...route, ownGw: route.gw ?? firstGateway(own, route.dst.ip.family) })),
    gatewayLink: conf.vlan === undefined ? conf.bridge : vlanGatewayName(conf.bridge, conf.vlan),
    gateways: conf.isGateway
      ? own.flatMap(({ address, gateway }) => (gateway === undefined ? [] : [{ ip: gateway, length: address.length }]))
      : [],
    settings: conf.ipam === undefined ? [] : containerSettings(ifName, { ...conf, v6 }),
    vlans: conf.vlan === undefined && conf.trunk.length === 0 ? undefined : vlanUses(conf),
  };
}

function vlanUses(conf: BridgeConf): Map<number, VlanUse> {
  const uses = new Map<number, VlanUse>();
  for (const { first, last, pvid } of portVlans(conf))
    for (let id = first; id <= last; id++) uses.set(id, pvid ? "native" : "tagged");
  return uses;
}
