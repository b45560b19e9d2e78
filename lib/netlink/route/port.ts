// What a bridge tells one of its ports: hairpin, isolation, VLANs. Messages of family AF_BRIDGE; IFLA_PROTINFO with
// IFLA_BRPORT_* of linux/if_link.h, IFLA_AF_SPEC with IFLA_BRIDGE_* of linux/if_bridge.h.
import { attrSet, blob, nest, u16, u32, WireError } from "../wire/attrs.ts";
import { NLM_F_ACK, NLM_F_DUMP, type Request } from "../wire/conversation.ts";
import type { Writer } from "../wire/writer.ts";
import { portAttrs } from "./link.ts";

const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;
const AF_BRIDGE = 7;
const RTEXT_FILTER_BRVLAN = 2;
const BRIDGE_FLAGS_MASTER = 1;
const BRIDGE_VLAN_INFO_PVID = 2;
const BRIDGE_VLAN_INFO_UNTAGGED = 4;
const BRIDGE_VLAN_INFO_RANGE_BEGIN = 8;
const BRIDGE_VLAN_INFO_RANGE_END = 16;
const ifinfomsgBytes = 16;

/** IFLA_BRIDGE_*: struct bridge_vlan_info { u16 flags; u16 vid } is kept as bytes. */
const bridgeSpec = attrSet("IFLA_BRIDGE", { flags: [0, u16], vlan: [2, blob] });
const portLinkAttrs = attrSet("IFLA", {
  master: [10, u32],
  protinfo: [12, nest(portAttrs, { flagged: true })],
  spec: [26, nest(bridgeSpec)],
  extMask: [29, u32],
});
const rawSpecAttrs = attrSet("IFLA", { spec: [26, blob] });

function header(ifIndex: number): (writer: Writer) => void {
  return (writer) => {
    writer.u8(AF_BRIDGE);
    writer.skip(3);
    writer.u32(ifIndex);
    writer.skip(8);
  };
}

/** Sets a port's flags. By index: by name the kernel answers ENODEV. */
export function setPort(ifIndex: number, port: { readonly hairpin?: boolean; readonly isolated?: boolean }): Request {
  const flag = (value: boolean | undefined) => (value === undefined ? undefined : Number(value));
  return {
    operation: `port set #${ifIndex} ${Object.entries(port)
      .map(([key, value]) => `${key} ${value ? "on" : "off"}`)
      .join(" ")}`,
    type: RTM_SETLINK,
    flags: NLM_F_ACK,
    header: header(ifIndex),
    attrs: (writer) =>
      portLinkAttrs.encode(writer, { protinfo: { hairpin: flag(port.hairpin), isolated: flag(port.isolated) } }),
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

function vlanInfo({ id, pvid, untagged }: PortVlan): Uint8Array {
  const flags = (pvid ? BRIDGE_VLAN_INFO_PVID : 0) | (untagged ? BRIDGE_VLAN_INFO_UNTAGGED : 0);
  return Uint8Array.of(flags, 0, id & 255, id >> 8);
}

function vlanRequest(verb: "add" | "del", ifIndex: number, vlan: PortVlan): Request {
  return {
    operation: `vlan ${verb} ${vlan.id} on port #${ifIndex}`,
    type: verb === "add" ? RTM_SETLINK : RTM_DELLINK,
    flags: NLM_F_ACK,
    header: header(ifIndex),
    attrs: (writer) => portLinkAttrs.encode(writer, { spec: { flags: BRIDGE_FLAGS_MASTER, vlan: vlanInfo(vlan) } }),
    set: portLinkAttrs,
  };
}

export const addVlan = (ifIndex: number, vlan: PortVlan): Request => vlanRequest("add", ifIndex, vlan);
export const delVlan = (ifIndex: number, id: number): Request =>
  vlanRequest("del", ifIndex, { id, pvid: false, untagged: false });

/** Asks for the VLANs of every port; `decodeVlans` picks one. */
export function listVlans(): Request {
  return {
    operation: "vlan list",
    type: RTM_GETLINK,
    flags: NLM_F_DUMP,
    header: header(0),
    attrs: (writer) => portLinkAttrs.encode(writer, { extMask: RTEXT_FILTER_BRVLAN }),
    set: portLinkAttrs,
  };
}

/** The VLANs in one answer to `listVlans`, ranges written out; undefined when it is another port's. */
export function decodeVlans(payload: Uint8Array, ifIndex: number): PortVlan[] | undefined {
  if (payload.length < ifinfomsgBytes)
    throw new WireError(`ifinfomsg: want ${ifinfomsgBytes} bytes, got ${payload.length}`);
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (view.getInt32(4, true) !== ifIndex) return undefined;
  const { spec } = rawSpecAttrs.decode(payload, ifinfomsgBytes);
  if (spec === undefined) return [];
  const vlans: PortVlan[] = [];
  let rangeFrom = 0;
  // One attribute may stand many times here, which a table does not hold: read the repeats as unknown to an empty one.
  const repeats: { type: number; bytes: Uint8Array }[] = [];
  attrSet("IFLA_BRIDGE", {}).decode(spec, 0, spec.length, repeats);
  for (const { type, bytes } of repeats) {
    if (type !== 2 || bytes.length !== 4) continue;
    const [flags = 0, , low = 0, high = 0] = bytes;
    const id = low | (high << 8);
    if ((flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) !== 0) {
      rangeFrom = id;
      continue;
    }
    const first = (flags & BRIDGE_VLAN_INFO_RANGE_END) !== 0 ? rangeFrom : id;
    for (let each = first; each <= id; each++) {
      vlans.push({
        id: each,
        pvid: (flags & BRIDGE_VLAN_INFO_PVID) !== 0,
        untagged: (flags & BRIDGE_VLAN_INFO_UNTAGGED) !== 0,
      });
    }
  }
  return vlans;
}
