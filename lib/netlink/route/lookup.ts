// Where a packet to an address would go: RTM_GETROUTE for one address, as `ip route get` asks.
import { bitsOf, formatIp, ipFromBytes, type Ip } from "../../ip/ip.ts";
import { attrSet, WireError, type Infer } from "../wire/attrs.ts";
import { sourceOf } from "../wire/bytes.ts";
import type { Request } from "../wire/conversation.ts";
import { blob, ip, u32 } from "../wire/kinds.ts";
import { addressFamily } from "./addr.ts";
import { RTM_GETROUTE, rtmsg, rtmsgBytes } from "./route.ts";

const RTN_UNICAST = 1;
const RTN_LOCAL = 2;

const lookupAttrs = attrSet("RTA", { dst: [1, ip] });
const foundAttrs = attrSet("RTA", { oif: [4, u32], gateway: [5, blob], via: [18, blob] });

/** The way to an address. */
export interface Way {
  /** local: it is one of this netns itself; other: broadcast, multicast, or a route that refuses. */
  readonly type: "unicast" | "local" | "other";
  readonly ifIndex: number | undefined;
  /** Whoever has the address is a neighbour on that link. */
  readonly direct: boolean;
}

/** Asks for the way to an address; ENETUNREACH and the like where there is none. */
export function lookUpRoute(address: Ip): Request {
  const { family } = address;
  return {
    operation: `route get ${formatIp(address)}`,
    type: RTM_GETROUTE,
    flags: 0,
    header: rtmsg({ family: addressFamily(family), dstLength: bitsOf(family) }),
    attrs: { dst: address } satisfies Infer<typeof lookupAttrs>,
    set: lookupAttrs,
  };
}

/** Reads the answer. Throws a WireError on bytes that are none. */
export function decodeWay(payload: Uint8Array): Way {
  if (payload.length < rtmsgBytes) throw new WireError(`rtmsg: want ${rtmsgBytes} bytes, got ${payload.length}`);
  const type = payload[7];
  const { oif, gateway, via } = foundAttrs.read(sourceOf(payload), rtmsgBytes, payload.length);
  return {
    type: type === RTN_UNICAST ? "unicast" : type === RTN_LOCAL ? "local" : "other",
    ifIndex: oif,
    direct: via === undefined && (gateway === undefined || ipFromBytes(gateway)?.value === 0n),
  };
}
