// ADD: what the bridge plugin is for, top to bottom. The node's shared parts (bridge, gateway, forwarding) are only
// looked at where they stand; what belongs to the attachment is taken back when anything fails.
import { inContext } from "../../lib/cni/boundary.ts";
import { delegateAdd, delegateVerb, findPlugin } from "../../lib/cni/delegate.ts";
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import { livesByCache } from "../../lib/cni/result-cache.ts";
import type { Result, ResultInterface } from "../../lib/cni/result.ts";
import { Undo } from "../../lib/cni/undo.ts";
import { familyOf } from "../../lib/cni/version.ts";
import type { Host } from "../../lib/host/host.ts";
import { setLink, type Link } from "../../lib/netlink/route/link.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { raiseMtu } from "./bridge-mtu.ts";
import type { BridgeConf } from "./conf.ts";
import { configureContainer } from "./container.ts";
import { composeResult, planLayer3, type Layer3 } from "./desired.ts";
import { ensureBridge } from "./ensure-bridge.ts";
import { ensureForwarding, ensureGateways } from "./gateway.ts";
import { isGatewayOfOurs } from "./gateway-record.ts";
import { ipamSubnets } from "./ipam-subnets.ts";
import { makePair, type Pair, type Places } from "./pair.ts";
import { ensureRules } from "./rules.ts";
import { ensureVlanGateway } from "./vlan-gateway.ts";

/** How long a port may take to carry traffic; on a healthy node it does at once. */
const portMs = 2_550;

type Add = AttachmentRequest<BridgeConf>;

/** Attaches a container to the bridge, with IPAM's addresses where an IPAM plugin is named. */
export function add(request: Add, host: Host): Result {
  refuseUnreportable(request);
  const netns = openContainer(request.netns, host);
  const undo = new Undo();
  const open: { close(): void }[] = [netns];
  const opened = <T extends { close(): void }>(each: T): T => {
    open.push(each);
    return each;
  };
  try {
    const node = opened(openRoute(host));
    const pod = opened(openRoute(host, netns));
    return attach(request, host, { node, pod, netns }, undo);
  } catch (error) {
    undo.run(host);
    throw error;
  } finally {
    for (const each of open) each.close();
  }
}

/** The first two versions have no place for an attachment without addresses: known before anything is made. */
function refuseUnreportable({ conf, cniVersion }: Add): void {
  if (conf.ipam !== undefined || familyOf(cniVersion) !== "0.2") return;
  throw new CniError("incompatibleVersion", "cannot convert: no valid IP addresses", {
    details: `a result of version ${cniVersion} is made of addresses, and the configuration names no IPAM plugin`,
    hint: 'set "cniVersion" to 0.3.1 or later, or "ipam"',
  });
}

function attach(request: Add, host: Host, places: Places, undo: Undo): Result {
  const { conf, cniVersion } = request;
  const { node } = places;
  // A plugin that is not there is known before anything is made.
  const ipamPlugin = conf.ipam === undefined ? undefined : findPlugin(conf.ipam, request.env.path, host);
  let ipamAsked = false;
  let pair: Pair | undefined;
  // Told first, so done last: nobody else may be given the addresses while our link still has them.
  undo.push("release the addresses", () => {
    if (!ipamAsked || isSecond(host, request, places, pair)) return;
    delegateVerb(request, host, "DEL", conf.ipam ?? "", request.source);
  });

  const bridge = ensureBridge(host, node, conf);
  pair = makePair(host, places, request, bridge, undo);
  raiseMtu(host, node, bridge, conf.mtu);

  let ipam: Result | undefined;
  if (ipamPlugin !== undefined) {
    ipamAsked = true;
    ipam = delegateAdd(request, host, ipamPlugin, request.source);
  }
  const layer3 = ipam === undefined ? undefined : planLayer3(ipam, conf);
  if (conf.ipMasq || conf.macSpoofCheck) setUpRules(host, request, pair, layer3, undo);
  if (layer3 !== undefined) configureContainer(host, places, pair.container, layer3, conf);
  else if (conf.containerUp) bringUp(host, places, pair);

  const vlanGateway = layer3 === undefined ? undefined : setUpGateway(host, places, request, bridge, pair, layer3);
  if (conf.containerUp) {
    waitForPort(places, pair);
    announce(places, pair);
  }

  const withMtu = cniVersion === "1.1.0";
  // A bridge's MTU follows its ports, and the MAC of one that another tool made may; one port is new.
  const follows = withMtu || !isGatewayOfOurs(bridge);
  const described = ({ name, mac, mtu }: Pick<ResultInterface, "name" | "mac" | "mtu">): ResultInterface =>
    withMtu ? { name, mac, mtu } : { name, mac };
  return composeResult(
    {
      bridge: described((follows ? node.link.face(bridge.ifIndex) : undefined) ?? bridge),
      port: described(pair.port),
      container: { ...described(pair.container), sandbox: request.netns },
      vlanGateway: vlanGateway === undefined ? undefined : described(vlanGateway),
    },
    layer3,
    conf.dns ?? ipam?.dns ?? {},
  );
}

/**
 * Whether the ids have an attachment already, in another netns. What is taken back by the ids is that one's, too: then an
 * ADD that fails leaves it. Of ours the port tells; of a Go plugin's only what the runtime keeps.
 */
function isSecond(host: Host, { network, attachment }: Add, { netns }: Places, pair: Pair | undefined): boolean {
  const { containerId, ifName } = attachment;
  return pair?.besideOwn === true || livesByCache(host, `${network}-${containerId}-${ifName}`, netns);
}

function setUpRules(host: Host, request: Add, { port, container }: Pair, layer3: Layer3 | undefined, undo: Undo): void {
  const addresses = layer3?.ips.map(({ address }) => address) ?? [];
  try {
    ensureRules(host, request, { port: port.name, mac: container.mac, addresses }, undo);
  } catch (error) {
    throw inContext(error, "failed to set up ipMasq or macspoofchk", host);
  }
}

function bringUp(host: Host, { pod }: Places, { container }: Pair): void {
  try {
    pod.change(setLink(container.ifIndex, { up: true }));
  } catch (error) {
    throw inContext(error, `failed to set "${container.name}" up`, host);
  }
}

/** The gateways' addresses where they belong, and forwarding. Returns the link that carries a VLAN's, if one does. */
function setUpGateway(
  host: Host,
  { node }: Places,
  { conf, network, source }: Add,
  bridge: Link,
  { port }: Pair,
  { gateways }: Layer3,
): Link | undefined {
  if (gateways.length === 0) return undefined;
  const { vlan, preserveDefaultVlan } = conf;
  const own = vlan === undefined ? undefined : ensureVlanGateway(host, node, bridge, vlan, preserveDefaultVlan);
  const place = {
    link: own ?? bridge,
    network,
    forceAddress: conf.forceAddress,
    subnets: () => ipamSubnets(source.tree),
    bridgeIfIndex: bridge.ifIndex,
    ownPorts: own?.peerIfIndex === undefined ? [port.ifIndex] : [port.ifIndex, own.peerIfIndex],
  };
  try {
    ensureGateways(host, node, place, gateways, conf);
  } catch (error) {
    const what = own === undefined ? "failed to set bridge addr" : "failed to set vlan interface for bridge with addr";
    throw inContext(error, what, host);
  }
  try {
    ensureForwarding(host, node, new Set(gateways.map(({ ip }) => ip.family)));
  } catch (error) {
    throw inContext(error, "failed to enable forwarding", host);
  }
  return own;
}

/** One look where the port carries traffic already, which is nearly always; else the kernel says when it does. */
function waitForPort({ node }: Places, { port }: Pair): void {
  if (node.link.operState(port.ifIndex) === "up") return;
  const { operState = "notpresent" } = node.waitForLink(port.ifIndex, (link) => link.operState === "up", portMs) ?? {};
  if (operState === "up") return;
  throw new CniError("internal", `bridge port in error state: ${operState}`, {
    details: `port "${port.name}", after ${portMs} ms`,
    hint: "see whether the container's link was taken down meanwhile",
  });
}

/**
 * Tells the neighbours who has the addresses now. The kernel speaks by itself when a link comes up (arp_notify,
 * ndisc_notify), but at that moment the bridge does not forward for the port yet, so nobody hears it. It speaks again
 * when a MAC is set, be it the same.
 */
function announce({ pod }: Places, { container: { ifIndex, mac } }: Pair): void {
  pod.change(setLink(ifIndex, { mac }));
}
