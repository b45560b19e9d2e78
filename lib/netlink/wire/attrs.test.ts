import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hex, refused } from "../../../testing/golden.ts";
import { bitsOf, type Family } from "../../ip/ip.ts";
import { macFromBytes } from "../../ip/mac.ts";
import { attrSet, WireError, type AttrSet, type Table, type UnknownAttr } from "./attrs.ts";
import { sourceOf, Writer } from "./bytes.ts";
import { be16, be32, be64, beI32, blob, cstring, i32, ip, mac, many, nest, u16, u32, u8 } from "./kinds.ts";

const inner = attrSet("IN", { small: [1, u8], list: [2, many(u16)] });
const outer = attrSet("OUT", {
  byte: [1, u8],
  short: [2, u16],
  word: [3, u32],
  signed: [4, i32],
  text: [5, cstring],
  mac: [6, mac],
  ip: [7, ip],
  raw: [8, blob],
  nested: [9, nest(inner)],
  flagged: [10, nest(inner, { flagged: true })],
  behind: [11, nest(inner, { header: 8 })],
  be16: [12, be16],
  be32: [13, be32],
  beSigned: [14, beI32],
  be64: [15, be64],
  words: [0x3fff, many(u32)],
});
const anyTable = outer as unknown as AttrSet<Table>;

function encoded<T extends Table>(set: AttrSet<T>, values: Parameters<AttrSet<T>["encode"]>[1]): Uint8Array {
  const writer = new Writer();
  set.encode(writer, values);
  return writer.bytes().slice();
}

describe("refused bytes", () => {
  test.each([
    ["05000200 01000000", "OUT.short: want 2 bytes, got 1"],
    ["06000100 01020000", "OUT.byte: want 1 bytes, got 2"],
    ["04000300", "OUT.word: want 4 bytes, got 0"],
    ["0c000400 0102030405060708", "OUT.signed: want 4 bytes, got 8"],
    ["09000700 0102030405000000", "OUT.ip: want 4 or 16 bytes, got 5"],
    ["0600ff3f 01020000", "OUT.words: want 4 bytes, got 2"],
    ["08000b00 00000000", "OUT.behind: want at least 8 bytes, got 4"],
    ["0c000900 06000100 01020000", "IN.small: want 1 bytes, got 2"],
    ["09000300 01020304", "OUT: attribute at byte 0 claims 9 of 8 bytes"],
    ["00000300 01020304", "OUT: attribute at byte 0 claims 0 of 8 bytes"],
    ["03000300 01020304", "OUT: attribute at byte 0 claims 3 of 8 bytes"],
    ["05000100 01000000 0400", "OUT: attribute at byte 8 claims 0 of 2 bytes"],
    ["0a000900 08000100 0102 0000", "IN: attribute at byte 4 claims 8 of 6 bytes"],
    ["06000900 0800 0000", "IN: attribute at byte 4 claims 8 of 2 bytes"],
  ])("%s", (bytes, words) => {
    refused(anyTable, bytes, words);
  });
});

describe("encoding", () => {
  test("in the order of the values, padded with zeros, nothing for what is undefined", () => {
    const values = { short: 0x0102, byte: 3, word: undefined, flagged: { small: 4 }, behind: {}, text: "ab" };
    expect(encoded(outer, values)).toEqual(
      hex(
        "06000200 02010000",
        "05000100 03000000",
        "0c000a80 05000100 04000000",
        "0c000b00 00000000 00000000",
        "07000500 61620000",
      ),
    );
  });

  test("network order says so in its name", () => {
    expect(encoded(outer, { be16: 0x0102, be32: 0xf1020304, beSigned: -2, be64: 0xf102030405060708n })).toEqual(
      hex("06000c00 01020000", "08000d00 f1020304", "08000e00 fffffffe", "0c000f00 f1020304 05060708"),
    );
  });

  test("what does not fit in one attribute is refused", () => {
    expect(encoded(outer, { raw: new Uint8Array(65531) })).toHaveLength(65536);
    expect(() => encoded(outer, { raw: new Uint8Array(65532) })).toThrow(
      new RangeError("attribute 8: 65536 bytes, may have 65535; send less at once"),
    );
  });

  test("text is UTF-8, also where more has been written before and after", () => {
    expect(encoded(outer, { byte: 1, text: "aßé☸" })).toEqual(
      hex("05000100 01000000 0d000500 61c39fc3a9e298b8 00000000"),
    );
  });

  test("a writer grows, and its new bytes are zero", () => {
    const writer = new Writer();
    writer.put(new Uint8Array(1022).fill(0xff));
    writer.text("é☸");
    writer.align();
    writer.u32(0xfffffffe);
    expect([...writer.bytes().subarray(1020)]).toEqual([255, 255, 0xc3, 0xa9, 0xe2, 0x98, 0xb8, 0, 254, 255, 255, 255]);
    expect(() => writer.setU32(1022, 1)).toThrow(new RangeError("a word at byte 1022"));
  });
});

describe("decoding", () => {
  test("unknown attributes are passed over, or kept as they came", () => {
    const bytes = hex("0500630001000000 05000100 07000000 0600ee80 aabb0000");
    expect(outer.decode(bytes)).toEqual({ byte: 7 });
    const unknown: UnknownAttr[] = [];
    expect(outer.decode(bytes, 0, unknown)).toEqual({ byte: 7 });
    expect(unknown).toEqual([
      { type: 0x63, bytes: hex("01") },
      { type: 0xee, bytes: hex("aabb") },
    ]);
  });

  test("the flags above the type are no part of it", () => {
    expect(outer.decode(hex("08000340 01000000 05000180 02000000"))).toEqual({ word: 1, byte: 2 });
  });

  test("the last attribute needs no padding", () => {
    expect(outer.decode(hex("05000100 07"))).toEqual({ byte: 7 });
  });

  test("of what comes twice the last counts, while there is more to look for", () => {
    expect(outer.decode(hex("05000100 01000000 05000100 02000000"))).toEqual({ byte: 2 });
  });

  test("nothing is read beyond the last attribute that the table knows", () => {
    const small = attrSet("SMALL", { byte: [1, u8] });
    expect(small.decode(hex("05000100 07000000 ffff0000"))).toEqual({ byte: 7 });
    expect(() => small.decode(hex("05000200 07000000 ffff0000"))).toThrow(WireError);
  });

  test("text ends at its zero, or where the attribute ends; what is not UTF-8 is shown as such", () => {
    expect(outer.decode(hex("0a000500 6162006364000000"))).toEqual({ text: "ab" });
    expect(outer.decode(hex("06000500 61620000"))).toEqual({ text: "ab" });
    expect(outer.decode(hex("07000500 61ff6200"))).toEqual({ text: "a\ufffdb" });
  });

  test("a hardware address of another length is one, and none is none", () => {
    expect(outer.decode(hex("08000600 0a000001"))).toEqual({ mac: "0a:00:00:01" });
    expect(outer.decode(hex("04000600"))).toEqual({ mac: "" });
  });

  test("a table of more rows than a word has bits reads to the end", () => {
    const rows = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`row${at}`, [at + 1, u32] as const]));
    const large = attrSet("LARGE", rows);
    const values = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`row${at}`, at * 7]));
    expect(large.decode(encoded(large, values))).toEqual(values);
  });
});

const u32s = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const inside = fc.record(
  { small: fc.nat(255), list: fc.array(fc.nat(0xffff), { minLength: 1, maxLength: 4 }) },
  { requiredKeys: [] },
);
const address = fc
  .constantFrom<Family>(4, 6)
  .chain((family) =>
    fc.record({ family: fc.constant(family), value: fc.bigInt(0n, 2n ** BigInt(bitsOf(family)) - 1n) }),
  );
const anyValues = fc.record(
  {
    byte: fc.nat(255),
    short: fc.nat(0xffff),
    word: u32s,
    signed: fc.integer(),
    text: fc.string({ unit: "binary" }).filter((text) => !text.includes("\0") && text.isWellFormed()),
    mac: fc.uint8Array({ minLength: 6, maxLength: 6 }).map(macFromBytes),
    ip: address,
    raw: fc.uint8Array({ maxLength: 20 }),
    nested: inside,
    flagged: inside,
    behind: inside,
    be16: fc.nat(0xffff),
    be32: u32s,
    beSigned: fc.integer(),
    be64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    words: fc.array(u32s, { minLength: 1, maxLength: 4 }),
  },
  { requiredKeys: [] },
);

describe("for any values", () => {
  test("what is encoded is decoded the same, wherever it lies in memory", () => {
    fc.assert(
      fc.property(anyValues, fc.integer({ min: 0, max: 3 }), (values, offset) => {
        const bytes = encoded(outer, values);
        const room = new Uint8Array(bytes.length + offset);
        room.set(bytes, offset);
        expect(outer.decode(room.subarray(offset))).toEqual(values);
      }),
    );
  });

  test("the name of an attribute is found by any byte of it", () => {
    fc.assert(
      fc.property(anyValues, (values) => {
        const bytes = encoded(outer, values);
        const lengths = new DataView(bytes.buffer);
        let at = 0;
        for (const [name, value] of Object.entries(values)) {
          for (const _ of name === "words" ? (value as unknown[]) : [value]) {
            expect(outer.nameAt(bytes, 0, bytes.length, at)).toBe(`OUT.${name}`);
            at = (at + lengths.getUint16(at, true) + 3) & ~3;
          }
        }
        expect(outer.nameAt(bytes, 0, bytes.length, bytes.length)).toBeUndefined();
      }),
    );
  });
});

describe("for any bytes", () => {
  const outcome = (body: () => unknown) => {
    try {
      return body();
    } catch (error) {
      if (error instanceof WireError) return error.message;
      throw error;
    }
  };

  test("values or a WireError, the same wherever they lie in memory", () => {
    const struck = fc
      .tuple(anyValues, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 6 }), fc.nat())
      .map(([values, at, noise, length]) => {
        const bytes = encoded(outer, values);
        noise.forEach((byte, each) => {
          if (bytes.length > 0) bytes[(at + each) % bytes.length] = byte;
        });
        return bytes.subarray(0, bytes.length - (length % 5 === 0 ? length % (bytes.length + 1) : 0));
      });
    fc.assert(
      fc.property(
        fc.oneof(struck, fc.uint8Array({ maxLength: 64 })),
        fc.integer({ min: 1, max: 3 }),
        (bytes, offset) => {
          const room = new Uint8Array(bytes.length + offset);
          room.set(bytes, offset);
          const seen = outcome(() => outer.decode(bytes));
          expect(outcome(() => outer.decode(room.subarray(offset)))).toEqual(seen);
          outcome(() => outer.decode(bytes, 0, []));
          outcome(() => outer.nameAt(bytes, 0, bytes.length, offset * 7));
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("words are those of the bytes, and bytes at an odd place are copied once", () => {
    const room = hex("00 0102030405060708 09");
    expect(sourceOf(room.subarray(1)).words).toEqual(Uint32Array.of(0x04030201, 0x08070605));
    expect(sourceOf(room).bytes).toBe(room);
  });
});
