// Addresses of links: RTM_NEWADDR and its kin with struct ifaddrmsg and the attributes of linux/if_addr.h.
import { formatPrefix, lastOf, type Prefix } from "../../ip/prefix.ts";
import { ipFromBytes, type Family } from "../../ip/ip.ts";
import { attrSet, WireError, type Infer } from "../wire/attrs.ts";
import { sourceOf } from "../wire/bytes.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_DUMP, NLM_F_EXCL, type Request } from "../wire/conversation.ts";
import { i32, ip, span, u32 } from "../wire/kinds.ts";

const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const AF_INET = 2;
const AF_INET6 = 10;
const ifaddrmsgBytes = 8;

const IFA_F_NODAD = 0x02;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;

const addrAttrs = attrSet("IFA", {
  address: [1, ip],
  local: [2, ip],
  broadcast: [4, ip],
  flags: [8, u32],
  targetNetnsId: [10, i32],
});
/** Reading: an address of another family on some odd link is skipped, not refused. */
const heardAddrAttrs = attrSet("IFA", {
  address: [1, span],
  local: [2, span],
  flags: [8, u32],
  targetNetnsId: [10, i32],
});

export const addressFamily = (family: Family): number => (family === 4 ? AF_INET : AF_INET6);

export interface Addr {
  readonly ifIndex: number;
  readonly prefix: Prefix;
  /** 0 is global, 253 link, 254 host. */
  readonly scope: number;
  /** Duplicate address detection still runs: nobody can use it yet. */
  readonly tentative: boolean;
  /** Somebody else has it. */
  readonly dadFailed: boolean;
  /** The netns it is in, as this one numbers it; undefined: the socket's own. */
  readonly netnsId: number | undefined;
}

/** struct ifaddrmsg { u8 family; u8 prefix length; u8 flags; u8 scope; u32 index } */
const ifaddrmsg = (family: number, length: number, ifIndex: number): readonly number[] => [
  family | (length << 8),
  ifIndex,
];

/** Gives a link an address; EEXIST when it has it. IPv4 gets a broadcast address where the prefix leaves room for one. */
export function addAddr(
  ifIndex: number,
  prefix: Prefix,
  { noDad = false }: { readonly noDad?: boolean } = {},
): Request {
  const v4 = prefix.ip.family === 4;
  return {
    operation: () => `addr add ${formatPrefix(prefix)} dev #${ifIndex}`,
    type: RTM_NEWADDR,
    flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
    header: ifaddrmsg(addressFamily(prefix.ip.family), prefix.length, ifIndex),
    attrs: {
      address: prefix.ip,
      local: prefix.ip,
      broadcast: v4 && prefix.length < 31 ? lastOf(prefix) : undefined,
      flags: !v4 && noDad ? IFA_F_NODAD : undefined,
    } satisfies Infer<typeof addrAttrs>,
    set: addrAttrs,
  };
}

/** Takes an address from a link; EADDRNOTAVAIL when it has none such. */
export function delAddr(ifIndex: number, prefix: Prefix): Request {
  return {
    operation: `addr del ${formatPrefix(prefix)} dev #${ifIndex}`,
    type: RTM_DELADDR,
    flags: NLM_F_ACK,
    header: ifaddrmsg(addressFamily(prefix.ip.family), prefix.length, ifIndex),
    attrs: { address: prefix.ip, local: prefix.ip } satisfies Infer<typeof addrAttrs>,
    set: addrAttrs,
  };
}

/**
 * Asks for the addresses of one link, in the kernel's order. `netnsId`: the link is in that netns, as a veth names the
 * one of its other end. A kernel from before 4.20 answers for our own netns; what it answers has no netnsId.
 */
export function listAddrs(ifIndex: number, netnsId?: number): Request {
  return {
    operation: `addr list dev #${ifIndex}`,
    type: RTM_GETADDR,
    flags: NLM_F_DUMP,
    header: ifaddrmsg(0, 0, ifIndex),
    attrs: { targetNetnsId: netnsId } satisfies Infer<typeof addrAttrs>,
    set: addrAttrs,
  };
}

/** Reads RTM_NEWADDR; undefined for an address that is neither IPv4 nor IPv6. */
export function decodeAddr(payload: Uint8Array): Addr | undefined {
  if (payload.length < ifaddrmsgBytes)
    throw new WireError(`ifaddrmsg: want ${ifaddrmsgBytes} bytes, got ${payload.length}`);
  const source = sourceOf(payload);
  const length = payload[1] ?? 0;
  const scope = payload[3] ?? 0;
  const { address, local, flags = 0, targetNetnsId } = heardAddrAttrs.read(source, ifaddrmsgBytes, payload.length);
  const place = local ?? address;
  const value = place && ipFromBytes(source.bytes, place.at, place.end);
  if (value === undefined) return undefined;
  return {
    ifIndex: source.words[1] ?? 0,
    prefix: { ip: value, length },
    scope,
    tentative: (flags & IFA_F_TENTATIVE) !== 0,
    dadFailed: (flags & IFA_F_DADFAILED) !== 0,
    netnsId: targetNetnsId,
  };
}
