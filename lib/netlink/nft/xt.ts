// What iptables writes into nf_tables and nft does not: matches and targets of the older x_tables, which the kernel runs
// in expressions of their own (nft_compat). Of them only those that rules of ours have: struct xt_comment_info of
// linux/netfilter/xt_comment.h, struct nf_nat_ipv4_multi_range_compat and struct nf_nat_range of linux/netfilter/nf_nat.h.
import { utf8Bytes } from "../../host/utf8.ts";
import { textIn } from "../wire/bytes.ts";
import type { Expr } from "./expr.ts";
import type { NftFamily } from "./message.ts";

/** XT_MAX_COMMENT_LEN; the last byte is a zero. */
const commentBytes = 256;

/** A comment as iptables' match of that name holds it. */
export function xtComment(comment: string): Expr {
  const text = utf8Bytes(comment);
  if (text.length >= commentBytes)
    throw new RangeError(`comment "${comment}": ${text.length} bytes, may have ${commentBytes - 1}; shorten it`);
  const info = new Uint8Array(commentBytes);
  info.set(text);
  return { name: "match", data: { name: "comment", rev: 0, info } };
}

export function commentOfXt(expr: Expr): string | undefined {
  if (expr.name !== "match" || expr.data.name !== "comment" || expr.data.info === undefined) return undefined;
  const { info } = expr.data;
  const end = info.indexOf(0);
  return textIn(info, 0, end < 0 ? info.length : end);
}

/** One range, or a range without bounds: the kernel chooses address and port. Sizes are multiples of eight, as xt's are. */
const masqueradeInfo = (family: NftFamily): Uint8Array => {
  const info = new Uint8Array(family === "ip6" ? 40 : 24);
  if (family !== "ip6") info[0] = 1;
  return info;
};

export const xtMasquerade = (family: NftFamily): Expr => ({
  name: "target",
  data: { name: "MASQUERADE", rev: 0, info: masqueradeInfo(family) },
});

/** Whether it masquerades and says nothing of ports. */
export function isXtMasquerade(expr: Expr): boolean {
  if (expr.name !== "target" || expr.data.name !== "MASQUERADE" || expr.data.info === undefined) return false;
  const [ranges, ...rest] = expr.data.info;
  return (ranges === 0 || ranges === 1) && rest.every((byte) => byte === 0);
}

/** The comment of a rule, wherever the release of iptables that made it has put it. */
export function commentOf({
  exprs,
  comment,
}: {
  readonly exprs: readonly Expr[];
  readonly comment: string | undefined;
}) {
  for (const expr of exprs) {
    const said = commentOfXt(expr);
    if (said !== undefined) return said;
  }
  return comment;
}
