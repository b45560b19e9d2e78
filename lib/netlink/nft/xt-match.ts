// Matches as x_tables has them, which every release of iptables reads, whichever of them it would write as nft does: struct
// xt_tcp and xt_udp of linux/netfilter/xt_tcpudp.h, xt_sctp_info, xt_dccp_info, xt_multiport_v1, xt_addrtype_info_v1,
// xt_mark_mtinfo1 and xt_conntrack_mtinfo3 of the headers so named. Numbers are in the order of the host; sizes are multiples
// of eight, as xt's are.
import type { Expr } from "./expr.ts";
import { ctStates, type CtState, type Match } from "./match.ts";

/** By the name of a protocol: how large it is, where the ranges of ports are, and what is set beside them. */
const portInfos = {
  // Source ports come first, 0 to 65535.
  tcp: { size: 16, sourceAt: 0, destinationAt: 4, set: [] },
  udp: { size: 16, sourceAt: 0, destinationAt: 4, set: [] },
  // XT_SCTP_DEST_PORTS is behind the chunks, of which iptables marks four places as free; XT_DCCP_DEST_PORTS.
  sctp: {
    size: 296,
    sourceAt: undefined,
    destinationAt: 0,
    set: [
      [284, 2],
      [268, 0xff],
      [271, 0xff],
      [274, 0xff],
      [277, 0xff],
    ],
  },
  dccp: { size: 16, sourceAt: undefined, destinationAt: 0, set: [[8, 2]] },
} as const;
type PortProtocol = keyof typeof portInfos;
const hasPortInfo = (protocol: string): protocol is PortProtocol => Object.hasOwn(portInfos, protocol);

/** XT_MULTI_PORTS: no more fit. */
export const maxMultiports = 15;
const MULTIPORT_DESTINATION = 1;
/** RTN_LOCAL as a bit of XT_ADDRTYPE_*. */
const ADDRTYPE_LOCAL = 1 << 2;

/** Of struct xt_conntrack_mtinfo3; the state alone is ever asked for (XT_CONNTRACK_STATE), as the kernel numbers it. */
const conntrackInfo = { size: 168, flagsAt: 146, statesAt: 150, state: 1 } as const;

const put16 = (info: Uint8Array, at: number, value: number): void => {
  info[at] = value & 0xff;
  info[at + 1] = value >>> 8;
};
const get16 = (info: Uint8Array, at: number): number => (info[at] ?? 0) | ((info[at + 1] ?? 0) << 8);
const put32 = (info: Uint8Array, at: number, value: number): void => {
  put16(info, at, value & 0xffff);
  put16(info, at + 2, value >>> 16);
};
const get32 = (info: Uint8Array, at: number): number => (get16(info, at) | (get16(info, at + 2) << 16)) >>> 0;

const xt = (name: string, rev: number, info: Uint8Array): Expr => ({ name: "match", data: { name, rev, info } });

/** The match as iptables wrote it at all times; undefined for one that it writes as nft does. */
export function xtMatch(match: Match): Expr | undefined {
  if (match.not === true) return undefined;
  switch (match.field) {
    case "dport": {
      const { protocol, port } = match.is;
      if (!hasPortInfo(protocol)) return undefined;
      const { size, sourceAt, destinationAt, set } = portInfos[protocol];
      const info = new Uint8Array(size);
      if (sourceAt !== undefined) put16(info, sourceAt + 2, 0xffff);
      put16(info, destinationAt, port);
      put16(info, destinationAt + 2, port);
      for (const [at, value] of set) info[at] = value;
      return xt(protocol, 0, info);
    }
    case "dports": {
      const { ports } = match.is;
      if (ports.length > maxMultiports) throw new RangeError(`${ports.length} ports: a rule may have ${maxMultiports}`);
      const info = new Uint8Array(48);
      info.set([MULTIPORT_DESTINATION, ports.length]);
      for (const [at, port] of ports.entries()) put16(info, 2 + 2 * at, port);
      return xt("multiport", 1, info);
    }
    case "fibDaddrType": {
      if (match.is !== "local") return undefined;
      const info = new Uint8Array(8);
      put16(info, 2, ADDRTYPE_LOCAL);
      return xt("addrtype", 1, info);
    }
    case "mark": {
      const info = new Uint8Array(16);
      put32(info, 0, match.is.value);
      put32(info, 4, match.is.mask ?? 0xffffffff);
      return xt("mark", 1, info);
    }
    case "ctState": {
      const info = new Uint8Array(conntrackInfo.size);
      put16(info, conntrackInfo.flagsAt, conntrackInfo.state);
      put16(
        info,
        conntrackInfo.statesAt,
        match.is.reduce((all, state) => all | ctStates[state], 0),
      );
      return xt("conntrack", 3, info);
    }
    default:
      return undefined;
  }
}

/** What such a match asks; undefined where it asks for more than we ever do. `before` are the matches before it. */
export function matchOfXt(expr: Expr, before: readonly Match[]): Match | undefined {
  if (expr.name !== "match" || expr.data.info === undefined) return undefined;
  const { name = "", info } = expr.data;
  const found = readMatch(name, info, before);
  const again = found && xtMatch(found);
  // What was not read is not nothing: ranges, source ports, negations.
  if (again?.name !== "match" || again.data.rev !== expr.data.rev) return undefined;
  const same = again.data.info?.length === info.length && again.data.info.every((byte, at) => byte === info[at]);
  return same ? found : undefined;
}

function readMatch(name: string, info: Uint8Array, before: readonly Match[]): Match | undefined {
  if (hasPortInfo(name))
    return { field: "dport", is: { protocol: name, port: get16(info, portInfos[name].destinationAt) } };
  if (name === "multiport") {
    const protocol = before.find((each) => each.field === "l4proto" && each.not !== true);
    if (protocol?.field !== "l4proto") return undefined;
    const ports = Array.from({ length: Math.min(info[1] ?? 0, maxMultiports) }, (_, at) => get16(info, 2 + 2 * at));
    return { field: "dports", is: { protocol: protocol.is, ports } };
  }
  if (name === "conntrack") {
    const states = get16(info, conntrackInfo.statesAt);
    return {
      field: "ctState",
      is: (Object.keys(ctStates) as CtState[]).filter((state) => (states & ctStates[state]) !== 0),
    };
  }
  if (name === "addrtype") return { field: "fibDaddrType", is: "local" };
  if (name !== "mark") return undefined;
  const [value, mask] = [get32(info, 0), get32(info, 4)];
  return { field: "mark", is: mask === 0xffffffff ? { value } : { value, mask } };
}
