// Links: what RTM_NEWLINK, RTM_SETLINK, RTM_DELLINK and RTM_GETLINK of linux/rtnetlink.h say, with the attributes of
// linux/if_link.h that we use, for the kinds bridge, veth and ifb.
import type { Mac } from "../../ip/mac.ts";
import { attrSet, WireError, type AttrSet, type Infer, type Table, type Values } from "../wire/attrs.ts";
import { sourceOf } from "../wire/bytes.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, type Request } from "../wire/conversation.ts";
import { cstring, i32, mac, nest, span, u16, u8, u32, type Span } from "../wire/kinds.ts";

const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;

// linux/if.h
export const IFF_UP = 0x1;
export const IFF_PROMISC = 0x100;
const IFF_ALLMULTI = 0x200;

const ifinfomsgBytes = 16;
const RTEXT_FILTER_SKIP_STATS = 8;

/** enum in linux/if_bridge.h, IFLA_BR_*. */
const bridgeAttrs = attrSet("IFLA_BR", { vlanFiltering: [7, u8], vlanDefaultPvid: [39, u16] });

/** IFLA_BRPORT_*: what a port answers about itself, and what it is told. */
export const portAttrs = attrSet("IFLA_BRPORT", { state: [1, u8], hairpin: [4, u8], isolated: [33, u8] });

/** The other end of a veth pair, as it is asked for; struct ifinfomsg stands in front of it. */
const peerAttrs = attrSet("IFLA(peer)", {
  mac: [1, mac],
  name: [3, cstring],
  mtu: [4, u32],
  txQueueLength: [13, u32],
  netnsFd: [28, i32],
});
const vethAttrs = attrSet("VETH_INFO", { peer: [1, nest(peerAttrs, { header: ifinfomsgBytes })] });

/** IFLA_INFO_*; the data's table depends on the kind, so it is read and written by the kind's own. */
const infoAttrs = attrSet("IFLA_INFO", {
  kind: [1, cstring],
  data: [2, span],
  slaveKind: [4, cstring],
  slaveData: [5, span],
});
const bridgeInfo = attrSet("IFLA_INFO", { kind: [1, cstring], data: [2, nest(bridgeAttrs)] });
const vethInfo = attrSet("IFLA_INFO", { kind: [1, cstring], data: [2, nest(vethAttrs)] });

const common = {
  mac: [1, mac],
  name: [3, cstring],
  mtu: [4, u32],
  /** For a veth: the other end's index, in the netns that `peerNetnsId` names. */
  peerIfIndex: [5, u32],
  master: [10, u32],
  txQueueLength: [13, u32],
  operState: [16, u8],
  alias: [20, cstring],
  group: [27, u32],
  extMask: [29, u32],
  promiscuity: [30, u32],
  peerNetnsId: [37, i32],
} as const;
const linkAttrs = attrSet("IFLA", { ...common, info: [18, nest(infoAttrs)] });
/** IPV4_DEVCONF_* of linux/ip.h: what /proc/sys/net/ipv4/conf/<link> shows as files. */
const ipv4Attrs = attrSet("IPV4_DEVCONF", { arpNotify: [22, u32] });
const inetAttrs = attrSet("IFLA_INET", { conf: [1, nest(ipv4Attrs)] });
const familyAttrs = attrSet("IFLA_AF_SPEC", { inet: [2, nest(inetAttrs)] });
const setAttrs = attrSet("IFLA", { ...common, info: [18, nest(bridgeInfo)], families: [26, nest(familyAttrs)] });
const newVethAttrs = attrSet("IFLA", { ...common, info: [18, nest(vethInfo)] });

/** RFC 2863 states as linux/if.h numbers them. */
const operStates = ["unknown", "notpresent", "down", "lower-layer-down", "testing", "dormant", "up"] as const;
export type OperState = (typeof operStates)[number];

/** A link as the kernel describes it. */
export interface Link {
  readonly ifIndex: number;
  readonly name: string;
  /** Lower case; undefined for a link without a hardware address. */
  readonly mac: Mac | undefined;
  readonly mtu: number;
  readonly up: boolean;
  /** IFF_PROMISC: somebody asked for it by flag. A sniffer raises a counter that does not show here. */
  readonly promisc: boolean;
  /** IFF_ALLMULTI: it takes every multicast frame. */
  readonly allMulti: boolean;
  /** In packets. */
  readonly txQueueLength: number;
  readonly operState: OperState;
  /** "bridge", "veth", "ifb"; undefined for hardware and the loopback link. */
  readonly kind: string | undefined;
  readonly masterIfIndex: number | undefined;
  /** What somebody noted about it, for people and for whoever cleans up. */
  readonly alias: string | undefined;
  /** A number that links can be chosen by; 0 unless somebody set one. */
  readonly group: number;
  /** Of a veth: the index of the other end, in its own netns. */
  readonly peerIfIndex: number | undefined;
  /** undefined: the other end is in the same netns. */
  readonly peerNetnsId: number | undefined;
  /** Of a bridge whose kernel can do it (CONFIG_BRIDGE_VLAN_FILTERING); undefined of any other. */
  readonly vlanFiltering: boolean | undefined;
  /** Of a bridge's port. */
  readonly port: { readonly hairpin: boolean; readonly isolated: boolean } | undefined;
}

/** struct ifinfomsg { u8 family; u8 padding; u16 type; i32 index; u32 flags; u32 change } */
const ifinfomsg = (family: number, ifIndex: number, flags: number, change: number): readonly number[] => [
  family,
  ifIndex,
  flags,
  change,
];

function checkIfinfomsg(payload: Uint8Array): void {
  if (payload.length < ifinfomsgBytes)
    throw new WireError(`ifinfomsg: want ${ifinfomsgBytes} bytes, got ${payload.length}`);
}

// Tables of a few attributes, for reading ends with the last of them: a link has eighty.
const stateAttrs = attrSet("IFLA", { operState: [16, u8] });
const faceAttrs = attrSet("IFLA", { mac: [1, mac], name: [3, cstring], mtu: [4, u32] });
const vethEndAttrs = attrSet("IFLA", { mtu: [4, u32], peerIfIndex: [5, u32] });

/** The state of the link of a RTM_NEWLINK. Throws a WireError on bytes that are none. */
export function operStateOf(payload: Uint8Array): OperState {
  checkIfinfomsg(payload);
  const { operState = 0 } = stateAttrs.decode(payload, ifinfomsgBytes);
  return operStates[operState] ?? "unknown";
}

/** What people know the link of a RTM_NEWLINK by. Throws a WireError on bytes that are none. */
export function faceOf(payload: Uint8Array): Pick<Link, "name" | "mac" | "mtu"> {
  checkIfinfomsg(payload);
  const { name = "", mac, mtu = 0 } = faceAttrs.decode(payload, ifinfomsgBytes);
  return { name, mac: mac === "" ? undefined : mac, mtu };
}

/** What there is to ask of a veth that is known to be one. Throws a WireError on bytes that are none. */
export function vethEndOf(payload: Uint8Array): Pick<Link, "ifIndex" | "mtu" | "peerIfIndex"> {
  checkIfinfomsg(payload);
  const source = sourceOf(payload);
  const { mtu = 0, peerIfIndex } = vethEndAttrs.read(source, ifinfomsgBytes, payload.length);
  return { ifIndex: source.words[1] ?? 0, mtu, peerIfIndex };
}

/** Whether the link of a RTM_NEWLINK is up. Throws a WireError on bytes that are none. */
export function isLinkUp(payload: Uint8Array): boolean {
  checkIfinfomsg(payload);
  return ((payload[8] ?? 0) & IFF_UP) !== 0;
}

/**
 * Reads a link out of RTM_NEWLINK or RTM_DELLINK. Throws a WireError on bytes that are none; where they are what a bridge
 * or its port says of itself, to look at that does.
 */
export function decodeLink(payload: Uint8Array): Link {
  checkIfinfomsg(payload);
  const source = sourceOf(payload);
  const { words } = source;
  const flags = words[2] ?? 0;
  const attrs = linkAttrs.read(source, ifinfomsgBytes, payload.length);
  const { kind, data, slaveKind, slaveData } = attrs.info ?? {};
  return {
    ifIndex: words[1] ?? 0,
    name: attrs.name ?? "",
    mac: attrs.mac === "" ? undefined : attrs.mac,
    mtu: attrs.mtu ?? 0,
    up: (flags & IFF_UP) !== 0,
    promisc: (flags & IFF_PROMISC) !== 0,
    allMulti: (flags & IFF_ALLMULTI) !== 0,
    txQueueLength: attrs.txQueueLength ?? 0,
    operState: operStates[attrs.operState ?? 0] ?? "unknown",
    kind,
    masterIfIndex: attrs.master,
    alias: attrs.alias,
    group: attrs.group ?? 0,
    peerIfIndex: kind === "veth" ? attrs.peerIfIndex : undefined,
    peerNetnsId: attrs.peerNetnsId,
    // A bridge says forty things of itself, and as many of each port: they are looked through for who asks.
    get vlanFiltering() {
      const bridge = kind === "bridge" ? within(bridgeAttrs, data) : undefined;
      // A kernel that cannot do it answers 0 all the same, but has no default VLAN.
      return bridge?.vlanDefaultPvid === undefined ? undefined : bridge.vlanFiltering === 1;
    },
    get port() {
      const port = slaveKind === "bridge" ? within(portAttrs, slaveData) : undefined;
      return port && { hairpin: port.hairpin === 1, isolated: port.isolated === 1 };
    },
  };
}

const within = <T extends Table>(set: AttrSet<T>, inside: Span | undefined): Values<T> | undefined =>
  inside === undefined ? undefined : set.read(inside.source, inside.at, inside.end);

const quoted = (which: string | number): string => (typeof which === "number" ? `#${which}` : JSON.stringify(which));

/** Asks for one link by name or index; ENODEV when there is none. */
export function getLink(which: string | number): Request {
  return {
    operation: () => `link get ${quoted(which)}`,
    type: RTM_GETLINK,
    flags: 0,
    header: ifinfomsg(0, typeof which === "number" ? which : 0, 0, 0),
    attrs: {
      name: typeof which === "string" ? which : undefined,
      extMask: RTEXT_FILTER_SKIP_STATS,
    } satisfies Infer<typeof linkAttrs>,
    set: linkAttrs,
  };
}

/** Asks for every link of the netns. */
export function listLinks(dumpFlag: number): Request {
  return {
    operation: "link list",
    type: RTM_GETLINK,
    flags: dumpFlag,
    header: ifinfomsg(0, 0, 0, 0),
    attrs: { extMask: RTEXT_FILTER_SKIP_STATS } satisfies Infer<typeof linkAttrs>,
    set: linkAttrs,
  };
}

export interface NewBridge {
  readonly name: string;
  /** Set here it stays; left out the kernel lets it follow the ports. */
  readonly mac: Mac;
  readonly mtu?: number | undefined;
  readonly vlanFiltering?: boolean | undefined;
}

/** A new bridge; EEXIST when the name is taken. */
export function addBridge({ name, mac, mtu, vlanFiltering }: NewBridge): Request {
  return {
    operation: `link add ${quoted(name)} type bridge`,
    type: RTM_NEWLINK,
    flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    header: ifinfomsg(0, 0, 0, 0),
    attrs: {
      mac,
      name,
      mtu,
      info: { kind: "bridge", data: vlanFiltering === true ? { vlanFiltering: 1 } : undefined },
    } satisfies Infer<typeof setAttrs>,
    set: setAttrs,
  };
}

export interface VethEnd {
  readonly name: string;
  readonly mac?: Mac | undefined;
  readonly mtu?: number | undefined;
  readonly txQueueLength?: number | undefined;
}

export interface NewVeth extends VethEnd {
  /** The bridge this end becomes a port of. */
  readonly masterIfIndex?: number | undefined;
  readonly up?: boolean | undefined;
  /** The other end, made in its own netns at once: moving it there afterwards costs 15 ms. */
  readonly peer: VethEnd & { readonly netnsFd?: number | undefined };
}

/** A new veth pair; EEXIST when either name is taken, without saying which. */
export function addVeth({ name, mac, mtu, txQueueLength, masterIfIndex, up = false, peer }: NewVeth): Request {
  return {
    operation: () => `link add ${quoted(name)} type veth peer ${quoted(peer.name)}`,
    type: RTM_NEWLINK,
    flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    header: ifinfomsg(0, 0, up ? IFF_UP : 0, up ? IFF_UP : 0),
    attrs: {
      mac,
      name,
      mtu,
      master: masterIfIndex,
      txQueueLength,
      info: { kind: "veth", data: { peer } },
    } satisfies Infer<typeof newVethAttrs>,
    set: newVethAttrs,
  };
}

export interface NewIfb extends VethEnd {
  readonly up?: boolean | undefined;
}

/** A new intermediate functional block, whose queue shapes what is redirected to it; EEXIST when the name is taken. */
export function addIfb({ name, mac, mtu, txQueueLength, up = false }: NewIfb): Request {
  return {
    operation: `link add ${quoted(name)} type ifb`,
    type: RTM_NEWLINK,
    flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    header: ifinfomsg(0, 0, up ? IFF_UP : 0, up ? IFF_UP : 0),
    attrs: { mac, name, mtu, txQueueLength, info: { kind: "ifb" } } satisfies Infer<typeof linkAttrs>,
    set: linkAttrs,
  };
}

export interface LinkChange {
  readonly up?: boolean;
  readonly promisc?: boolean;
  readonly allMulti?: boolean;
  readonly mac?: Mac;
  readonly mtu?: number;
  readonly txQueueLength?: number;
  readonly masterIfIndex?: number;
  /** At most 255 bytes. The kernel ignores one in the request that makes a link. */
  readonly alias?: string;
  readonly group?: number;
  /** Of a bridge. */
  readonly vlanFiltering?: boolean;
  /** The sysctl arp_notify: IPv4's neighbours hear of a link that comes up or gets a MAC. As seen after "up" in the same change. */
  readonly arpNotify?: boolean;
}

/** Changes a link, all at once. */
export function setLink(which: string | number, change: LinkChange): Request {
  const { up, promisc, allMulti, mac, mtu, txQueueLength, masterIfIndex, alias, group, vlanFiltering, arpNotify } =
    change;
  const flags = (up ? IFF_UP : 0) | (promisc ? IFF_PROMISC : 0) | (allMulti ? IFF_ALLMULTI : 0);
  const mask =
    (up === undefined ? 0 : IFF_UP) |
    (promisc === undefined ? 0 : IFF_PROMISC) |
    (allMulti === undefined ? 0 : IFF_ALLMULTI);
  const info =
    vlanFiltering === undefined ? undefined : { kind: "bridge", data: { vlanFiltering: vlanFiltering ? 1 : 0 } };
  const families = arpNotify === undefined ? undefined : { inet: { conf: { arpNotify: arpNotify ? 1 : 0 } } };
  return {
    operation() {
      const changes = Object.entries(change).map(([key, value]) => `${key} ${value}`);
      return `link set ${quoted(which)} ${changes.join(" ")}`;
    },
    type: RTM_NEWLINK,
    flags: NLM_F_ACK,
    header: ifinfomsg(0, typeof which === "number" ? which : 0, flags, mask),
    attrs: {
      name: typeof which === "string" ? which : undefined,
      mac,
      mtu,
      txQueueLength,
      master: masterIfIndex,
      alias,
      group,
      info,
      families,
    } satisfies Infer<typeof setAttrs>,
    set: setAttrs,
  };
}

/** Deletes a link; of a veth pair, both ends. ENODEV when there is none. */
export function delLink(which: string | number): Request {
  return {
    operation: `link del ${quoted(which)}`,
    type: RTM_DELLINK,
    flags: NLM_F_ACK,
    header: ifinfomsg(0, typeof which === "number" ? which : 0, 0, 0),
    attrs: { name: typeof which === "string" ? which : undefined } satisfies Infer<typeof linkAttrs>,
    set: linkAttrs,
  };
}

/** Deletes every link of a group at once, for the price of one; ENODEV when there is none. */
export function delGroup(group: number): Request {
  return {
    operation: `link del group ${group}`,
    type: RTM_DELLINK,
    flags: NLM_F_ACK,
    header: ifinfomsg(0, 0, 0, 0),
    attrs: { group } satisfies Infer<typeof linkAttrs>,
    set: linkAttrs,
  };
}
