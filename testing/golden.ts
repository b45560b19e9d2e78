// Golden bytes: what a kernel took or gave, as hex beside the table that has to say the same. And bytes that no kernel
// should give, with the words they are refused in.
import { expect, test } from "vitest";
import type { Host } from "../lib/host/host.ts";
import { WireError, type AttrSet, type Table } from "../lib/netlink/wire/attrs.ts";
import { Conversation, parseFrames, type Request } from "../lib/netlink/wire/conversation.ts";

type Socket = ReturnType<Host["netlink"]>;

/** The bytes of hex digits; spaces and lines are only for the reader. */
export function hex(...lines: string[]): Uint8Array {
  const digits = lines.join("").replaceAll(" ", "");
  if (!/^([\da-f]{2})*$/.test(digits)) throw new Error(`no hex: ${digits}`);
  return new Uint8Array(Buffer.from(digits, "hex"));
}

/** One message as the kernel frames it. */
export function frame(type: number, sequence: number, payload: Uint8Array, flags = 0): Uint8Array {
  const bytes = Buffer.alloc((16 + payload.length + 3) & ~3);
  bytes.writeUInt32LE(16 + payload.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(sequence, 8);
  bytes.set(payload, 16);
  return new Uint8Array(bytes);
}

/** NLMSG_ERROR for a request; errno 0 is an ack. */
export function ack(sequence: number, errno = 0): Uint8Array {
  const payload = Buffer.alloc(20);
  payload.writeInt32LE(-errno);
  return frame(2, sequence, payload, 0x100);
}

export interface FakeSocket extends Socket {
  /** Every datagram sent. */
  readonly sent: Uint8Array[];
}

/** A socket without a kernel: `answer` gives the datagrams for what was sent. One read too many is EAGAIN's place. */
export function fakeSocket(answer: (sent: Uint8Array) => readonly Uint8Array[]): FakeSocket {
  const sent: Uint8Array[] = [];
  const waiting: Uint8Array[] = [];
  return {
    sent,
    send(message) {
      sent.push(message.slice());
      waiting.push(...answer(message));
    },
    receive() {
      const next = waiting.shift();
      if (next === undefined) throw new Error("a read with nothing left to come");
      return next;
    },
    join() {},
    close() {},
  };
}

/** What one exchange sends as the first on its socket. */
export function requestBytes(...requests: Request[]): Uint8Array {
  const socket = fakeSocket(() => [...requests.map((_, at) => ack(at + 1))]);
  new Conversation(socket).exchange(requests);
  const [bytes] = socket.sent;
  if (bytes === undefined) throw new Error("nothing was sent");
  return bytes;
}

/** The same without the netlink header: as the kernel would answer it. */
export const payloadOf = (request: Request): Uint8Array => requestBytes(request).subarray(16);

/** The payloads in a datagram given as hex. */
export const payloadsOf = (lines: readonly string[]): Uint8Array[] =>
  parseFrames(hex(...lines)).map(({ payload }) => payload);

export interface GoldenRequest {
  readonly request: Request;
  /** How the bytes were come by, where it was not by the kernel's ack in a netns of its own. */
  readonly source?: string;
  /** The whole message, as the first on its socket. */
  readonly bytes: readonly string[];
  /** What its attributes mean. */
  readonly attrs: object;
}

/** Both ways: the request gives these bytes, and in them its table reads these attributes. */
export function goldenRequest(name: string, { request, source, bytes, attrs }: GoldenRequest): void {
  test(`${name} (${source ?? "acked by Linux 6.18"})`, () => {
    const sent = Buffer.from(requestBytes(request)).toString("hex");
    expect(sent).toBe(Buffer.from(hex(...bytes)).toString("hex"));
    const [payload = new Uint8Array(0)] = payloadsOf(bytes);
    expect(request.set?.decode(payload, familyHeaderBytes(request))).toEqual(attrs);
  });
}

/** Bytes of the header before the attributes, by message type: nfgenmsg, tcmsg, ifaddrmsg, rtmsg, ifinfomsg. */
export function familyHeaderBytes({ type }: { readonly type: number }): number {
  return type >= 0x100 ? 4 : type >= 36 ? 20 : type >= 24 ? 12 : type >= 20 ? 8 : 16;
}

/** Bytes that a table refuses, and the words. */
export function refused(set: AttrSet<Table>, bytes: string, words: string): void {
  let thrown: unknown;
  try {
    set.decode(hex(bytes));
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(WireError);
  expect((thrown as WireError).message).toBe(words);
}
