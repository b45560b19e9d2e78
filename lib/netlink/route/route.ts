// Routes: RTM_NEWROUTE and its kin with struct rtmsg and the attributes of linux/rtnetlink.h.
import { formatIp, ipFromBytes, type Family, type Ip } from "../../ip/ip.ts";
import { formatPrefix, type Prefix } from "../../ip/prefix.ts";
import { attrSet, WireError, type Infer } from "../wire/attrs.ts";
import { sourceOf } from "../wire/bytes.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, type Request } from "../wire/conversation.ts";
import { blob, ip, nest, u32 } from "../wire/kinds.ts";
import { addressFamily } from "./addr.ts";

const RTM_NEWROUTE = 24;
export const RTM_GETROUTE = 26;
const RT_TABLE_UNSPEC = 0;
export const RT_TABLE_MAIN = 254;
const RTPROT_BOOT = 3;
/** Learned from a router's advertisement. */
export const RTPROT_RA = 9;
const RTN_UNICAST = 1;
const RT_SCOPE_UNIVERSE = 0;
const RTNH_F_ONLINK = 4;
const RTM_F_CLONED = 0x200;
export const rtmsgBytes = 12;

const metricAttrs = attrSet("RTAX", { mtu: [2, u32], advmss: [8, u32] });
const routeAttrs = attrSet("RTA", {
  dst: [1, ip],
  oif: [4, u32],
  gateway: [5, ip],
  priority: [6, u32],
  metrics: [8, nest(metricAttrs)],
  table: [15, u32],
});
const heardRouteAttrs = attrSet("RTA", {
  dst: [1, blob],
  oif: [4, u32],
  gateway: [5, blob],
  priority: [6, u32],
  metrics: [8, nest(metricAttrs)],
  multipath: [9, blob],
  table: [15, u32],
});
const hopAttrs = attrSet("RTA(nexthop)", { gateway: [5, blob] });
/** struct rtnexthop { u16 length; u8 flags; u8 hops; i32 ifindex }, attributes after it. */
const rtnexthopBytes = 8;

export interface NewRoute {
  readonly dst: Prefix;
  readonly gw?: Ip | undefined;
  readonly ifIndex: number;
  readonly priority?: number | undefined;
  /** RT_TABLE_MAIN unless told. */
  readonly table?: number | undefined;
  /** 0 universe, 253 link, 254 host. */
  readonly scope?: number | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  /** The gateway is reachable on this link though no address says so. */
  readonly onlink?: boolean | undefined;
}

/** One way of a route. */
export interface Hop {
  readonly gw: Ip | undefined;
  readonly ifIndex: number | undefined;
}

export interface Route {
  readonly dst: Prefix;
  readonly gw: Ip | undefined;
  readonly ifIndex: number | undefined;
  readonly priority: number;
  readonly table: number;
  /** 0 universe, 253 link, 254 host; IPv6 has but the first. */
  readonly scope: number;
  /** The ways of a route that has several at once, as the kernel joins them for IPv6; then it has no `gw` of its own. */
  readonly hops: readonly Hop[] | undefined;
  /** Who made it: RTPROT_*. */
  readonly protocol: number;
  readonly mtu: number | undefined;
  readonly advmss: number | undefined;
}

interface Rtmsg {
  family: number;
  dstLength?: number;
  table?: number;
  protocol?: number;
  scope?: number;
  type?: number;
  flags?: number;
}

export function rtmsg({
  family,
  dstLength = 0,
  table = 0,
  protocol = 0,
  scope = 0,
  type = 0,
  flags = 0,
}: Rtmsg): readonly number[] {
  // struct rtmsg { u8 family, dst_len, src_len, tos, table, protocol, scope, type; u32 flags }
  return [family | (dstLength << 8), table | (protocol << 8) | (scope << 16) | (type << 24), flags];
}

/** Adds a route; EEXIST when the same is there. A route to the same place by another way is added beside it. */
export function addRoute(route: NewRoute): Request {
  const {
    dst,
    gw,
    ifIndex,
    priority,
    table = RT_TABLE_MAIN,
    scope = RT_SCOPE_UNIVERSE,
    mtu,
    advmss,
    onlink = false,
  } = route;
  const metrics = mtu === undefined && advmss === undefined ? undefined : { mtu, advmss };
  return {
    operation: () => `route add ${formatPrefix(dst)}${gw === undefined ? "" : ` via ${formatIp(gw)}`} dev #${ifIndex}`,
    type: RTM_NEWROUTE,
    flags: NLM_F_ACK | NLM_F_CREATE,
    header: rtmsg({
      family: addressFamily(dst.ip.family),
      dstLength: dst.length,
      table: table < 256 ? table : RT_TABLE_UNSPEC,
      protocol: RTPROT_BOOT,
      scope,
      type: RTN_UNICAST,
      flags: onlink ? RTNH_F_ONLINK : 0,
    }),
    attrs: {
      dst: dst.length === 0 ? undefined : dst.ip,
      oif: ifIndex,
      gateway: gw,
      priority,
      metrics,
      table: table < 256 ? undefined : table,
    } satisfies Infer<typeof routeAttrs>,
    set: routeAttrs,
  };
}

/** Asks for the routes of one family. */
export function listRoutes(family: Family): Request {
  return {
    operation: `route list (IPv${family})`,
    type: RTM_GETROUTE,
    flags: NLM_F_DUMP,
    header: rtmsg({ family: addressFamily(family) }),
    set: routeAttrs,
  };
}

/** Reads RTM_NEWROUTE; undefined for a cached or non-unicast route. */
export function decodeRoute(payload: Uint8Array, family: Family): Route | undefined {
  if (payload.length < rtmsgBytes) throw new WireError(`rtmsg: want ${rtmsgBytes} bytes, got ${payload.length}`);
  const source = sourceOf(payload);
  if (
    payload[0] !== addressFamily(family) ||
    payload[7] !== RTN_UNICAST ||
    ((source.words[2] ?? 0) & RTM_F_CLONED) !== 0
  )
    return undefined;
  const attrs = heardRouteAttrs.read(source, rtmsgBytes, payload.length);
  const length = payload[1] ?? 0;
  const table = payload[4] ?? 0;
  const protocol = payload[5] ?? 0;
  const scope = payload[6] ?? 0;
  const dst = attrs.dst === undefined ? { family, value: 0n } : ipFromBytes(attrs.dst);
  if (dst === undefined) return undefined;
  return {
    dst: { ip: dst, length },
    gw: attrs.gateway === undefined ? undefined : ipFromBytes(attrs.gateway),
    ifIndex: attrs.oif,
    priority: attrs.priority ?? 0,
    table: attrs.table ?? table,
    scope,
    hops: attrs.multipath === undefined ? undefined : decodeHops(attrs.multipath),
    protocol,
    mtu: attrs.metrics?.mtu,
    advmss: attrs.metrics?.advmss,
  };
}

function decodeHops(bytes: Uint8Array): Hop[] {
  const source = sourceOf(bytes);
  const hops: Hop[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = (source.words[at >>> 2] ?? 0) & 0xffff;
    const to = at + length;
    if (length < rtnexthopBytes || to > bytes.length)
      throw new WireError(`rtnexthop at byte ${at} claims ${length} of ${bytes.length - at} bytes`);
    const { gateway } = hopAttrs.read(source, at + rtnexthopBytes, to);
    hops.push({ gw: gateway && ipFromBytes(gateway), ifIndex: source.words[(at >>> 2) + 1] });
    at = (to + 3) & ~3;
  }
  return hops;
}
