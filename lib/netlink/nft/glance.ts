// A glance at a rule as it came: among a thousand rules one or two matter, and to decode one takes as long as a glance at
// a hundred.
import { utf8Bytes } from "../../host/utf8.ts";
import { indexOfBytes, sourceOf } from "../wire/bytes.ts";

/** A value of two bytes (NFTA_DATA_VALUE), and the comparison it belongs to (NFTA_CMP_DATA), each header as a word. */
const twoBytes = 0x0001_0006;
const compared = 0x0003_000c;
const NLA_F_NESTED_WORD = 0x8000_0000;

const fewPorts = 16;

/** A test of the message of a rule, or of many: whether something is compared with one of these ports. */
export function comparesPort(ports: Iterable<number>): (bytes: Uint8Array) => boolean {
  const asWords = new Set(Array.from(ports, (port) => ((port & 0xff) << 8) | (port >>> 8)));
  /** Whether the word there is what a port is compared with. */
  const isCompared = (words: Uint32Array, at: number) =>
    words[at - 1] === twoBytes && ((words[at - 2] ?? 0) & ~NLA_F_NESTED_WORD) === compared;
  return (bytes) => {
    const { words } = sourceOf(bytes);
    // The kernel fills the word up with zeros, and a port's word is rare: the engine's own search for each passes over most.
    if (asWords.size <= fewPorts)
      return Array.from(asWords).some((word) => {
        for (let at = words.indexOf(word); at >= 0; at = words.indexOf(word, at + 1))
          if (isCompared(words, at)) return true;
        return false;
      });
    for (let at = words.indexOf(twoBytes); at >= 0; at = words.indexOf(twoBytes, at + 1))
      if (asWords.has((words[at + 1] ?? 0) & 0xffff) && isCompared(words, at + 1)) return true;
    return false;
  };
}

const multiport = utf8Bytes("multiport\0");
/** From that name to struct xt_multiport_v1: the name's padding, the revision, and the header of what comes. */
const toInfo = 24;
const mostPorts = 15;

/** The same for iptables' match of several ports. */
export function comparesMultiport(ports: Iterable<number>): (bytes: Uint8Array) => boolean {
  const wanted = new Set(ports);
  return (bytes) => {
    for (let at = indexOfBytes(bytes, multiport); at >= 0; at = indexOfBytes(bytes, multiport, at + 1)) {
      const info = at + toInfo;
      const end = info + 2 + 2 * Math.min(bytes[info + 1] ?? 0, mostPorts);
      for (let each = info + 2; each < end; each += 2)
        if (wanted.has((bytes[each] ?? 0) | ((bytes[each + 1] ?? 0) << 8))) return true;
    }
    return false;
  };
}
