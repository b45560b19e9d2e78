// Bytes going out and bytes that came in. Netlink keeps everything at multiples of four in the host's byte order, which
// is little endian on every machine this is built for, so both are also looked at as 32-bit words: for an interpreter
// one word is a quarter of the work of four bytes. Kinds whose order is the network's say so in their name.
import { utf8Bytes, utf8Text } from "../../host/utf8.ts";

/** Received bytes, and the same as words. */
export interface Source {
  readonly bytes: Uint8Array;
  /** Without the last bytes, where they are no whole word. */
  readonly words: Uint32Array;
}

/** Looks at bytes as words; copies them only where their place in memory forbids it. */
export function sourceOf(bytes: Uint8Array): Source {
  const { byteOffset } = bytes;
  if ((byteOffset & 3) !== 0) return sourceOf(bytes.slice());
  return { bytes, words: new Uint32Array(bytes.buffer, byteOffset, bytes.length >> 2) };
}

/** The text between two places; names are ASCII but for whatever somebody else chose to call a link. */
export function textIn(bytes: Uint8Array, at: number, end: number): string {
  const part = bytes.subarray(at, end) as unknown as Uint8Array & number[];
  if (end - at > atOnce || Math.max.apply(null, part) > 0x7f) return utf8Text(part);
  return String.fromCharCode.apply(null, part);
}

/** So many characters are made in one go; no name is as long. */
const atOnce = 4096;

/** As many bytes hold a whole word, wherever they begin. */
const holdsWord = 7;

/**
 * Whether the bytes are somewhere in there. Of a container's id each byte is in every other id, too, but a word of it is in
 * hardly any: so that is what the engine looks for, at each of the four places it can stand.
 */
export function includesBytes(bytes: Uint8Array, wanted: Uint8Array): boolean {
  if (wanted.length < holdsWord) return indexOfBytes(bytes, wanted) >= 0;
  const { words } = sourceOf(bytes);
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0] = wanted;
  return [wordOf(a, b, c, d), wordOf(b, c, d, e), wordOf(c, d, e, f), wordOf(d, e, f, g)].some((word, shift) => {
    for (let at = words.indexOf(word); at >= 0; at = words.indexOf(word, at + 1))
      if (standsAt(bytes, wanted, at * 4 - shift)) return true;
    return false;
  });
}

const wordOf = (a: number, b: number, c: number, d: number): number => (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;

const standsAt = (bytes: Uint8Array, wanted: Uint8Array, at: number): boolean =>
  at >= 0 && wanted.every((byte, each) => bytes[at + each] === byte);

/** Where they begin, at `from` or later; -1: nowhere. The search itself is the engine's own, so thousands of messages cost little. */
export function indexOfBytes(bytes: Uint8Array, wanted: Uint8Array, from = 0): number {
  const [first = 0] = wanted;
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    let same = 1;
    while (same < wanted.length && bytes[at + same] === wanted[same]) same++;
    if (same >= wanted.length) return at;
  }
  return wanted.length === 0 ? 0 : -1;
}

/** One buffer that grows. Its bytes are zero until written, which is what padding has to be. */
export class Writer {
  private buffer = new Uint8Array(1024);
  private words = new Uint32Array(this.buffer.buffer);
  /** The buffer's length, which to ask is a call. */
  private room = this.buffer.length;
  private end = 0;

  get length(): number {
    return this.end;
  }

  /** What has been written; valid until the next write. */
  bytes(): Uint8Array {
    return this.buffer.subarray(0, this.end);
  }

  /** Begins anew, with the same buffer. */
  clear(): void {
    this.buffer.fill(0, 0, this.end);
    this.end = 0;
  }

  // For an interpreter a call is the dearest of all there is here: what comes often makes none but to grow.

  /** Makes room for `count` zero bytes and returns where they begin. */
  skip(count: number): number {
    const at = this.end;
    const end = at + count;
    this.end = end;
    if (end > this.room) this.grow();
    return at;
  }

  /** Makes room for what is counted already. */
  private grow(): void {
    const larger = new Uint8Array((Math.max(this.end, this.room * 2) + 3) & ~3);
    larger.set(this.buffer);
    this.buffer = larger;
    this.words = new Uint32Array(larger.buffer);
    this.room = larger.length;
  }

  u8(value: number): void {
    const at = this.skip(1);
    this.buffer[at] = value;
  }

  u16(value: number): void {
    const at = this.skip(2);
    this.buffer[at] = value;
    this.buffer[at + 1] = value >>> 8;
  }

  /** A word, at a multiple of four. */
  u32(value: number): void {
    this.setU32(this.skip(4), value);
  }

  /** Begins a message (struct nlmsghdr) and what stands in front of its attributes; returns where. */
  message(typeAndFlags: number, sequence: number, header: readonly number[]): number {
    const at = this.skip(16 + header.length * 4);
    const words = this.words;
    const word = at >>> 2;
    words[word + 1] = typeAndFlags;
    words[word + 2] = sequence;
    for (let each = 0; each < header.length; each++) words[word + 4 + each] = header[each] as number;
    return at;
  }

  /** A whole attribute (struct nlattr) that holds one word. */
  wordAttribute(type: number, value: number): void {
    const at = this.end;
    const end = at + 8;
    this.end = end;
    if (end > this.room) this.grow();
    const words = this.words;
    words[at >>> 2] = 8 | (type << 16);
    words[(at >>> 2) + 1] = value;
  }

  /** The same of six bytes: a word, and half of the next. */
  sixByteAttribute(type: number, first: number, second: number): void {
    const at = this.end;
    const end = at + 12;
    this.end = end;
    if (end > this.room) this.grow();
    const words = this.words;
    words[at >>> 2] = 10 | (type << 16);
    words[(at >>> 2) + 1] = first;
    words[(at >>> 2) + 2] = second & 0xffff;
  }

  /** The same of any bytes. */
  bytesAttribute(type: number, bytes: Uint8Array): void {
    const at = this.skip(4);
    this.put(bytes);
    this.endAttribute(at, type);
  }

  /** Ends the attribute that began at byte `at` with room for its header (struct nlattr): writes that, and pads. */
  endAttribute(at: number, type: number): void {
    const length = this.end - at;
    if (length > 0xffff)
      throw new RangeError(`attribute ${type & 0x7fff}: ${length} bytes, may have ${0xffff}; send less at once`);
    this.words[at >>> 2] = length | (type << 16);
    this.align();
  }

  /** Overwrites a word, at a multiple of four. */
  setU32(at: number, value: number): void {
    if ((at & 3) !== 0) throw new RangeError(`a word at byte ${at}`);
    this.words[at >>> 2] = value;
  }

  put(bytes: Uint8Array): void {
    const at = this.skip(bytes.length);
    this.buffer.set(bytes, at);
  }

  /** UTF-8, without a terminating zero. */
  text(text: string): void {
    const { length } = text;
    const at = this.skip(length);
    const bytes = this.buffer;
    for (let each = 0; each < length; each++) {
      const code = text.charCodeAt(each);
      if (code >= 0x80) {
        bytes.fill(0, at, at + each);
        this.end = at;
        this.put(utf8Bytes(text));
        return;
      }
      bytes[at + each] = code;
    }
  }

  /** Zero bytes up to a multiple of four, as the buffer's room is one. */
  align(): void {
    this.end = (this.end + 3) & ~3;
  }
}
