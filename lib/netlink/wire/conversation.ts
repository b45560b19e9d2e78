// Requests and replies over one netlink socket: framing, sequence numbers, acks, dumps. struct nlmsghdr of
// linux/netlink.h: u32 length, u16 type, u16 flags, u32 sequence, u32 port. Knows no protocol on top.
import { isErrno, withoutStack, type ErrnoName } from "../../host/errno.ts";
import type { NetlinkSocket } from "../../host/host.ts";
import { attrSet, WireError, type AttrSet, type Table, type Values } from "./attrs.ts";
import { sourceOf, Writer } from "./bytes.ts";
import { NetlinkError } from "./error.ts";
import { cstring, u32 } from "./kinds.ts";

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_EXCL = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;
const NLM_F_CAPPED = 0x100;
const NLM_F_ACK_TLVS = 0x200;

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLMSG_MIN_TYPE = 0x10;
const headerBytes = 16;

/** enum nlmsgerr_attrs: the parts of an extended ack. */
const ackAttrs = attrSet("NLMSGERR_ATTR", { text: [1, cstring], offset: [2, u32] });

/** A dump that changed under the reader is asked for this often. */
const dumpAttempts = 5;
const EAGAIN = 11;

/** A transaction's answers are all there when it has been sent; so long is waited for more after a refusal. */
const refusedWaitMs = 10;

/** One thing to ask of the kernel. */
export interface Request {
  /** For errors, as `ip` would say it: `link add "cni0"`. A function where that takes long to put together. */
  readonly operation: string | (() => string);
  readonly type: number;
  /** Beside NLM_F_REQUEST: NLM_F_ACK for a change, NLM_F_DUMP for a list, none for a single reply. */
  readonly flags: number;
  /** The family header, in words of the host's byte order. */
  readonly header: readonly number[];
  /** The attributes after it, under their names in `set`; or what writes them, where they are made late. */
  readonly attrs?: Values<Table> | ((writer: Writer) => void);
  /** Their table, which gives an attribute in an error its name, too. */
  readonly set?: AttrSet<Table>;
}

export interface Message {
  readonly type: number;
  /** What follows the netlink header. */
  readonly payload: Uint8Array;
}

const none: readonly ErrnoName[] = [];

/** The payload of every ack: errno 0. What the kernel repeats of the request says nothing new. */
const acked = new Uint8Array(4);

interface Frame extends Message {
  readonly flags: number;
  readonly sequence: number;
}

/**
 * The messages in one datagram. Throws a WireError where a length lies. Without `content`, which takes the longest, only
 * those that say something of the exchange itself.
 */
export function parseFrames(datagram: Uint8Array, content = true): Frame[] {
  const { bytes, words } = sourceOf(datagram);
  const end = bytes.length;
  const frames: Frame[] = [];
  for (let at = 0; at < end; ) {
    const word = at >>> 2;
    const length = words[word] ?? 0;
    const typeAndFlags = words[word + 1] ?? 0;
    if (at + headerBytes > end || length < headerBytes || at + length > end)
      throw new WireError(`netlink message at byte ${at} claims ${length} of ${end - at} bytes`);
    const type = typeAndFlags & 0xffff;
    const flags = typeAndFlags >>> 16;
    const isAck = (type === NLMSG_ERROR || type === NLMSG_DONE) && length >= headerBytes + 4 && words[word + 4] === 0;
    if (content || type < NLMSG_MIN_TYPE || (flags & NLM_F_DUMP_INTR) !== 0)
      frames.push({
        type,
        flags,
        sequence: words[word + 2] ?? 0,
        payload: isAck ? acked : bytes.subarray(at + headerBytes, at + length),
      });
    at += (length + 3) & ~3;
  }
  return frames;
}

/** Every request is sent before the next is written, in whatever conversation: one buffer is enough, and there from the start. */
const writer = new Writer();

/** Its members are private to TypeScript alone: where they begin with #, the engine has more to do for each object. */
export class Conversation {
  private readonly socket: NetlinkSocket;
  private sequence = 0;

  constructor(socket: NetlinkSocket) {
    this.socket = socket;
  }

  close(): void {
    this.socket.close();
  }

  /** Joins a multicast group: notifications then come out of `notifications`. */
  join(group: number): void {
    this.socket.join(group);
  }

  /** One datagram of notifications; EAGAIN when the time is up. */
  notifications(timeoutMs: number): Message[] {
    return parseFrames(this.socket.receive(timeoutMs)).filter((frame) => frame.type >= NLMSG_MIN_TYPE);
  }

  /**
   * Sends the requests in one datagram and waits for every answer, so that the socket stays usable whatever comes.
   * The kernel goes on with the next request after one it refused; the first refusal is thrown, unless it is one of the
   * `expected`. Returns one reply for each request, undefined where it was a change or met an expected refusal.
   */
  exchange(requests: readonly Request[], expected: readonly ErrnoName[] = none): (Message | undefined)[] {
    const refusals: NetlinkError[] = [];
    const replies = this.ask(requests, refusals);
    if (refusals.length > 0) {
      const refusal = refusals.find((each) => !isErrno(each, ...expected));
      if (refusal !== undefined) throw refusal;
    }
    return replies;
  }

  /** Sends the requests in one datagram, as `exchange` does; every refusal, in the order of the requests. */
  attempt(requests: readonly Request[]): NetlinkError[] {
    const refusals: NetlinkError[] = [];
    this.ask(requests, refusals);
    return refusals;
  }

  /**
   * The replies; refusals are put into `refusals`. Of changes only the last is acked: the kernel answers in order, and a
   * refusal comes without being asked for.
   */
  private ask(requests: readonly Request[], refusals: NetlinkError[]): (Message | undefined)[] {
    const lastAck = lastAckOf(requests);
    const first = this.sequence + 1;
    const bytes = this.compose(requests, lastAck);
    const replies: (Message | undefined)[] = [];
    let open = lastAck < 0 ? 0 : 1;
    for (let at = 0; at < requests.length; at++) {
      replies.push(undefined);
      if (!isChange(requests[at])) open++;
    }
    this.socket.send(bytes);
    while (open > 0) {
      const frames = parseFrames(this.socket.receive());
      for (let each = 0; each < frames.length; each++) {
        const frame = frames[each] as Frame;
        const at = frame.sequence - first;
        const asked = requests[at];
        if (asked === undefined) continue;
        if (frame.type !== NLMSG_ERROR) replies[at] = frame;
        else if (frame.payload !== acked) {
          const refusal = errorOf(frame, asked, bytes, at);
          if (refusal !== undefined) refusals.push(refusal);
        }
        if (at === lastAck ? frame.type === NLMSG_ERROR : !isChange(asked)) open--;
      }
    }
    return replies;
  }

  /**
   * Sends requests of which the kernel makes all or none. The first frames them: what is wrong with the whole is said of
   * it. Only the last that asks for an ack gets one, since acks of hundreds would not fit in the socket's memory; a
   * request that is refused says so by itself, and the first refusal is thrown.
   */
  transact(requests: readonly Request[]): void {
    const lastAck = lastAckOf(requests);
    if (lastAck < 0) throw new TypeError("a transaction has a frame and an ack");
    const first = this.sequence + 1;
    const bytes = this.compose(requests, lastAck);
    this.socket.send(bytes);
    let refusal: NetlinkError | undefined;
    for (let open = true; open; ) {
      for (const reply of this.rest(refusal)) {
        const at = reply.sequence - first;
        const asked: Request | undefined = requests[at];
        if (asked === undefined || reply.type !== NLMSG_ERROR) continue;
        refusal ??= errorOf(reply, asked, bytes, at);
        open &&= at !== 0 && at !== lastAck;
      }
    }
    if (refusal !== undefined) throw refusal;
  }

  /**
   * The next answers of a transaction. Where hundreds are refused, the kernel drops the answers that no longer fit and
   * says ENOBUFS first: the refusals that did fit are then all there is to hear.
   */
  private rest(refusal: NetlinkError | undefined): Frame[] {
    try {
      return parseFrames(this.socket.receive(refusal === undefined ? undefined : refusedWaitMs));
    } catch (error) {
      if (refusal === undefined && isErrno(error, "ENOBUFS")) return parseFrames(this.socket.receive());
      if (refusal !== undefined && isErrno(error, "EAGAIN")) throw refusal;
      throw error;
    }
  }

  /**
   * Asks for a list. A list that changed while it was read is read again, at most five times, and then stands as it is:
   * what is in it was there, what is not in it may be. A datagram has many messages in it: those of one that does not
   * `matter`, by its bytes, are left out.
   */
  dump(request: Request, matters?: (datagram: Uint8Array) => boolean): Message[] {
    return this.dumpAgain(request, matters).messages;
  }

  /** The same for who decides by what is not in the list: a NetlinkError (EAGAIN) when it never held still. */
  dumpWhole(request: Request): Message[] {
    const { messages, interrupted } = this.dumpAgain(request);
    if (!interrupted) return messages;
    const operation = `${operationOf(request)}, which changed ${dumpAttempts} times while it was read`;
    throw new NetlinkError({ operation, errno: EAGAIN });
  }

  private dumpAgain(
    request: Request,
    matters?: (datagram: Uint8Array) => boolean,
  ): { messages: Message[]; interrupted: boolean } {
    for (let attempt = 1; ; attempt++) {
      const answer = this.dumpOnce(request, matters);
      if (!answer.interrupted || attempt === dumpAttempts) return answer;
    }
  }

  private dumpOnce(
    request: Request,
    matters?: (datagram: Uint8Array) => boolean,
  ): { messages: Message[]; interrupted: boolean } {
    const bytes = this.compose([request], -1);
    this.socket.send(bytes);
    const messages: Message[] = [];
    let interrupted = false;
    for (;;) {
      const datagram = this.socket.receive();
      const frames = parseFrames(datagram, matters?.(datagram));
      for (let each = 0; each < frames.length; each++) {
        const frame = frames[each] as Frame;
        if (frame.sequence !== this.sequence) continue;
        interrupted ||= (frame.flags & NLM_F_DUMP_INTR) !== 0;
        if (frame.type === NLMSG_ERROR || frame.type === NLMSG_DONE) {
          const refusal = errorOf(frame, request, bytes, 0);
          if (refusal !== undefined) throw refusal;
          return { messages, interrupted };
        }
        messages.push(frame);
      }
    }
  }

  /** `acked`: of the changes the only one that asks for an ack. The bytes are valid until the next request, of any. */
  private compose(requests: readonly Request[], acked: number): Uint8Array {
    writer.clear();
    for (let at = 0; at < requests.length; at++) {
      const request = requests[at] as Request;
      const flags = at === acked ? request.flags : request.flags & ~NLM_F_ACK;
      const from = writer.message(request.type | ((NLM_F_REQUEST | flags) << 16), ++this.sequence, request.header);
      const { attrs } = request;
      if (typeof attrs === "function") attrs(writer);
      else if (attrs !== undefined) request.set?.encode(writer, attrs);
      writer.setU32(from, writer.length - from);
    }
    return writer.bytes();
  }
}

/** What was asked, for errors. */
export const operationOf = ({ operation }: Request): string =>
  typeof operation === "string" ? operation : operation();

const isChange = (request: Request | undefined): boolean => ((request?.flags ?? 0) & NLM_F_ACK) !== 0;

/** -1 where none asks for an ack. */
function lastAckOf(requests: readonly Request[]): number {
  let at = requests.length - 1;
  while (at >= 0 && !isChange(requests[at])) at--;
  return at;
}

/** The refusal in an NLMSG_ERROR or NLMSG_DONE; undefined when it is an ack. The request is the one at this place in `sent`. */
function errorOf(frame: Frame, request: Request, sent: Uint8Array, place: number): NetlinkError | undefined {
  const { payload, flags } = frame;
  if (payload === acked) return undefined;
  if (payload.length < 4) throw new WireError(`netlink error of ${payload.length} bytes`);
  const { words } = sourceOf(payload);
  const errno = -((words[0] ?? 0) | 0);
  if (errno <= 0) return undefined;
  const echoedLength = words[1] ?? 0;
  // An error carries the request's header, or the whole request where the kernel did not cap it; then its attributes.
  const echoed =
    frame.type === NLMSG_DONE ? 0 : (flags & NLM_F_CAPPED) !== 0 || payload.length < 8 ? headerBytes : echoedLength;
  const tlvsFrom = 4 + ((Math.min(echoed, payload.length) + 3) & ~3);
  const ack = (flags & NLM_F_ACK_TLVS) !== 0 && tlvsFrom <= payload.length ? ackAttrs.decode(payload, tlvsFrom) : {};
  const attribute = ack.offset === undefined ? undefined : attributeAt(ack.offset, request, sent, place);
  return withoutStack(
    () => new NetlinkError({ operation: operationOf(request), errno, attribute, kernelText: ack.text }),
  );
}

/** The name of the attribute at this offset into one of the requests. */
function attributeAt(offset: number, { header, set }: Request, sent: Uint8Array, place: number): string | undefined {
  const { words } = sourceOf(sent);
  let from = 0;
  for (let before = 0; before < place; before++) from += words[from >>> 2] ?? 0;
  const to = from + (words[from >>> 2] ?? 0);
  return set?.nameAt(sent, from + headerBytes + header.length * 4, to, from + offset);
}
