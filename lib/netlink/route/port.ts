// What a bridge tells one of its ports: hairpin, isolation, VLANs. Messages of family AF_BRIDGE; IFLA_PROTINFO with
// IFLA_BRPORT_* of linux/if_link.h, IFLA_AF_SPEC with IFLA_BRIDGE_* of linux/if_bridge.h.
import { attrSet, WireError, type Infer } from "../wire/attrs.ts";
import { sourceOf } from "../wire/bytes.ts";
import { NLM_F_ACK, NLM_F_DUMP, type Request } from "../wire/conversation.ts";
import { many, nest, u16, u32 } from "../wire/kinds.ts";
import { portAttrs } from "./link.ts";

const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const AF_BRIDGE = 7;
/** One entry for a range: a port in every VLAN would not fit into a datagram otherwise. */
const RTEXT_FILTER_BRVLAN_COMPRESSED = 4;
const BRIDGE_FLAGS_MASTER = 1;
const BRIDGE_VLAN_INFO_PVID = 2;
const BRIDGE_VLAN_INFO_UNTAGGED = 4;
const BRIDGE_VLAN_INFO_RANGE_BEGIN = 8;
const BRIDGE_VLAN_INFO_RANGE_END = 16;
/** linux/if_vlan.h: what is above is not part of the id. */
const VLAN_VID_MASK = 0xfff;
const ifinfomsgBytes = 16;

/** IFLA_BRIDGE_*; a VLAN is struct bridge_vlan_info { u16 flags; u16 vid }, read as one little-endian word. */
const bridgeSpec = attrSet("IFLA_BRIDGE", { flags: [0, u16], vlans: [2, many(u32)] });
const portLinkAttrs = attrSet("IFLA", {
  master: [10, u32],
  protinfo: [12, nest(portAttrs, { flagged: true })],
  spec: [26, nest(bridgeSpec)],
  extMask: [29, u32],
});

/** struct ifinfomsg */
const header = (ifIndex: number): readonly number[] => [AF_BRIDGE, ifIndex, 0, 0];

/** Sets a port's flags. By index: by name the kernel answers ENODEV. */
export function setPort(ifIndex: number, port: { readonly hairpin?: boolean; readonly isolated?: boolean }): Request {
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : Number(value));
  return {
    operation() {
      const flags = Object.entries(port).map(([key, value]) => `${key} ${value ? "on" : "off"}`);
      return `port set #${ifIndex} ${flags.join(" ")}`;
    },
    type: RTM_SETLINK,
    flags: NLM_F_ACK,
    header: header(ifIndex),
    attrs: { protinfo: { hairpin: flag(port.hairpin), isolated: flag(port.isolated) } } satisfies Infer<
      typeof portLinkAttrs
    >,
    set: portLinkAttrs,
  };
}

/** A VLAN on a bridge's port. */
export interface PortVlan {
  /** 1 to 4094 */
  readonly id: number;
  /** Untagged frames that come in belong to it. */
  readonly pvid: boolean;
  /** Frames of it go out untagged. */
  readonly untagged: boolean;
}

/** VLANs `first` to `last` that a port treats alike. */
export interface PortVlans {
  readonly first: number;
  readonly last: number;
  readonly pvid: boolean;
  readonly untagged: boolean;
}

const vlanInfo = (flags: number, id: number): number => flags | (id << 16);

/** A port's VLANs as the kernel lists them: one entry for one, a begin and an end for several. */
function vlanInfos({ first, last, pvid, untagged }: PortVlans): number[] {
  const flags = (pvid ? BRIDGE_VLAN_INFO_PVID : 0) | (untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0);
  if (first === last) return [vlanInfo(flags, first)];
  return [vlanInfo(flags | BRIDGE_VLAN_INFO_RANGE_BEGIN, first), vlanInfo(flags | BRIDGE_VLAN_INFO_RANGE_END, last)];
}

function vlanRequest(verb: "add" | "del", ifIndex: number, vlans: readonly PortVlans[]): Request {
  const named = vlans.map(({ first, last }) => (first === last ? first : `${first}-${last}`)).join(",");
  return {
    operation: `vlan ${verb} ${named} on port #${ifIndex}`,
    type: verb === "add" ? RTM_SETLINK : RTM_DELLINK,
    flags: NLM_F_ACK,
    header: header(ifIndex),
    attrs: { spec: { flags: BRIDGE_FLAGS_MASTER, vlans: vlans.flatMap(vlanInfos) } } satisfies Infer<
      typeof portLinkAttrs
    >,
    set: portLinkAttrs,
  };
}

/** Adds VLANs to a port, in this order: of a VLAN that comes twice, the later flags count. */
export const addVlans = (ifIndex: number, vlans: readonly PortVlans[]): Request => vlanRequest("add", ifIndex, vlans);
export const delVlan = (ifIndex: number, id: number): Request =>
  vlanRequest("del", ifIndex, [{ first: id, last: id, pvid: false, untagged: false }]);

/** Asks for the VLANs of every port; `decodeVlans` picks one. */
export function listVlans(): Request {
  return {
    operation: "vlan list",
    type: RTM_GETLINK,
    flags: NLM_F_DUMP,
    header: header(0),
    attrs: { extMask: RTEXT_FILTER_BRVLAN_COMPRESSED } satisfies Infer<typeof portLinkAttrs>,
    set: portLinkAttrs,
  };
}

/** The VLANs in one answer to `listVlans`, ranges written out; undefined when it is another port's. */
export function decodeVlans(payload: Uint8Array, ifIndex: number): PortVlan[] | undefined {
  if (payload.length < ifinfomsgBytes)
    throw new WireError(`ifinfomsg: want ${ifinfomsgBytes} bytes, got ${payload.length}`);
  const source = sourceOf(payload);
  if (source.words[1] !== ifIndex) return undefined;
  const vlans: PortVlan[] = [];
  let rangeFrom: number | undefined;
  for (const info of portLinkAttrs.read(source, ifinfomsgBytes, payload.length).spec?.vlans ?? []) {
    const flags = info & 0xffff;
    const id = (info >>> 16) & VLAN_VID_MASK;
    if ((flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) !== 0) {
      rangeFrom = id;
      continue;
    }
    for (let each = rangeFrom ?? id; each <= id; each++) {
      vlans.push({
        id: each,
        pvid: (flags & BRIDGE_VLAN_INFO_PVID) !== 0,
        untagged: (flags & BRIDGE_VLAN_INFO_UNTAGGED) !== 0,
      });
    }
    rangeFrom = undefined;
  }
  return vlans;
}
