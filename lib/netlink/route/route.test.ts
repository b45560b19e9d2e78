// Requests acked, and dumps received, by a socket of ours in a netns of its own; `ip -d route` showed the same.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goldenRequest, hex, payloadOf, payloadsOf } from "../../../testing/golden.ts";
import { ip, prefix } from "../../../testing/runtime.ts";
import type { Family } from "../../ip/ip.ts";
import { maskPrefix } from "../../ip/prefix.ts";
import { WireError } from "../wire/attrs.ts";
import { addRoute, decodeRoute, listRoutes } from "./route.ts";

describe("requests", () => {
  goldenRequest("addRoute by a gateway, with priority and metrics", {
    request: addRoute({
      dst: prefix("192.0.2.0/24"),
      gw: ip("10.244.1.9"),
      ifIndex: 2,
      priority: 7,
      mtu: 1300,
      advmss: 1260,
    }),
    bytes: [
      "5000000018000504 0100000000000000", // RTM_NEWROUTE; request, ack, create
      "02180000 fe030001 00000000", // rtmsg: AF_INET, 24; main, boot, universe, unicast
      "08000100 c0000200", // RTA_DST
      "08000400 02000000", // RTA_OIF
      "08000500 0af40109", // RTA_GATEWAY
      "08000600 07000000", // RTA_PRIORITY
      "14000800 0800020014050000 08000800ec040000", // RTA_METRICS: RTAX_MTU, RTAX_ADVMSS
    ],
    attrs: {
      dst: ip("192.0.2.0"),
      oif: 2,
      gateway: ip("10.244.1.9"),
      priority: 7,
      metrics: { mtu: 1300, advmss: 1260 },
    },
  });

  goldenRequest("addRoute in a table beyond 255, of scope link", {
    request: addRoute({ dst: prefix("198.51.100.0/24"), ifIndex: 2, table: 1000, scope: 253 }),
    bytes: [
      "3400000018000504 0100000000000000",
      "02180000 0003fd01 00000000", // no room for the table here
      "08000100 c6336400",
      "08000400 02000000",
      "08000f00 e8030000", // RTA_TABLE
    ],
    attrs: { dst: ip("198.51.100.0"), oif: 2, table: 1000 },
  });

  goldenRequest("addRoute: the default route, by a gateway that no address says is there", {
    request: addRoute({ dst: prefix("0.0.0.0/0"), gw: ip("172.16.0.1"), ifIndex: 2, onlink: true }),
    bytes: [
      "2c00000018000504 0100000000000000",
      "02000000 fe030001 04000000", // RTNH_F_ONLINK
      "08000400 02000000",
      "08000500 ac100001",
    ],
    attrs: { oif: 2, gateway: ip("172.16.0.1") },
  });

  goldenRequest("addRoute IPv6 in table 100", {
    request: addRoute({
      dst: prefix("2001:db8::/32"),
      gw: ip("fd00:10::9"),
      ifIndex: 2,
      mtu: 1300,
      table: 100,
    }),
    bytes: [
      "5800000018000504 0100000000000000",
      "0a200000 64030001 00000000",
      "14000100 20010db8000000000000000000000000",
      "08000400 02000000",
      "14000500 fd000010000000000000000000000009",
      "0c000800 0800020014050000",
    ],
    attrs: { dst: ip("2001:db8::"), oif: 2, gateway: ip("fd00:10::9"), metrics: { mtu: 1300 } },
  });

  goldenRequest("listRoutes", {
    request: listRoutes(4),
    source: "answered by Linux 6.18",
    bytes: ["1c0000001a000103 0100000000000000", "02000000 00000000 00000000"],
    attrs: {},
  });
});

describe("replies", () => {
  const common = {
    gw: undefined,
    ifIndex: 2,
    priority: 0,
    table: 254,
    scope: 0,
    hops: undefined,
    protocol: 3,
    mtu: undefined,
    advmss: undefined,
  };

  test("a dump of IPv4: what is local or broadcast is not among the routes", () => {
    const golden = [
      "3400000018002200 010000008d9a9ccb",
      "02180000 fc03fd01 00000000", // RT_TABLE_COMPAT: the attribute says which
      "08000f00 e8030000", // RTA_TABLE
      "08000100 c6336400", // RTA_DST
      "08000400 02000000", // RTA_OIF
      "3400000018002200 010000008d9a9ccb",
      "02000000 fe030001 04000000",
      "08000f00 fe000000",
      "08000500 ac100001", // RTA_GATEWAY
      "08000400 02000000",
      "3c00000018002200 010000008d9a9ccb",
      "02180000 fe02fd01 00000000", // made by the kernel
      "08000f00 fe000000",
      "08000100 0af40100",
      "08000700 0af40101", // RTA_PREFSRC
      "08000400 02000000",
      "5800000018002200 010000008d9a9ccb",
      "02180000 fe030001 00000000",
      "08000f00 fe000000",
      "08000100 c0000200",
      "08000600 07000000", // RTA_PRIORITY
      "14000800 080002001405000008000800ec040000", // RTA_METRICS
      "08000500 0af40109",
      "08000400 02000000",
      "3c00000018002200 010000008d9a9ccb",
      "02200000 ff02fe02 00000000", // local
      "08000f00 ff000000",
      "08000100 0af40101",
      "08000700 0af40101",
      "08000400 02000000",
      "3c00000018002200 010000008d9a9ccb",
      "02200000 ff02fd03 00000000", // broadcast
      "08000f00 ff000000",
      "08000100 0af401ff",
      "08000700 0af40101",
      "08000400 02000000",
    ];
    expect(payloadsOf(golden).map((payload) => decodeRoute(payload, 4))).toEqual([
      { ...common, dst: prefix("198.51.100.0/24"), table: 1000, scope: 253 },
      { ...common, dst: prefix("0.0.0.0/0"), gw: ip("172.16.0.1") },
      { ...common, dst: prefix("10.244.1.0/24"), protocol: 2, scope: 253 },
      {
        ...common,
        dst: prefix("192.0.2.0/24"),
        gw: ip("10.244.1.9"),
        priority: 7,
        mtu: 1300,
        advmss: 1260,
      },
      undefined,
      undefined,
    ]);
  });

  test("IPv6, with a metric", () => {
    const golden = [
      "9400000018002200 01000000c036cdca",
      "0a200000 64030001 00000000",
      "08000f00 64000000",
      "14000100 20010db8000000000000000000000000",
      "0c000800 0800020014050000",
      "08000600 00040000",
      "14000500 fd000010000000000000000000000009",
      "08000400 02000000",
      "24000c00 0000000000000000000000000000000000000000000000000000000000000000", // RTA_CACHEINFO
      "05001400 00000000", // RTA_PREF
    ];
    const [payload = new Uint8Array(0)] = payloadsOf(golden);
    expect(decodeRoute(payload, 6)).toEqual({
      ...common,
      dst: prefix("2001:db8::/32"),
      gw: ip("fd00:10::9"),
      priority: 1024,
      table: 100,
      mtu: 1300,
    });
    expect(decodeRoute(payload, 4)).toBeUndefined();
  });

  test("a route of several ways", () => {
    const [four = new Uint8Array(0)] = payloadsOf([
      "5000000018002200 01000000ee2b0000",
      "02180000 fe030001 00000000",
      "08000f00 fe000000",
      "08000100 c0000200",
      "24000900 1000000002000000 080005000af40108", // RTA_MULTIPATH: rtnexthop of 16 bytes, index 2, RTA_GATEWAY;
      "1000000202000000 080005000af40109", // another, of weight 3
    ]);
    const hop = (gw: string) => ({ gw: ip(gw), ifIndex: 2 });
    expect(decodeRoute(four, 4)).toEqual({
      ...common,
      dst: prefix("192.0.2.0/24"),
      ifIndex: undefined,
      hops: [hop("10.244.1.8"), hop("10.244.1.9")],
    });
    const [six = new Uint8Array(0)] = payloadsOf([
      "a800000018002200 01000000ee2b0000",
      "0a200000 fe030001 00000000",
      "08000f00 fe000000",
      "14000100 20010db8000000000000000000000000",
      "08000600 00040000",
      "3c000900 1c00000002000000 14000500fd000010000000000000000000000008",
      "1c00000002000000 14000500fd000010000000000000000000000009",
      "24000c00 0000000000000000000000000000000000000000000000000000000000000000",
      "05001400 00000000",
    ]);
    expect(decodeRoute(six, 6)).toEqual({
      ...common,
      dst: prefix("2001:db8::/32"),
      ifIndex: undefined,
      priority: 1024,
      hops: [hop("fd00:10::8"), hop("fd00:10::9")],
    });
  });

  test("a cached route is none", () => {
    expect(decodeRoute(hex("02180000 fe030001 00000000 08000400 02000000"), 4)).toMatchObject({ ifIndex: 2 });
    expect(decodeRoute(hex("02180000 fe030001 00020000 08000400 02000000"), 4)).toBeUndefined();
  });
});

describe("bytes that are no route", () => {
  test.each([
    ["02180000 fe030001 000000", "rtmsg: want 12 bytes, got 11"],
    ["02180000 fe030001 00000000 06000400 02000000", "RTA.oif: want 4 bytes, got 2"],
    ["02180000 fe030001 00000000 0a000800 0600020014050000", "RTAX.mtu: want 4 bytes, got 2"],
    ["02180000 fe030001 00000000 0c000800 0900020014050000", "RTAX: attribute at byte 16 claims 9 of 8 bytes"],
    ["02180000 fe030001 00000000 0c000900 0700000002000000", "rtnexthop at byte 0 claims 7 of 8 bytes"],
    ["02180000 fe030001 00000000 0c000900 0900000002000000", "rtnexthop at byte 0 claims 9 of 8 bytes"],
    ["02180000 fe030001 00000000 0c000900 0000000002000000", "rtnexthop at byte 0 claims 0 of 8 bytes"],
    ["02180000 fe030001 00000000 0e000900 0800000002000000 0800", "rtnexthop at byte 8 claims 0 of 2 bytes"],
    [
      "02180000 fe030001 00000000 10000900 0c00000002000000 08000500",
      "RTA(nexthop): attribute at byte 8 claims 8 of 4 bytes",
    ],
    ["02180000 fe030001 00000000 08000100", "RTA: attribute at byte 12 claims 8 of 4 bytes"],
  ])("%s", (payload, words) => {
    expect(() => decodeRoute(hex(payload), 4)).toThrow(new WireError(words));
  });

  test("any bytes: a route, none, or a WireError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 96 }), fc.constantFrom<Family>(4, 6), (noise, family) => {
        const header = Uint8Array.of(family === 4 ? 2 : 10, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0);
        // One attribute with honest lengths around the noise: metrics and hops, so that the noise is structure again.
        const within = [8, 9].map((type) => Uint8Array.of(...header, noise.length + 4, 0, type, 0, ...noise));
        for (const bytes of [noise, Uint8Array.of(...header, ...noise), ...within]) {
          try {
            decodeRoute(bytes, family);
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });

test("what is asked for is what an answer of these bytes means, for every route", () => {
  const route = fc.constantFrom<Family>(4, 6).chain((family) => {
    const bits = family === 4 ? 32 : 128;
    const address = fc.record({ family: fc.constant(family), value: fc.bigInt(0n, 2n ** BigInt(bits) - 1n) });
    return fc.record({
      dst: fc.record({ ip: address, length: fc.integer({ min: 0, max: bits }) }).map(maskPrefix),
      gw: optional(address),
      ifIndex: u32,
      priority: optional(u32),
      table: optional(u32.filter((table) => table > 0)),
      mtu: optional(u32),
      advmss: optional(u32),
    });
  });
  fc.assert(
    fc.property(route, (wanted) => {
      expect(decodeRoute(payloadOf(addRoute(wanted)), wanted.dst.ip.family)).toEqual({
        ...wanted,
        priority: wanted.priority ?? 0,
        table: wanted.table ?? 254,
        scope: 0,
        hops: undefined,
        protocol: 3,
      });
    }),
  );
});
