// Rules as data: `{ match, verdict, comment }` and the kernel's expressions, both ways. What is there and what should be are
// compared here, as text that reads like nft's, since the kernel fills in things that nobody asked for.
//
// It knows what our own rules are made of. A rule of which it does not understand everything is nobody's equal.
import { endpointText, ipBytes, ipFromBytes, type Family, type Ip } from "../../ip/ip.ts";
import { verdictCodes, type Expr } from "./expr.ts";
import {
  assumptionOf,
  hex,
  matchOf,
  matchText,
  portBytes,
  setLoad,
  setMatchOf,
  testOf,
  type Load,
  type Mark,
  type Match,
} from "./match.ts";
import type { NftFamily } from "./message.ts";
import { commentOfXt, isXtMasquerade, xtComment, xtMasquerade } from "./xt.ts";
import { matchOfXt, xtMatch } from "./xt-match.ts";
import { endpointOfXt, markOfXt, xtDnat, xtSetMark } from "./xt-target.ts";

export type Verdict =
  | "accept"
  | "drop"
  | "return"
  | "masquerade"
  | { readonly jump: string }
  | { readonly goto: string }
  | { readonly dnat: { readonly ip: Ip; readonly port: number } }
  /** The packet goes on with these bits of its mark set so. */
  | { readonly setMark: Mark };

export interface Rule {
  readonly match: readonly Match[];
  readonly verdict: Verdict;
  readonly comment?: string | undefined;
  /** Says whose it is where the comment does not; nobody but us sees it, so two rules are one whatever it says. */
  readonly mark?: string | undefined;
  /** Written as iptables writes it, and read by it: the comment is a match of its own, and packets are counted. */
  readonly iptables?: boolean;
  /** What else it asks, in iptables' own words: iptables alone can write such a rule. */
  readonly words?: readonly string[];
}

/** What a rule does, whoever's it is. */
export type Phrase = Omit<Rule, "comment" | "mark">;

// enum nft_cmp_ops, enum nft_lookup_flags, enum nft_nat_types, AF_*
const NFT_CMP_EQ = 0;
const NFT_CMP_NEQ = 1;
const NFT_LOOKUP_F_INV = 1;
const NFT_NAT_DNAT = 1;
const addressFamilies = { 4: 2, 6: 10 } as const;
/** NF_NAT_RANGE_MAP_IPS, NF_NAT_RANGE_PROTO_SPECIFIED: they follow from the registers that are given. */
const impliedNatFlags = 3;

/** The expressions of a rule in a table of this family. */
export function exprsOf(family: NftFamily, { match, verdict, comment, iptables, words = [] }: Rule): Expr[] {
  if (words.length > 0) throw new TypeError(`${words.join(" ")}: iptables' words are for iptables to read`);
  const matches = withAssumptions(family, match);
  if (iptables !== true) return [...matches.flatMap((each) => matchExprs(each)), ...verdictExprs(verdict)];
  // What iptables has in options of its own comes first, then its comment, then what takes a module.
  const modules = matches.map(xtMatch);
  return [
    ...matches.flatMap((each, at) => (modules[at] === undefined ? matchExprs(each, iptables) : [])),
    ...(comment === undefined ? [] : [xtComment(comment)]),
    ...modules.filter((each) => each !== undefined),
    counter,
    ...iptablesVerdict(family, verdict),
  ];
}

const counter: Expr = { name: "counter", data: { bytes: 0n, packets: 0n } };

function iptablesVerdict(family: NftFamily, verdict: Verdict): Expr[] {
  if (verdict === "masquerade") return [xtMasquerade(family)];
  if (typeof verdict === "string") return verdictExprs(verdict);
  if ("dnat" in verdict) return [xtDnat(verdict.dnat)];
  return "setMark" in verdict ? [xtSetMark(verdict.setMark)] : verdictExprs(verdict);
}

/** In `ip` and `ip6` every packet is of that family; elsewhere that has to be asked first, as a port's protocol has. */
function withAssumptions(family: NftFamily, match: readonly Match[]): Match[] {
  const all: Match[] = [];
  for (const each of match) {
    const assumed = assumptionOf(each);
    if (assumed?.field === "nfproto" && family !== "inet") {
      if (family !== (assumed.is === "ipv4" ? "ip" : "ip6"))
        throw new TypeError(`${matchText(each)} in a table of family ${family}: its packets have no such address`);
    } else if (assumed !== undefined && !all.some((earlier) => isSaid(assumed, earlier))) {
      all.push(assumed);
    }
    all.push(each);
  }
  return all;
}

/** Whether a match says what another assumes. */
const isSaid = (assumed: Match, { field, is, not }: Match): boolean =>
  field === assumed.field && is === assumed.is && not !== true;

function matchExprs(match: Match, iptables = false): Expr[] {
  if (match.field === "saddrIn" || match.field === "daddrIn") {
    const flags = match.not === true ? NFT_LOOKUP_F_INV : 0;
    return [loadExpr(setLoad(match.field, match.is)), { name: "lookup", data: { set: match.is.set, sreg: 1, flags } }];
  }
  const { load, mask, bytes: whole, equal } = testOf(match);
  const isName = match.field === "iifname" || match.field === "oifname";
  const bytes = iptables && isName ? whole.subarray(0, whole.indexOf(0) + 1) : whole;
  const masked: Expr[] =
    mask === undefined
      ? []
      : [
          {
            name: "bitwise",
            data: {
              sreg: 1,
              dreg: 1,
              len: mask.length,
              mask: { value: mask },
              xor: { value: new Uint8Array(mask.length) },
            },
          },
        ];
  const op = equal ? NFT_CMP_EQ : NFT_CMP_NEQ;
  return [loadExpr(load), ...masked, { name: "cmp", data: { sreg: 1, op, data: { value: bytes } } }];
}

/** One object for each place that bytes are loaded from: what many rules share is written once. */
const loaders = new WeakMap<Load, Expr>();

function loadExpr(load: Load): Expr {
  const made = loaders.get(load) ?? newLoad(load);
  loaders.set(load, made);
  return made;
}

function newLoad(load: Load): Expr {
  const [name, first, second, third] = load;
  if (name === "payload") return { name, data: { dreg: 1, base: first, offset: second, len: third } };
  if (name === "fib") return { name, data: { dreg: 1, result: first, flags: second } };
  return { name, data: { dreg: 1, key: first } };
}

const dnatTo = (family: Family): Expr => ({
  name: "nat",
  data: { type: NFT_NAT_DNAT, family: addressFamilies[family], addrMin: 1, protoMin: 2 },
});
const dnats = { 4: dnatTo(4), 6: dnatTo(6) };

function verdictExprs(verdict: Verdict): Expr[] {
  if (verdict === "masquerade") return [{ name: "masq", data: {} }];
  if (typeof verdict === "string")
    return [{ name: "immediate", data: { dreg: 0, data: { verdict: { code: verdictCodes[verdict] } } } }];
  if ("setMark" in verdict) throw new TypeError("a mark is set by rules of iptables only");
  if ("dnat" in verdict) {
    const { ip, port } = verdict.dnat;
    return [
      { name: "immediate", data: { dreg: 1, data: { value: ipBytes(ip) } } },
      { name: "immediate", data: { dreg: 2, data: { value: portBytes(port) } } },
      dnats[ip.family],
    ];
  }
  const found =
    "jump" in verdict
      ? { code: verdictCodes.jump, chain: verdict.jump }
      : { code: verdictCodes.goto, chain: verdict.goto };
  return [{ name: "immediate", data: { dreg: 0, data: { verdict: found } } }];
}

/** What a register holds: bytes of the packet, masked or not, or a value of the rule's own. */
type Register = { readonly load: Load; readonly mask?: Uint8Array | undefined } | { readonly value: Uint8Array };

/** Expressions, and the family of the table they are in: some of iptables' are words that two families read differently. */
export interface Expressed {
  readonly family: NftFamily;
  readonly exprs: readonly Expr[];
}

/**
 * What expressions mean; undefined where some of it is nothing that our rules say. The comment is among them only where
 * iptables wrote it.
 */
export function phraseOf({ family, exprs }: Expressed): Rule | undefined {
  const registers = new Map<number, Register>();
  const match: Match[] = [];
  let verdict: Verdict | undefined;
  let comment: string | undefined;
  let iptables = false;
  for (const expr of exprs) {
    if (verdict !== undefined) return undefined;
    const said = commentOfXt(expr);
    if (said !== undefined) comment = said;
    if (said !== undefined || expr.name === "counter") {
      iptables = true;
      continue;
    }
    const xt = matchOfXt(expr, match);
    const loaded = loadOf(expr);
    if (xt !== undefined) {
      match.push(xt);
    } else if (loaded !== undefined) {
      registers.set(loaded.register, loaded);
    } else if (expr.name === "bitwise") {
      const { sreg = 0, dreg = 0, mask, xor, op = 0 } = expr.data;
      const from = registers.get(sreg);
      if (from === undefined || !("load" in from) || from.mask !== undefined || op !== 0) return undefined;
      if (mask?.value === undefined || xor?.value?.every((byte) => byte === 0) !== true) return undefined;
      registers.set(dreg, { load: from.load, mask: mask.value });
    } else if (expr.name === "cmp") {
      const from = registers.get(expr.data.sreg ?? 0);
      const { op, data } = expr.data;
      if (from === undefined || !("load" in from) || data?.value === undefined) return undefined;
      if (op !== NFT_CMP_EQ && op !== NFT_CMP_NEQ) return undefined;
      const found = matchOf({ ...from, bytes: data.value, equal: op === NFT_CMP_EQ }, match);
      if (found === undefined) return undefined;
      match.push(found);
    } else if (expr.name === "lookup") {
      const { sreg = 0, set = "", flags = 0, dreg } = expr.data;
      const from = registers.get(sreg);
      if (from === undefined || !("load" in from) || from.mask !== undefined || dreg !== undefined) return undefined;
      const found = setMatchOf(from.load, set, flags === NFT_LOOKUP_F_INV);
      if (found === undefined) return undefined;
      match.push(found);
    } else if (expr.name === "immediate" && expr.data.dreg !== 0 && expr.data.data?.value !== undefined) {
      registers.set(expr.data.dreg ?? 0, { value: expr.data.data.value });
    } else {
      verdict = verdictOf(expr, family, registers);
      if (verdict === undefined) return undefined;
    }
  }
  if (verdict === undefined) return undefined;
  return iptables ? { match, verdict, comment, iptables } : { match, verdict };
}

function loadOf(expr: Expr): { readonly register: number; readonly load: Load } | undefined {
  const load = ((): Load | undefined => {
    switch (expr.name) {
      case "meta":
        return ["meta", expr.data.key ?? -1];
      case "ct":
        return expr.data.direction === undefined ? ["ct", expr.data.key ?? -1] : undefined;
      case "fib":
        return ["fib", expr.data.result ?? -1, expr.data.flags ?? -1];
      case "payload":
        return ["payload", expr.data.base ?? -1, expr.data.offset ?? -1, expr.data.len ?? -1];
      default:
        return undefined;
    }
  })();
  const register = "data" in expr && "dreg" in expr.data ? expr.data.dreg : undefined;
  return load === undefined || register === undefined ? undefined : { register, load };
}

function verdictOf(expr: Expr, family: NftFamily, registers: ReadonlyMap<number, Register>): Verdict | undefined {
  if (isXtMasquerade(expr)) return "masquerade";
  const [dnat, setMark] = [endpointOfXt(expr, family === "ip6" ? 6 : 4), markOfXt(expr)];
  if (dnat !== undefined) return { dnat };
  if (setMark !== undefined) return { setMark };
  if (expr.name === "masq") {
    const { flags = 0, protoMin } = expr.data;
    return flags === 0 && protoMin === undefined ? "masquerade" : undefined;
  }
  if (expr.name === "nat") {
    const { type, addrMin = 0, addrMax = addrMin, protoMin = 0, protoMax = protoMin, flags = 0 } = expr.data;
    const address = registers.get(addrMin);
    const port = registers.get(protoMin);
    if (type !== NFT_NAT_DNAT || addrMax !== addrMin || protoMax !== protoMin || (flags & ~impliedNatFlags) !== 0)
      return undefined;
    if (address === undefined || port === undefined || !("value" in address) || !("value" in port)) return undefined;
    const ip = ipFromBytes(address.value);
    const [high = 0, low = 0] = port.value;
    if (ip === undefined || port.value.length !== 2 || expr.data.family !== addressFamilies[ip.family])
      return undefined;
    return { dnat: { ip, port: high * 256 + low } };
  }
  if (expr.name !== "immediate") return undefined;
  const { code, chain } = expr.data.data?.verdict ?? {};
  if (chain !== undefined && code === verdictCodes.jump) return { jump: chain };
  if (chain !== undefined && code === verdictCodes.goto) return { goto: chain };
  return (["accept", "drop", "return"] as const).find((name) => verdictCodes[name] === code);
}

function verdictText(verdict: Verdict): string {
  if (typeof verdict === "string") return verdict;
  if ("dnat" in verdict) return `dnat to ${endpointText(verdict.dnat.ip, verdict.dnat.port)}`;
  if ("setMark" in verdict) return `meta mark set ${hex(verdict.setMark.value)}/${hex(verdict.setMark.mask ?? -1)}`;
  return "jump" in verdict ? `jump ${verdict.jump}` : `goto ${verdict.goto}`;
}

/**
 * The rule as nft lists it, without its comment. Two rules that do the same in one chain have one text: what a match
 * assumes is left out, whether it was asked for or put there.
 */
export function phraseText({ match, verdict }: Phrase): string {
  const words = match.flatMap((each, at) => {
    const isAssumed = match.some((later, place) => {
      const assumed = place > at ? assumptionOf(later) : undefined;
      return assumed !== undefined && isSaid(assumed, each);
    });
    return isAssumed ? [] : [matchText(each)];
  });
  return [...words, verdictText(verdict)].join(" ");
}
