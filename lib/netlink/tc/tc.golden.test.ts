// The requests' bytes were acked by Linux 6.18 in a netns of its own, after which `tc` showed what they ask for; the replies
// are whole datagrams, as our own socket received them there.
import { describe, expect, test } from "vitest";
import { goldenRequest, payloadsOf, hex } from "../../../testing/golden.ts";
import { WireError } from "../wire/attrs.ts";
import { addRedirect, decodeFilter, listFilters } from "./filter.ts";
import { handleText, TC_H_INGRESS, TC_H_ROOT } from "./message.ts";
import { addIngress, addTbf, decodeQdisc, delQdisc, getQdisc } from "./qdisc.ts";

/** A megabit a second and a megabit at once, with a latency of 25 ms. */
const megabit = { rate: 125_000, limit: 128_125, buffer: 15_625_000 };
const fiveGigabytes = { rate: 5_000_000_000, limit: 125_125_000, buffer: 390 };

describe("requests", () => {
  goldenRequest("addTbf", {
    request: addTbf(4, megabit),
    bytes: [
      "5800000024000506 0100000000000000", // RTM_NEWQDISC; request, ack, create, excl
      "00000000 04000000 00000100 ffffffff 00000000", // tcmsg: handle 1:, parent root
      "08000100 74626600", // TCA_KIND
      "2c000200 28000100", // TCA_OPTIONS: TCA_TBF_PARMS
      "00000000 00000000 48e80100 00000000 00000000 00000000 7df40100 286bee00 00000000",
    ],
    attrs: { kind: "tbf", options: { parms: megabit } },
  });

  goldenRequest("addTbf with a rate that 32 bits do not hold", {
    request: addTbf(2, fiveGigabytes),
    bytes: [
      "6400000024000506 0100000000000000",
      "00000000 02000000 00000100 ffffffff 00000000",
      "08000100 74626600",
      "38000200 28000100",
      "00000000 00000000 ffffffff 00000000 00000000 00000000 88417507 86010000 00000000",
      "0c000400 00f2052a01000000", // TCA_TBF_RATE64
    ],
    attrs: { kind: "tbf", options: { parms: { ...fiveGigabytes, rate: 0xffffffff }, rate64: 5_000_000_000n } },
  });

  goldenRequest("addIngress", {
    request: addIngress(4),
    bytes: [
      "3000000024000506 0100000000000000",
      "00000000 04000000 0000ffff f1ffffff 00000000", // handle ffff:, parent ingress
      "0c000100 696e677265737300",
    ],
    attrs: { kind: "ingress" },
  });

  goldenRequest("addRedirect", {
    request: addRedirect(4, 2),
    bytes: [
      "940000002c000506 0100000000000000", // RTM_NEWTFILTER
      "00000000 04000000 00000000 0000ffff 00030100", // parent ffff:, priority 1, protocol all
      "08000100 75333200",
      "68000200 08000100 01000100", // TCA_OPTIONS: TCA_U32_CLASSID 1:1
      "24000500 01000100 00000000 00000000 00000000 00000000 00000000 00000000 00000000", // TCA_U32_SEL, one key
      "38000700 34000100 0b000100 6d69727265640000", // TCA_U32_ACT: action 1: TCA_ACT_KIND
      "24000200 20000200", // TCA_ACT_OPTIONS: TCA_MIRRED_PARMS
      "00000000 00000000 04000000 00000000 00000000 01000000 02000000",
    ],
    attrs: {
      kind: "u32",
      options: {
        class: 0x10001,
        selector: "everything",
        actions: { first: { kind: "mirred", options: { parms: 2 } } },
      },
    },
  });

  goldenRequest("delQdisc", {
    request: delQdisc(4, TC_H_INGRESS),
    bytes: ["2400000025000500 0100000000000000", "00000000 04000000 00000000 f1ffffff 00000000"],
    attrs: {},
  });

  goldenRequest("getQdisc", {
    request: getQdisc(4, TC_H_ROOT),
    source: "answered by Linux 6.18",
    bytes: ["2400000026000d00 0100000000000000", "00000000 04000000 00000000 ffffffff 00000000"],
    attrs: {},
  });

  goldenRequest("listFilters", {
    request: listFilters(4),
    source: "answered by Linux 6.18",
    bytes: ["240000002e000103 0100000000000000", "00000000 04000000 00000000 0000ffff 00000000"],
    attrs: {},
  });
});

/** TCA_STATS2, TCA_STATS of a link that carried nothing. */
const statistics = [
  "30000700 14000100 00000000 00000000 00000000 00000000 18000300 00000000 00000000 00000000 00000000 00000000",
  "2c000300 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
];

describe("replies", () => {
  test("a token bucket", () => {
    const [payload = hex("")] = payloadsOf([
      "bc00000024000000 0500000054f083b5",
      "00000000 04000000 00000100 ffffffff 03000000",
      "08000100 74626600",
      "2c000200 28000100 00000000 00000000 48e80100 00000000 00000000 00000000 7df40100 286bee00 00000000",
      "05000c00 00000000", // TCA_HW_OFFLOAD
      ...statistics,
    ]);
    const root = { ifIndex: 4, handle: 0x10000, parent: TC_H_ROOT };
    expect(decodeQdisc(payload)).toEqual({ ...root, kind: "tbf", tbf: megabit });
  });

  test("a token bucket with a rate that 32 bits do not hold", () => {
    const [payload = hex("")] = payloadsOf([
      "c800000024000000 0600000054f083b5",
      "00000000 02000000 00000100 ffffffff 02000000",
      "08000100 74626600",
      "38000200 28000100 00000000 00000000 ffffffff 00000000 00000000 00000000 88417507 86010000 00000000",
      "0c000400 00f2052a 01000000",
      "05000c00 00000000",
      ...statistics,
    ]);
    expect(decodeQdisc(payload).tbf).toEqual(fiveGigabytes);
  });

  test("a place for filters, and the root that every link has", () => {
    const [ingress = hex("")] = payloadsOf([
      "9800000024000000 0700000054f083b5",
      "00000000 04000000 0000ffff f1ffffff 01000000",
      "0c000100 696e677265737300 04000200",
      "05000c00 00000000",
      ...statistics,
    ]);
    const place = { ifIndex: 4, handle: 0xffff0000, parent: TC_H_INGRESS };
    expect(decodeQdisc(ingress)).toEqual({ ...place, kind: "ingress", tbf: undefined });
    const [none = hex("")] = payloadsOf([
      "9400000024000000 0900000054f083b5",
      "00000000 01000000 00000000 ffffffff 02000000",
      "0c000100 6e6f717565756500",
      "05000c00 00000000",
      ...statistics,
    ]);
    const root = { ifIndex: 1, handle: 0, parent: TC_H_ROOT };
    expect(decodeQdisc(none)).toEqual({ ...root, kind: "noqueue", tbf: undefined });
  });

  test("filters: the hash table that u32 makes, and the redirect in it", () => {
    const payloads = payloadsOf([
      "340000002c000200 0a00000054f083b5",
      "00000000 04000000 00000000 0000ffff 00030100 08000100 75333200 08000b00 00000000",
      "400000002c000200 0a00000054f083b5",
      "00000000 04000000 00000080 0000ffff 00030100 08000100 75333200 08000b00 00000000",
      "0c000200 08000400 01000000", // TCA_OPTIONS: TCA_U32_DIVISOR
      "1c0100002c000200 0a00000054f083b5",
      "00000000 04000000 00080080 0000ffff 00030100 08000100 75333200 08000b00 00000000",
      "e8000200 24000500 01000100 00000000 00000000 00000000 00000000 00000000 00000000 00000000",
      "08000200 00000080 08000100 01000100 08000b00 08000000",
      "a8000700 a4000100 0b000100 6d697272 65640000 44000400 14000100 00000000 00000000 00000000 00000000",
      "14000700 00000000 00000000 00000000 00000000 18000300 00000000 00000000 00000000 00000000 00000000",
      "08000a00 00000000 48000200 20000200 01000000 00000000 04000000 01000000 01000000 01000000 02000000",
      "24000100 01000000 00000000 01000000 00000000 00000000 00000000 00000000 00000000",
    ]);
    const filter = { ifIndex: 4, kind: "u32", first: true };
    expect(payloads.map(decodeFilter)).toEqual([
      { ...filter, redirectsTo: undefined },
      { ...filter, redirectsTo: undefined },
      { ...filter, redirectsTo: 2 },
    ]);
  });

  test("bytes that are no such message", () => {
    expect(() => decodeQdisc(hex("00000000"))).toThrow(new WireError("tcmsg: want 20 bytes, got 4"));
    expect(() => decodeFilter(hex(""))).toThrow(new WireError("tcmsg: want 20 bytes, got 0"));
  });
});

test("handles read as tc writes them", () => {
  expect([0x10000, 0x10001, 0xffff0000, TC_H_ROOT, TC_H_INGRESS].map(handleText)).toEqual([
    "1:",
    "1:1",
    "ffff:",
    "root",
    "ingress",
  ]);
});
