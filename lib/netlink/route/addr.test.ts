// Requests acked, and a dump received, by a socket of ours in a netns of its own; `ip -d addr` showed the same.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goldenRequest, hex, payloadOf, payloadsOf } from "../../../testing/golden.ts";
import { ip, prefix } from "../../../testing/runtime.ts";
import { bitsOf, type Family } from "../../ip/ip.ts";
import { lastOf, type Prefix } from "../../ip/prefix.ts";
import { WireError } from "../wire/attrs.ts";
import { addAddr, decodeAddr, delAddr, listAddrs } from "./addr.ts";

describe("requests", () => {
  goldenRequest("addAddr IPv4: with a broadcast address", {
    request: addAddr(2, prefix("10.244.1.1/24")),
    bytes: [
      "3000000014000506 0100000000000000", // RTM_NEWADDR; request, ack, create, excl
      "02180000 02000000", // ifaddrmsg: AF_INET, 24
      "08000100 0af40101", // IFA_ADDRESS
      "08000200 0af40101", // IFA_LOCAL
      "08000400 0af401ff", // IFA_BROADCAST
    ],
    attrs: { address: ip("10.244.1.1"), local: ip("10.244.1.1"), broadcast: ip("10.244.1.255") },
  });

  goldenRequest("addAddr IPv4 /31: no broadcast address", {
    request: addAddr(2, prefix("10.9.0.0/31"), { noDad: true }),
    bytes: ["2800000014000506 0100000000000000", "021f0000 02000000", "08000100 0a090000", "08000200 0a090000"],
    attrs: { address: ip("10.9.0.0"), local: ip("10.9.0.0") },
  });

  goldenRequest("addAddr IPv6 without duplicate address detection", {
    request: addAddr(2, prefix("fd00:10::1/64"), { noDad: true }),
    bytes: [
      "4800000014000506 0100000000000000",
      "0a400000 02000000", // ifaddrmsg: AF_INET6, 64
      "14000100 fd000010000000000000000000000001",
      "14000200 fd000010000000000000000000000001",
      "08000800 02000000", // IFA_FLAGS: IFA_F_NODAD
    ],
    attrs: { address: ip("fd00:10::1"), local: ip("fd00:10::1"), flags: 2 },
  });

  goldenRequest("delAddr", {
    request: delAddr(2, prefix("10.9.0.0/31")),
    bytes: ["2800000015000500 0100000000000000", "021f0000 02000000", "08000100 0a090000", "08000200 0a090000"],
    attrs: { address: ip("10.9.0.0"), local: ip("10.9.0.0") },
  });

  goldenRequest("listAddrs", {
    request: listAddrs(2),
    source: "answered by Linux 6.18",
    bytes: ["1800000016000103 0100000000000000", "00000000 02000000"],
    attrs: {},
  });
});

test("a dump: two of IPv4, one of IPv6, and the one that the kernel made", () => {
  const golden = [
    "5800000014002200 0100000053481fc6", // RTM_NEWADDR; multi, filtered
    "02188000 02000000",
    "08000100 0af40101", // IFA_ADDRESS
    "08000200 0af40101", // IFA_LOCAL
    "08000400 0af401ff", // IFA_BROADCAST
    "09000300 636e693000000000", // IFA_LABEL
    "08000800 80000000", // IFA_FLAGS: permanent
    "14000600 ffffffffffffffff7afd02007afd0200", // IFA_CACHEINFO
    "5000000014002200 0100000053481fc6",
    "021f8000 02000000",
    "08000100 0a090000",
    "08000200 0a090000",
    "09000300 636e693000000000",
    "08000800 80000000",
    "14000600 ffffffffffffffff7afd02007afd0200",
    "4800000014002200 0100000053481fc6",
    "0a408200 02000000",
    "14000100 fd000010000000000000000000000001",
    "14000600 ffffffffffffffff7bfd02007bfd0200",
    "08000800 82000000", // permanent, nodad
    "5000000014002200 0100000053481fc6",
    "0a4080fd 02000000", // scope link
    "14000100 fe8000000000000008580afffef4010a",
    "14000600 ffffffffffffffffe0fc0200e0fc0200",
    "08000800 80000000",
    "05000b00 03000000", // IFA_PROTO: link-local
  ];
  const all = { ifIndex: 2, scope: 0, tentative: false, dadFailed: false };
  expect(payloadsOf(golden).map(decodeAddr)).toEqual([
    { ...all, prefix: prefix("10.244.1.1/24") },
    { ...all, prefix: prefix("10.9.0.0/31") },
    { ...all, prefix: prefix("fd00:10::1/64") },
    { ...all, prefix: prefix("fe80::858:aff:fef4:10a/64"), scope: 253 },
  ]);
});

describe("what the flags say", () => {
  const address = "14000100 fd000010000000000000000000000001";
  test.each([
    ["c0000000", { tentative: true, dadFailed: false }],
    ["88000000", { tentative: false, dadFailed: true }],
    ["c8000000", { tentative: true, dadFailed: true }],
    ["80000000", { tentative: false, dadFailed: false }],
  ])("%s", (flags, expected) => {
    expect(decodeAddr(hex("0a408000 02000000", address, `08000800 ${flags}`))).toMatchObject(expected);
  });
});

test("of a link with another end, the address is the local one", () => {
  const payload = hex("02208000 03000000", "08000100 0a000002", "08000200 0a000001");
  expect(decodeAddr(payload)?.prefix).toEqual(prefix("10.0.0.1/32"));
});

test("an address of another family is passed over", () => {
  expect(decodeAddr(hex("1c088000 02000000", "05000200 08000000"))).toBeUndefined();
  expect(decodeAddr(hex("02208000 03000000"))).toBeUndefined();
});

describe("bytes that are no address", () => {
  test.each([
    ["02188000 020000", "ifaddrmsg: want 8 bytes, got 7"],
    ["02188000 02000000 06000800 80000000", "IFA.flags: want 4 bytes, got 2"],
    ["02188000 02000000 08000100", "IFA: attribute at byte 8 claims 8 of 4 bytes"],
    ["02188000 02000000 00000000", "IFA: attribute at byte 8 claims 0 of 4 bytes"],
  ])("%s", (payload, words) => {
    expect(() => decodeAddr(hex(payload))).toThrow(new WireError(words));
  });

  test("any bytes: an address, none, or a WireError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.boolean(), (noise, framed) => {
        const lengths = Uint8Array.of(2, 24, 0, 0, 1, 0, 0, 0, noise.length + 4, 0, 1, 0);
        const bytes = framed ? Uint8Array.of(...lengths, ...noise) : noise;
        try {
          decodeAddr(bytes);
        } catch (error) {
          if (!(error instanceof WireError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const anyPrefix = fc.constantFrom<Family>(4, 6).chain((family) =>
  fc.record({
    ip: fc.record({ family: fc.constant(family), value: fc.bigInt(0n, 2n ** BigInt(bitsOf(family)) - 1n) }),
    length: fc.integer({ min: 0, max: bitsOf(family) }),
  }),
);

test("what is asked for is what an answer of these bytes means, for every address", () => {
  fc.assert(
    fc.property(anyPrefix, fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.boolean(), (wanted: Prefix, ifIndex, noDad) => {
      const request = addAddr(ifIndex, wanted, { noDad });
      const bytes = payloadOf(request);
      expect(decodeAddr(bytes)).toEqual({ ifIndex, prefix: wanted, scope: 0, tentative: false, dadFailed: false });
      const broadcast = wanted.ip.family === 4 && wanted.length < 31 ? lastOf(wanted) : undefined;
      expect(request.set?.decode(bytes, 8)).toEqual({
        address: wanted.ip,
        local: wanted.ip,
        ...(broadcast === undefined ? {} : { broadcast }),
        ...(wanted.ip.family === 6 && noDad ? { flags: 2 } : {}),
      });
    }),
  );
});
