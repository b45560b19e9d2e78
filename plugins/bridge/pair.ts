// The veth pair of an attachment: one end a port of the bridge, the other in the container, made by one request.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Undo } from "../../lib/cni/undo.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import { localMac, type Mac } from "../../lib/ip/mac.ts";
import { addVeth, setLink, type Link } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { addVlans, delVlan, setPort, type PortVlans } from "../../lib/netlink/route/port.ts";
import type { BridgeConf } from "./conf.ts";
import { hostVethNames, portAlias } from "./names.ts";
import { ignoresRouters } from "./settings.ts";
import { writeSetting } from "./sysctl.ts";

/** One of the pair's ends. */
export interface End {
  readonly name: string;
  readonly ifIndex: number;
  readonly mac: Mac;
  readonly mtu: number;
}

export interface Pair {
  /** The bridge's end, on the node. */
  readonly port: End;
  readonly container: End;
  /** A port of the same ids was there already; its container's end is in another netns. */
  readonly besideOwn: boolean;
}

/** The two netns of an attachment, and the sockets in them. */
export interface Places {
  readonly node: RouteSocket;
  readonly pod: RouteSocket;
  readonly netns: Netns;
}

/** How often the same name is tried again when what held it went away meanwhile, or was deleted as a leftover. */
const attempts = 3;

/** Makes the pair, its port attached, set up, and up; the container's end stays down. */
export function makePair(
  host: Host,
  places: Places,
  request: AttachmentRequest<BridgeConf>,
  bridge: Link,
  undo: Undo,
): Pair {
  const { node, pod } = places;
  const { conf, attachment } = request;
  const random = host.random(12);
  // Chosen here, both MACs need no reading back, and udev leaves a MAC alone that was set. The port's begins with fe,
  // higher than any other: a bridge that takes on its lowest port's MAC never takes on this one.
  const macs = { port: localMac(random.fill(0xfe, 0, 1)), container: conf.mac ?? localMac(random.subarray(6)) };
  const { name, besideOwn } = addPair(host, places, request, bridge, macs, undo);

  const link = pod.link.vethEnd(attachment.ifName);
  if (link?.peerIfIndex === undefined)
    throw new CniError("tryAgainLater", `"${attachment.ifName}" went away`, {
      hint: "another call is at work on this attachment",
    });
  const end = { mtu: link.mtu };
  const port = { ...end, name, ifIndex: link.peerIfIndex, mac: macs.port };
  writeSetting(host, ignoresRouters(name));
  setUpPort(host, node, port, conf, portAlias(request.network, attachment));
  const container = { ...end, name: attachment.ifName, ifIndex: link.ifIndex, mac: macs.container };
  return { port, container, besideOwn };
}

/** Adds the two links under the first name that is free. */
function addPair(
  host: Host,
  { node, pod, netns }: Places,
  { network, attachment, conf }: AttachmentRequest<BridgeConf>,
  bridge: Link,
  macs: { readonly port: Mac; readonly container: Mac },
  undo: Undo,
): { name: string; besideOwn: boolean } {
  const { ifName } = attachment;
  const { mtu } = conf;
  // An answer that never came may have been yes. By its MAC the link is known to be this call's and nobody else's.
  let tried = "";
  undo.push("delete the veth pair", () => {
    if (node.link.get(tried)?.mac === macs.port) node.link.del(tried);
  });

  const names = hostVethNames(host, network, attachment);
  let besideOwn = false;
  for (let at = 0, attempt = 1; ; ) {
    const name = names.at(at);
    if (name === undefined) break;
    tried = name;
    const peer = { name: ifName, mac: macs.container, mtu, netnsFd: netns.fd };
    try {
      // No transmit queue on the node's end, as the Go plugin leaves it.
      node.change(addVeth({ name, mac: macs.port, mtu, txQueueLength: 0, masterIfIndex: bridge.ifIndex, peer }));
      return { name, besideOwn };
    } catch (error) {
      if (!isErrno(error, "EEXIST")) throw inContext(error, "failed to make veth pair", host);
    }
    // The kernel does not say which of the two names is taken.
    const inPod = pod.link.get(ifName);
    const onNode = node.link.get(name);
    if (inPod === undefined && onNode !== undefined) {
      besideOwn ||= onNode.alias === portAlias(network, attachment);
      at++;
      continue;
    }
    if (inPod !== undefined && !isLeftover(pod, inPod, onNode, conf)) throw nameTaken(ifName, name);
    if (++attempt > attempts) {
      throw new CniError("tryAgainLater", `failed to make veth pair: "${name}" and "${ifName}" come and go`, {
        hint: "another call is at work on this attachment",
      });
    }
    if (inPod === undefined) continue;
    host.log(`deleting "${ifName}" and "${name}", left behind by an ADD that was ended before it was done`);
    node.link.del(name);
  }
  throw everyNameTaken(names.all());
}

function everyNameTaken(names: readonly string[]): CniError {
  return new CniError("internal", "failed to make veth pair: every name this attachment may use is taken", {
    details: `names ${names.join(", ")}`,
    hint: "delete those of these links that nobody uses",
  });
}

/**
 * Whether what we found is a pair of this attachment that never came to be used: not up, and without an address. Where a
 * container's link is meant to be like that, its port tells: one with an alias was finished.
 */
function isLeftover(
  pod: RouteSocket,
  inPod: Link,
  onNode: Link | undefined,
  { containerUp }: Pick<BridgeConf, "containerUp">,
): boolean {
  return (
    onNode?.kind === "veth" &&
    (containerUp || onNode.alias === undefined) &&
    inPod.peerIfIndex === onNode.ifIndex &&
    onNode.peerIfIndex === inPod.ifIndex &&
    !inPod.up &&
    pod.addr.list(inPod.ifIndex).length === 0
  );
}

function nameTaken(ifName: string, name: string): CniError {
  return new CniError("internal", `container veth name ("${ifName}") peer provided ("${name}") already exists`, {
    hint: "the container has a link of this name: DEL the attachment first, or give another CNI_IFNAME",
  });
}

/**
 * Gives the port its flags and VLANs before it carries the first frame, then brings it up. Its alias comes with that: a
 * port that is up says whose it is, and one that is not up and says nothing was never finished.
 */
function setUpPort(host: Host, node: RouteSocket, { ifIndex, name }: End, conf: BridgeConf, alias: string): void {
  const { hairpin, isolated, vlan, trunk } = conf;
  try {
    if (vlan !== undefined || trunk.length > 0) setVlans(node, ifIndex, conf);
  } catch (error) {
    throw inContext(error, `failed to setup vlan tag on interface "${name}"`, host);
  }
  const flags = hairpin || isolated ? [setPort(ifIndex, { hairpin, isolated })] : [];
  try {
    node.change(...flags, setLink(ifIndex, { up: true, alias }));
  } catch (error) {
    throw inContext(error, `failed to set up bridge port "${name}"`, host);
  }
}

/** What the VLANs of a port come from. */
type VlanConf = Pick<BridgeConf, "vlan" | "trunk" | "preserveDefaultVlan">;

/** A trunk without a native VLAN of its own has this one. */
const defaultNative = 1;

/**
 * The VLANs of a port, in the Go plugin's order, which shows where a trunk repeats the native one: the later word on a
 * VLAN counts.
 */
export function portVlans({ vlan, trunk }: Pick<VlanConf, "vlan" | "trunk">): PortVlans[] {
  const tagged = trunk.map((range) => ({ ...range, pvid: false, untagged: false }));
  const native = { first: vlan ?? defaultNative, last: vlan ?? defaultNative, pvid: true, untagged: true };
  return vlan === undefined ? [...tagged, native] : [native, ...tagged];
}

/** Gives a port its VLANs, in place of those every new port gets. */
export function setVlans(node: RouteSocket, ifIndex: number, conf: VlanConf): void {
  const given = conf.preserveDefaultVlan ? [] : node.vlan.list(ifIndex);
  node.change(...given.map(({ id }) => delVlan(ifIndex, id)), addVlans(ifIndex, portVlans(conf)));
}
