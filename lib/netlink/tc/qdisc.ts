// Queueing disciplines of a link: RTM_NEWQDISC, RTM_DELQDISC and RTM_GETQDISC of linux/rtnetlink.h, for the kinds tbf (a
// token bucket, which shapes what leaves a link) and ingress (where filters meet what comes in). linux/pkt_sched.h.
import { attrSet, type Kind } from "../wire/attrs.ts";
import { NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, type Request } from "../wire/conversation.ts";
import { blob, cstring, nest, u64 } from "../wire/kinds.ts";
import {
  decodeTcmsg,
  handleText,
  INGRESS_HANDLE,
  ROOT_HANDLE,
  TC_H_INGRESS,
  TC_H_ROOT,
  tcmsg,
  tcmsgBytes,
} from "./message.ts";

const RTM_NEWQDISC = 36;
const RTM_DELQDISC = 37;
const RTM_GETQDISC = 38;
/** Kernels that tell nobody else send the reply to who asked, older ones only to who asks for the echo. */
const NLM_F_ECHO = 0x8;

/** A token bucket, in the kernel's own units. */
export interface Tbf {
  /** Bytes a second. */
  readonly rate: number;
  /** Bytes that may wait. */
  readonly limit: number;
  /** The burst, as the time its bytes take at `rate`: ticks of /proc/net/psched. */
  readonly buffer: number;
}

const u32Max = 0xffff_ffff;

/**
 * struct tc_tbf_qopt: struct tc_ratespec rate (8 bytes of how it was measured, u32 rate), the same of a peak rate, u32
 * limit, u32 buffer, u32 mtu.
 */
const tbfParms: Kind<Tbf> = {
  size: 36,
  encode(writer, { rate, limit, buffer }) {
    writer.skip(8);
    writer.u32(Math.min(rate, u32Max));
    writer.skip(12);
    writer.u32(limit);
    writer.u32(buffer);
    writer.skip(4);
  },
  decode({ words }, at) {
    const [, , rate = 0, , , , limit = 0, buffer = 0] = words.subarray(at >>> 2);
    return { rate, limit, buffer };
  },
};

/** TCA_TBF_*; rates that 32 bits cannot hold are in an attribute of their own. */
const tbfAttrs = attrSet("TCA_TBF", { parms: [1, tbfParms], rate64: [4, u64] });
/** TCA_*; the options' table depends on the kind. */
const qdiscAttrs = attrSet("TCA", { kind: [1, cstring], options: [2, blob] });
const newTbfAttrs = attrSet("TCA", { kind: [1, cstring], options: [2, nest(tbfAttrs)] });

export interface Qdisc {
  readonly ifIndex: number;
  readonly kind: string;
  /** 0 for one the kernel gave by itself. */
  readonly handle: number;
  readonly parent: number;
  readonly tbf: Tbf | undefined;
}

/** Reads a queueing discipline out of RTM_NEWQDISC. Throws a WireError on bytes that are none. */
export function decodeQdisc(payload: Uint8Array): Qdisc {
  const { source, header } = decodeTcmsg(payload);
  const { kind = "", options } = qdiscAttrs.read(source, tcmsgBytes, payload.length);
  const { ifIndex, handle, parent } = header;
  const { parms, rate64 } = kind === "tbf" && options !== undefined ? tbfAttrs.decode(options) : {};
  const tbf = parms === undefined || rate64 === undefined ? parms : { ...parms, rate: Number(rate64) };
  return { ifIndex, kind, handle, parent, tbf };
}

const newQdisc = (
  operation: string,
  place: { readonly ifIndex: number; readonly handle: number; readonly parent: number },
  attrs: NonNullable<Request["attrs"]>,
): Request => ({
  operation,
  type: RTM_NEWQDISC,
  flags: NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL,
  header: tcmsg({ ...place, info: 0 }),
  attrs,
  set: newTbfAttrs,
});

/** A token bucket as the link's root, "1:"; EEXIST where somebody gave the link a root. */
export function addTbf(ifIndex: number, tbf: Tbf): Request {
  const { rate, limit, buffer } = tbf;
  const rate64 = rate > u32Max ? BigInt(rate) : undefined;
  return newQdisc(
    `qdisc add #${ifIndex} root tbf rate ${rate} limit ${limit} buffer ${buffer}`,
    { ifIndex, handle: ROOT_HANDLE, parent: TC_H_ROOT },
    (writer) => newTbfAttrs.encode(writer, { kind: "tbf", options: { parms: tbf, rate64 } }),
  );
}

/** The place for filters on what a link receives, "ffff:"; EEXIST where there is one. */
export function addIngress(ifIndex: number): Request {
  return newQdisc(
    `qdisc add #${ifIndex} ingress`,
    { ifIndex, handle: INGRESS_HANDLE, parent: TC_H_INGRESS },
    (writer) => newTbfAttrs.encode(writer, { kind: "ingress" }),
  );
}

/** Deletes the link's root (TC_H_ROOT) or its place for filters (TC_H_INGRESS), with all that is in it. */
export function delQdisc(ifIndex: number, parent: number): Request {
  return {
    operation: `qdisc del #${ifIndex} ${handleText(parent)}`,
    type: RTM_DELQDISC,
    flags: NLM_F_ACK,
    header: tcmsg({ ifIndex, handle: 0, parent, info: 0 }),
    set: qdiscAttrs,
  };
}

/**
 * Asks for the link's root (TC_H_ROOT) or its place for filters (TC_H_INGRESS); ENOENT where there is none. Of what the
 * kernel keeps to itself (a link that is down has such a root) it says nothing but the ack.
 */
export function getQdisc(ifIndex: number, parent: number): Request {
  return {
    operation: `qdisc get #${ifIndex} ${handleText(parent)}`,
    type: RTM_GETQDISC,
    flags: NLM_F_ECHO | NLM_F_ACK,
    header: tcmsg({ ifIndex, handle: 0, parent, info: 0 }),
    set: qdiscAttrs,
  };
}
