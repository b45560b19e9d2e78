// Targets as x_tables has them, for rules that iptables reads: struct xt_mark_tginfo2 of linux/netfilter/xt_mark.h, and
// struct nf_nat_range2, nf_nat_range and nf_nat_ipv4_multi_range_compat of linux/netfilter/nf_nat.h. Marks are in the order
// of the host, addresses and ports in that of the network.
import { ipBytes, ipFromBytes, type Family, type Ip } from "../../ip/ip.ts";
import type { Expr } from "./expr.ts";
import type { Mark } from "./match.ts";

/** NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED. */
const mapsAddressAndPort = 3;
/** By revision: where the flags are, the addresses (lowest, highest) and the ports, and how large an address may be. */
const ranges = {
  0: { size: 24, flagsAt: 4, addressAt: [8, 12], portAt: 16 },
  1: { size: 40, flagsAt: 0, addressAt: [4, 20], portAt: 36 },
  2: { size: 48, flagsAt: 0, addressAt: [4, 20], portAt: 36 },
} as const;

const word = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
const wordIn = ([a = 0, b = 0, c = 0, d = 0]: Uint8Array): number => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;

export interface Endpoint {
  readonly ip: Ip;
  readonly port: number;
}

/** MARK: sets some bits of the packet mark. */
export const xtSetMark = ({ value, mask = 0xffffffff }: Mark): Expr => ({
  name: "target",
  data: { name: "MARK", rev: 2, info: Uint8Array.of(...word(value), ...word(mask)) },
});

export function markOfXt(expr: Expr): Mark | undefined {
  if (expr.name !== "target" || expr.data.name !== "MARK" || expr.data.info?.length !== 8) return undefined;
  const { info } = expr.data;
  return { value: wordIn(info), mask: wordIn(info.subarray(4)) };
}

/** DNAT to one address and port. */
export function xtDnat({ ip, port }: Endpoint): Expr {
  const { size, flagsAt, addressAt, portAt } = ranges[2];
  const info = new Uint8Array(size);
  info[flagsAt] = mapsAddressAndPort;
  for (const at of addressAt) info.set(ipBytes(ip), at);
  info.set([port >>> 8, port & 0xff, port >>> 8, port & 0xff], portAt);
  return { name: "target", data: { name: "DNAT", rev: 2, info } };
}

/** Where a DNAT of a family leads, of any revision; undefined where it is to more than one address and port. */
export function endpointOfXt(expr: Expr, family: Family): Endpoint | undefined {
  if (expr.name !== "target" || expr.data.name !== "DNAT" || expr.data.info === undefined) return undefined;
  const { rev, info } = expr.data;
  const range = rev === 0 || rev === 1 || rev === 2 ? ranges[rev] : undefined;
  if (range === undefined || info.length !== range.size || wordIn(info.subarray(range.flagsAt)) !== mapsAddressAndPort)
    return undefined;
  const [lowest, highest] = range.addressAt;
  // The room is for an address of either family, and does not say of which; the first revision has none for IPv6.
  if (rev === 0 && family === 6) return undefined;
  const length = family === 4 ? 4 : 16;
  const [a = 0, b = 0, c = 0, d = 0] = info.subarray(range.portAt);
  for (let at = 0; at < length; at++) if (info[lowest + at] !== info[highest + at]) return undefined;
  const ip = ipFromBytes(info.subarray(lowest, lowest + length));
  return ip === undefined || a !== c || b !== d ? undefined : { ip, port: a * 256 + b };
}
