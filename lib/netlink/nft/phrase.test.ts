// Rules as data and as expressions, over all that can be said; and bytes of which anything may come.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { payloadOf } from "../../../testing/golden.ts";
import { daddr, dnat, dport, not, rule, saddr } from "../../../testing/nft.ts";
import { localMac } from "../../ip/mac.ts";
import type { Family } from "../../ip/ip.ts";
import { bitsOf } from "../../ip/ip.ts";
import { maskPrefix, type Prefix } from "../../ip/prefix.ts";
import { WireError } from "../wire/attrs.ts";
import { decodeChain } from "./chain.ts";
import type { Expr } from "./expr.ts";
import type { Match } from "./match.ts";
import type { NftFamily } from "./message.ts";
import { exprsOf, phraseOf, phraseText, type Rule, type Verdict } from "./phrase.ts";
import { addRule, decodeRule } from "./rule.ts";
import { decodeElements, decodeSet } from "./set.ts";
import { decodeTable } from "./table.ts";
import { commentData, commentIn, commentTest } from "./userdata.ts";
import { xtComment } from "./xt.ts";

const u32s = fc.nat(0xffffffff);
const ports = fc.nat(0xffff);
const ipOf = (family: Family) =>
  fc.bigInt({ min: 0n, max: (1n << BigInt(bitsOf(family))) - 1n }).map((value) => ({ family, value }));
const prefixOf = (family: Family): fc.Arbitrary<Prefix> =>
  fc.record({ ip: ipOf(family), length: fc.integer({ min: 0, max: bitsOf(family) }) }).map(maskPrefix);
const names = fc.string({ unit: "grapheme-ascii", minLength: 1, maxLength: 15 });
const protocols = fc.constantFrom("tcp" as const, "udp" as const, "sctp" as const, "dccp" as const, "udplite" as const);
const marks = fc.oneof(fc.record({ value: u32s }), fc.record({ value: u32s, mask: u32s }));
const matches = (family: Family): fc.Arbitrary<Match> =>
  fc
    .tuple(
      fc.oneof(
        fc.record({ field: fc.constant("l4proto" as const), is: protocols }),
        fc.record({ field: fc.constantFrom("iifname" as const, "oifname" as const), is: names }),
        fc.record({
          field: fc.constantFrom("saddrIn" as const, "daddrIn" as const),
          is: names.map((set) => ({ family, set })),
        }),
        fc.record({ field: fc.constantFrom("saddr" as const, "daddr" as const), is: prefixOf(family) }),
        fc.record({ field: fc.constant("dport" as const), is: fc.record({ protocol: protocols, port: ports }) }),
        fc.record({
          field: fc.constant("etherSaddr" as const),
          is: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(localMac),
        }),
        fc.record({
          field: fc.constant("fibDaddrType" as const),
          is: fc.constantFrom("local" as const, "unicast" as const),
        }),
        fc.record({ field: fc.constantFrom("mark" as const, "ctMark" as const), is: marks }),
        fc.record({
          field: fc.constant("ctState" as const),
          is: fc.subarray(["invalid", "established", "related", "new", "untracked"] as const, { minLength: 1 }),
        }),
      ),
      fc.boolean(),
    )
    .map(([match, negated]) => (negated ? not(match as Match) : (match as Match)));
const verdicts = (family: Family): fc.Arbitrary<Verdict> =>
  fc.oneof(
    fc.constantFrom("accept" as const, "drop" as const, "return" as const, "masquerade" as const),
    names.map((jump) => ({ jump })),
    names.map((goto) => ({ goto })),
    fc.record({ dnat: fc.record({ ip: ipOf(family), port: ports }) }),
  );
/** A rule that can match: it asks no packet for two protocols. */
const rules: fc.Arbitrary<{ family: Family; said: Rule }> = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc.record({
    family: fc.constant(family),
    said: fc
      .record({ match: fc.array(matches(family), { maxLength: 5 }), verdict: verdicts(family) })
      .filter(({ match }) => {
        const asked = match.flatMap((each) =>
          each.field === "dport" ? [each.is.protocol] : each.field === "l4proto" ? [`${each.is}`] : [],
        );
        return new Set(asked).size < 2 && !match.some((each) => each.field === "l4proto" && each.not === true);
      }),
  }),
);

/** The bytes of a rule, as its own message's attributes. */
function bytesOf(exprs: readonly Expr[], family: NftFamily, comment?: string): Uint8Array {
  const asked = payloadOf(addRule({ family, table: "t", chain: "c" }, { exprs, comment }));
  // NFTA_RULE_HANDLE, which the kernel adds.
  return Uint8Array.of(...asked, 12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 7);
}

describe("for any rule", () => {
  test("what is said is read, through bytes, in each family of table", () => {
    fc.assert(
      fc.property(rules, fc.boolean(), ({ family, said }, inet) => {
        const table = inet ? "inet" : family === 4 ? "ip" : "ip6";
        const exprs = exprsOf(table, said);
        const decoded = decodeRule(bytesOf(exprs, table));
        expect(decoded?.exprs).toEqual(exprs);
        const phrase = decoded && phraseOf(decoded);
        if (phrase === undefined) throw new Error("not understood");
        expect(phraseText(phrase)).toBe(phraseText(said));
        expect(phrase.verdict).toEqual(said.verdict);
        // What was not asked for is only what the rest assumes.
        expect(phrase.match.filter(({ field }) => field !== "nfproto" && field !== "l4proto")).toEqual(
          said.match.filter(({ field }) => field !== "l4proto"),
        );
      }),
    );
  });

  test("what iptables would write is read with its comment", () => {
    fc.assert(
      fc.property(rules, fc.option(fc.string({ maxLength: 80 }), { nil: undefined }), ({ family, said }, comment) => {
        const written = { ...said, comment: comment?.replaceAll("\0", ""), iptables: true };
        const table = family === 4 ? "ip" : "ip6";
        const decoded = decodeRule(bytesOf(exprsOf(table, written), table));
        const phrase = decoded && phraseOf(decoded);
        expect(phrase).toMatchObject({ verdict: said.verdict, iptables: true });
        expect(phrase?.comment).toBe(written.comment);
      }),
    );
    expect(() => xtComment("x".repeat(256))).toThrow("256 bytes, may have 255; shorten it");
  });

  test("two that differ have different texts", () => {
    fc.assert(
      fc.property(rules, rules, (a, b) => {
        const same = JSON.stringify(exprsOf("inet", a.said), plain) === JSON.stringify(exprsOf("inet", b.said), plain);
        expect(phraseText(a.said) === phraseText(b.said)).toBe(same);
      }),
    );
    expect(phraseText(rule([saddr("10.0.0.1")], "drop"))).not.toBe(phraseText(rule([daddr("10.0.0.1")], "drop")));
  });

  test("one that does more than it says is not understood", () => {
    fc.assert(
      fc.property(rules, fc.nat(), fc.constantFrom(...intruders), ({ said }, at, intruder) => {
        const exprs = exprsOf("inet", said);
        exprs.splice(at % (exprs.length + 1), 0, intruder);
        expect(phraseOf({ family: "inet", exprs })).toBeUndefined();
      }),
    );
  });
});

const plain = (_: string, value: unknown): unknown =>
  typeof value === "bigint" ? value.toString() : value instanceof Uint8Array ? [...value] : value;

const intruders: Expr[] = [
  { name: "foreign", of: "xt", bytes: Uint8Array.of(1) },
  { name: "target", data: { name: "DROP", rev: 0, info: new Uint8Array(4) } },
  { name: "match", data: { name: "limit", rev: 0, info: new Uint8Array(40) } },
  { name: "lookup", data: { set: "s", sreg: 1, dreg: 1 } },
  { name: "meta", data: { sreg: 1, key: 3 } },
  { name: "cmp", data: { sreg: 9, op: 0, data: { value: Uint8Array.of(1) } } },
  { name: "bitwise", data: { sreg: 9, dreg: 1, len: 4 } },
  { name: "masq", data: { flags: 4 } },
  { name: "nat", data: { type: 0, family: 2, addrMin: 1, protoMin: 2 } },
];

const meta = (key: number): Expr => ({ name: "meta", data: { dreg: 1, key } });
const cmp = (op: number, ...value: number[]): Expr => ({
  name: "cmp",
  data: { sreg: 1, op, data: { value: Uint8Array.from(value) } },
});
const drop: Expr = { name: "immediate", data: { dreg: 0, data: { verdict: { code: 0 } } } };
const payload = (base: number, offset: number, len: number): Expr => ({
  name: "payload",
  data: { dreg: 1, base, offset, len },
});
const masked = (mask: number[], xor = mask.map(() => 0)): Expr => ({
  name: "bitwise",
  data: {
    sreg: 1,
    dreg: 1,
    len: mask.length,
    mask: { value: Uint8Array.from(mask) },
    xor: { value: Uint8Array.from(xor) },
  },
});

describe("what is not ours to understand", () => {
  test.each<[string, Expr[]]>([
    ["no verdict", [meta(16), cmp(0, 6)]],
    ["nothing at all", []],
    ["a name that ends in a star", [meta(6), cmp(0, 0x63, 0x6e, 0x69), drop]],
    ["a comparison by order", [meta(3), cmp(2, 0, 0, 0, 1), drop]],
    ["a port of no protocol", [payload(2, 2, 2), cmp(0, 0, 80), drop]],
    ["a port of any protocol but one", [meta(16), cmp(1, 6), payload(2, 2, 2), cmp(0, 0, 80), drop]],
    ["a protocol without ports", [meta(16), cmp(0, 1), drop]],
    ["a mask with holes", [payload(1, 12, 4), masked([255, 0, 255, 0]), cmp(0, 10, 0, 0, 0), drop]],
    ["a mask of part of an address", [payload(1, 12, 3), masked([255, 255, 0]), cmp(0, 10, 0, 0), drop]],
    ["bits turned over", [meta(3), masked([255, 0, 0, 0], [1, 0, 0, 0]), cmp(0, 1, 0, 0, 0), drop]],
    ["bytes elsewhere in the header", [payload(1, 9, 1), cmp(0, 6), drop]],
    ["less compared than was loaded", [payload(1, 12, 4), cmp(0, 10, 0), drop]],
    [
      "a state of exactly these bits",
      [{ name: "ct", data: { dreg: 1, key: 0 } }, masked([6, 0, 0, 0]), cmp(0, 6, 0, 0, 0), drop],
    ],
    [
      "one direction of a connection",
      [{ name: "ct", data: { dreg: 1, key: 3, direction: 0 } }, cmp(0, 7, 0, 0, 0), drop],
    ],
    ["another verdict", [{ name: "immediate", data: { dreg: 0, data: { verdict: { code: -1 } } } }]],
  ])("%s", (_, exprs) => {
    expect(phraseOf({ family: "ip", exprs })).toBeUndefined();
  });

  test("a register that something else was loaded into", () => {
    const exprs = exprsOf("ip", rule([dport("tcp", 80)], dnat("10.0.0.1", 80)));
    exprs.splice(-1, 0, meta(3));
    expect(phraseOf({ family: "ip", exprs })).toBeUndefined();
  });
});

test("an address that no packet of a table has is refused", () => {
  expect(() => exprsOf("ip", rule([saddr("fd00::1")], "drop"))).toThrow(
    new TypeError("ip6 saddr fd00::1 in a table of family ip: its packets have no such address"),
  );
  expect(() => exprsOf("bridge", rule([saddr("10.0.0.1")], "drop"))).toThrow(TypeError);
  expect(() => exprsOf("ip", rule([dport("tcp", 65536)], "drop"))).toThrow(
    new RangeError("port 65536: must be 0 to 65535"),
  );
  expect(() => exprsOf("ip", rule([{ field: "iifname", is: "sixteen-letters0" }], "drop"))).toThrow(
    new RangeError('link name "sixteen-letters0": 16 bytes, may have 15'),
  );
});

describe("comments", () => {
  test("are read as they were written, up to 128 bytes", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 40 }).filter((text) => text.isWellFormed() && !text.includes("\0")),
        (text) => void expect(commentIn(commentData(text))).toBe(text),
      ),
    );
    expect(commentIn(commentData("x".repeat(128)))).toBe("x".repeat(128));
    expect(() => commentData("é".repeat(65))).toThrow(/^comment "é+": 130 bytes, may have 128; shorten it$/);
    expect(commentData(undefined)).toBeUndefined();
  });

  test("are found by their bytes as by their text", () => {
    const texts = fc.string({ unit: fc.constantFrom("a", "b", "é"), maxLength: 6 });
    const others = fc.constantFrom<readonly number[]>([], [1, 1, 0], [9, 0]);
    fc.assert(
      fc.property(texts, texts, others, (written, looked, before) => {
        const data = Uint8Array.of(...before, ...(commentData(written) ?? []));
        expect(commentTest({ is: looked })(data)).toBe(written === looked);
        expect(commentTest({ begins: looked })(data)).toBe(written.startsWith(looked));
      }),
    );
    fc.assert(
      fc.property(texts, fc.uint8Array({ maxLength: 8 }), (looked, data) => {
        const comment = commentIn(data);
        if (comment === undefined) expect(commentTest({ begins: looked })(data)).toBe(false);
      }),
    );
    for (const pattern of [{ is: "" }, { begins: "" }]) expect(commentTest(pattern)(undefined)).toBe(false);
  });

  test("stand among other things, or there is none", () => {
    expect(commentIn(Uint8Array.of(1, 2, 9, 9, 0, 2, 0x61, 0))).toBe("a");
    expect(commentIn(Uint8Array.of(0, 9, 0x61, 0))).toBeUndefined();
    expect(commentIn(Uint8Array.of(7, 1, 0))).toBeUndefined();
    expect(commentIn(Uint8Array.of(0))).toBeUndefined();
    fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => void commentIn(bytes)));
  });
});

test("for any bytes: something or a WireError", () => {
  const decoders = [decodeTable, decodeChain, decodeRule, decodeSet, decodeElements];
  const struck = fc
    .tuple(rules, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 6 }), fc.nat())
    .map(([{ said }, at, noise, length]) => {
      const bytes = bytesOf(exprsOf("inet", said), "inet", "comment");
      noise.forEach((byte, each) => {
        bytes[(at + each) % bytes.length] = byte;
      });
      return bytes.subarray(0, length % 4 === 0 ? length % bytes.length : bytes.length);
    });
  let understood = 0;
  fc.assert(
    fc.property(fc.oneof(struck, fc.uint8Array({ maxLength: 64 })), (bytes) => {
      for (const decode of decoders) {
        try {
          const decoded = decode(bytes);
          if (decoded !== undefined && "exprs" in decoded && phraseOf(decoded) !== undefined) understood++;
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
        }
      }
    }),
    { numRuns: 3000 },
  );
  expect(understood).toBeGreaterThan(50);
});
