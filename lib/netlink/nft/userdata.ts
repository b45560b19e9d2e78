// Comments. The kernel keeps a few bytes with each object and never looks at them; nft writes and shows comments in them,
// as type, length, value (one byte each for the first two), the text ending in a zero.
import { utf8Bytes } from "../../host/utf8.ts";
import { textIn } from "../wire/bytes.ts";

/** NFTNL_UDATA_*_COMMENT: the same number in tables, chains, rules and elements. */
const commentType = 0;

/** More than so many bytes nft refuses to write, though the kernel would keep them. */
export const maxCommentBytes = 128;

/** The user data that holds this comment, and nothing where there is none. */
export function commentData(comment: string | undefined, type = commentType): Uint8Array | undefined {
  if (comment === undefined) return undefined;
  const text = utf8Bytes(comment);
  if (text.length > maxCommentBytes)
    throw new RangeError(`comment "${comment}": ${text.length} bytes, may have ${maxCommentBytes}; shorten it`);
  const data = new Uint8Array(text.length + 3);
  data.set([type, text.length + 1]);
  data.set(text, 2);
  return data;
}

/** A word of ours beside the comment: nft passes over a type that it has no meaning for, and shows the comment alone. */
const markType = 0x77;

interface RuleWords {
  readonly comment: string | undefined;
  readonly mark: string | undefined;
}

/** What was made last: a transaction may have hundreds of rules of one owner. */
let last: RuleWords & { readonly data: Uint8Array | undefined } = {
  comment: undefined,
  mark: undefined,
  data: undefined,
};

/** The user data of a rule: its comment, and our mark behind it. The kernel keeps 256 bytes. */
export function ruleData({ comment, mark }: RuleWords): Uint8Array | undefined {
  if (comment !== last.comment || mark !== last.mark) {
    const [said, marked] = [commentData(comment), commentData(mark, markType)];
    last = {
      comment,
      mark,
      data: said === undefined || marked === undefined ? (said ?? marked) : joined(said, marked),
    };
  }
  return last.data;
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}

export const markIn = (data: Uint8Array | undefined): string | undefined => commentIn(data, markType);

/** The comment in user data. What is there is for its writer to know: bytes that make no sense hold no comment. */
export function commentIn(data: Uint8Array | undefined, type = commentType): string | undefined {
  if (data === undefined) return undefined;
  for (let at = 0; at + 2 <= data.length; ) {
    const end = at + 2 + (data[at + 1] ?? 0);
    if (end > data.length) return undefined;
    if (data[at] === type) {
      const zero = data.indexOf(0, at + 2);
      return textIn(data, at + 2, zero < 0 || zero > end ? end : zero);
    }
    at = end;
  }
  return undefined;
}

export type UserdataTest = (data: Uint8Array | undefined) => boolean;

/** Comments of one owner: the one, or all that begin so; or whatever a test finds in the user data. */
export type CommentPattern = { readonly is: string } | { readonly begins: string } | UserdataTest;

/**
 * A test of user data for such a comment. It reads the bytes as they are: among a thousand rules of others there may be
 * one of ours, and text is dear.
 */
export function commentTest(pattern: CommentPattern): UserdataTest {
  if (typeof pattern === "function") return pattern;
  const exact = "is" in pattern;
  const text = utf8Bytes(exact ? pattern.is : pattern.begins);
  const whole = exact ? Uint8Array.of(...text, 0) : text;
  return (data) => {
    if (data === undefined) return false;
    if (data[0] !== commentType) {
      const comment = commentIn(data);
      return comment !== undefined && (exact ? comment === pattern.is : comment.startsWith(pattern.begins));
    }
    const length = data[1] ?? 0;
    if (exact ? length !== whole.length : length <= whole.length) return false;
    if (data.length < 2 + length) return false;
    for (let at = 0; at < whole.length; at++) if (data[2 + at] !== whole[at]) return false;
    return true;
  };
}
