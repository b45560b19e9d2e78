// What every message about traffic control has: struct tcmsg and TCA_* of linux/rtnetlink.h.
import { WireError } from "../wire/attrs.ts";
import { sourceOf, type Source } from "../wire/bytes.ts";

export const tcmsgBytes = 20;

/** linux/pkt_sched.h: handles are a major and a minor number, written "1:" or "ffff:". */
export const TC_H_ROOT = 0xffffffff;
export const TC_H_INGRESS = 0xfffffff1;
/** "1:", the root queue's, and the class in it that "1:1" names. */
export const ROOT_HANDLE = 0x0001_0000;
/** "ffff:", which an ingress queue has. */
export const INGRESS_HANDLE = 0xffff_0000;

export interface TcHeader {
  readonly ifIndex: number;
  /** 0: the kernel's choice. */
  readonly handle: number;
  readonly parent: number;
  /** Of a filter: its priority and protocol. */
  readonly info: number;
}

/** struct tcmsg, whose first word is the family. */
export const tcmsg = ({ ifIndex, handle, parent, info }: TcHeader): readonly number[] => [
  0,
  ifIndex,
  handle,
  parent,
  info,
];

/** Reads the header. Throws a WireError on bytes that are none. */
export function decodeTcmsg(payload: Uint8Array): { source: Source; header: TcHeader } {
  if (payload.length < tcmsgBytes) throw new WireError(`tcmsg: want ${tcmsgBytes} bytes, got ${payload.length}`);
  const source = sourceOf(payload);
  const [, ifIndex = 0, handle = 0, parent = 0, info = 0] = source.words;
  return { source, header: { ifIndex, handle, parent, info } };
}

const part = (half: number): string => (half === 0 ? "" : half.toString(16));

/** A handle as `tc` writes it: "1:", "1:1", "root", "ingress". */
export function handleText(handle: number): string {
  if (handle === TC_H_ROOT) return "root";
  if (handle === TC_H_INGRESS) return "ingress";
  return `${part(handle >>> 16)}:${part(handle & 0xffff)}`;
}
