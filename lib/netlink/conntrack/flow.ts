// Flows that the kernel keeps track of: CTA_* of linux/netfilter/nfnetlink_conntrack.h, as much as tells one from another.
// Where a flow was first sent to is what it goes on being translated by, whatever the rules say by now.
import { endpointText, type Family, type Ip } from "../../ip/ip.ts";
import { nfgenmsg, nfgenmsgBytes } from "../nft/message.ts";
import { attrSet, type Infer } from "../wire/attrs.ts";
import { sourceOf } from "../wire/bytes.ts";
import { NLM_F_ACK, NLM_F_DUMP, type Request } from "../wire/conversation.ts";
import { be16, be32, ip, nest, u32, u8 } from "../wire/kinds.ts";

const NFNL_SUBSYS_CTNETLINK = 1;
const IPCTNL_MSG_CT_GET = 1;
const IPCTNL_MSG_CT_DELETE = 2;
const AF_INET = 2;
const AF_INET6 = 10;

/** CTA_FILTER_F_CTA_PROTO_NUM and _DST_PORT of net/netfilter/nf_internals.h: which parts of the tuple must be equal. */
const protocolMustMatch = 1 << 3;
const dstPortMustMatch = 1 << 5;

const nested = { flagged: true } as const;
const addressAttrs = attrSet("CTA_IP", { v4Src: [1, ip], v4Dst: [2, ip], v6Src: [3, ip], v6Dst: [4, ip] });
const protocolAttrs = attrSet("CTA_PROTO", { number: [1, u8], srcPort: [2, be16], dstPort: [3, be16] });
const tupleAttrs = attrSet("CTA_TUPLE", {
  addresses: [1, nest(addressAttrs, nested)],
  protocol: [2, nest(protocolAttrs, nested)],
  zone: [3, be16],
});
const filterAttrs = attrSet("CTA_FILTER", { original: [1, u32], reply: [2, u32] });
const flowAttrs = attrSet("CTA", {
  original: [1, nest(tupleAttrs, nested)],
  id: [12, be32],
  zone: [18, be16],
  filter: [25, nest(filterAttrs, nested)],
});

/** A flow by where its first packet was sent. */
export interface Flow {
  readonly family: Family;
  /** IPPROTO_*. */
  readonly protocol: number;
  readonly dst: Ip;
  readonly dstPort: number;
  /** All that the kernel needs to find it again. */
  readonly attrs: Infer<typeof flowAttrs>;
}

const addressFamily = (family: Family): number => (family === 4 ? AF_INET : AF_INET6);
const flowText = ({ protocol, dst, dstPort }: Flow): string => `protocol ${protocol} to ${endpointText(dst, dstPort)}`;

/**
 * Asks for the flows of a protocol, and of one port where that is given. A kernel from before 5.8 does not narrow them:
 * look again at what it answers.
 */
export const listFlows = (family: Family, protocol: number, dstPort?: number): Request => ({
  operation: `conntrack list (IPv${family}, protocol ${protocol})`,
  type: (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_GET,
  flags: NLM_F_DUMP,
  header: nfgenmsg(addressFamily(family)),
  attrs: {
    original: { protocol: { number: protocol, dstPort } },
    filter: { original: protocolMustMatch | (dstPort === undefined ? 0 : dstPortMustMatch), reply: 0 },
  } satisfies Infer<typeof flowAttrs>,
  set: flowAttrs,
});

/** Forgets a flow: its next packet meets the rules anew. ENOENT when it is gone. */
export const delFlow = (flow: Flow): Request => ({
  operation: `conntrack delete ${flowText(flow)}`,
  type: (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE,
  flags: NLM_F_ACK,
  header: nfgenmsg(addressFamily(flow.family)),
  attrs: flow.attrs,
  set: flowAttrs,
});

/** Reads IPCTNL_MSG_CT_NEW; undefined for a flow of a protocol that has no ports. */
export function decodeFlow(payload: Uint8Array): Flow | undefined {
  const attrs = flowAttrs.read(sourceOf(payload), nfgenmsgBytes, payload.length);
  const { addresses, protocol } = attrs.original ?? {};
  const dst = addresses?.v4Dst ?? addresses?.v6Dst;
  if (dst === undefined || protocol?.number === undefined || protocol.dstPort === undefined) return undefined;
  const family = addresses?.v4Dst === undefined ? 6 : 4;
  return { family, protocol: protocol.number, dst, dstPort: protocol.dstPort, attrs };
}
