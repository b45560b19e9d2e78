import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goldenRequest, hex, payloadOf } from "../../../testing/golden.ts";
import { WireError } from "../wire/attrs.ts";
import { addVlans, decodeVlans, delVlan, listVlans, setPort } from "./port.ts";

describe("requests", () => {
  goldenRequest("setPort", {
    request: setPort(4, { hairpin: true, isolated: true }),
    bytes: [
      "3400000013000500 0100000000000000", // RTM_SETLINK; request, ack
      "07000000 04000000 00000000 00000000", // ifinfomsg: AF_BRIDGE
      "14000c80 0500040001000000 0500210001000000", // IFLA_PROTINFO, nested: IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED
    ],
    attrs: { protinfo: { hairpin: 1, isolated: 1 } },
  });

  goldenRequest("addVlans: one untagged, and a range", {
    source: "read by Linux 6.18, which cannot filter: EOPNOTSUPP; iproute2 sends the same VLANs",
    request: addVlans(4, [
      { first: 5, last: 5, pvid: true, untagged: true },
      { first: 10, last: 20, pvid: false, untagged: false },
    ]),
    bytes: [
      "4400000013000500 0100000000000000",
      "07000000 04000000 00000000 00000000",
      "24001a00 0600000001000000", // IFLA_AF_SPEC: IFLA_BRIDGE_FLAGS: master
      "08000200 06000500", // IFLA_BRIDGE_VLAN_INFO: pvid, untagged; 5
      "08000200 08000a00", // range begin; 10
      "08000200 10001400", // range end; 20
    ],
    attrs: { spec: { flags: 1, vlans: [0x50006, 0xa0008, 0x140010] } },
  });

  goldenRequest("delVlan", {
    request: delVlan(4, 5),
    bytes: [
      "3400000011000500 0100000000000000", // RTM_DELLINK
      "07000000 04000000 00000000 00000000",
      "14001a00 0600000001000000 0800020000000500",
    ],
    attrs: { spec: { flags: 1, vlans: [0x50000] } },
  });

  goldenRequest("listVlans", {
    request: listVlans(),
    source: "answered by Linux 6.18",
    bytes: [
      "2800000012000103 0100000000000000",
      "07000000 00000000 00000000 00000000",
      "08001d00 04000000", // IFLA_EXT_MASK: RTEXT_FILTER_BRVLAN_COMPRESSED
    ],
    attrs: { extMask: 4 },
  });
});

const port4 = "07000100 04000000 43110100 00000000";

describe("VLANs of a port", () => {
  test("a port as a kernel without VLAN filtering answers it has none", () => {
    // Received by a socket of ours; without IFLA_PROTINFO, which is 300 bytes more of the same.
    const payload = hex(
      "07000100 02000000 43110100 00000000",
      "09000300 636e693000000000",
      "08000a00 02000000",
      "08000400 78050000",
      "05001000 06000000",
      "0a000100 0a580af4010a0000",
    );
    expect(decodeVlans(payload, 2)).toEqual([]);
    expect(decodeVlans(payload, 4)).toBeUndefined();
  });

  test("single ones and a range", () => {
    const spec = "24001a00 0600000001000000 08000200 06000500 08000200 08000a00 08000200 10000c00";
    const plain = { pvid: false, untagged: false };
    expect(decodeVlans(hex(port4, spec), 4)).toEqual([
      { id: 5, pvid: true, untagged: true },
      { id: 10, ...plain },
      { id: 11, ...plain },
      { id: 12, ...plain },
    ]);
  });

  test("a range's end without its begin is one VLAN", () => {
    expect(decodeVlans(hex(port4, "0c001a00 08000200 10000c00"), 4)).toEqual([
      { id: 12, pvid: false, untagged: false },
    ]);
  });

  test("an id has twelve bits, so that no answer can ask for more than there are", () => {
    expect(decodeVlans(hex(port4, "14001a00 08000200 08000000 08000200 1000ffff"), 4)).toHaveLength(4096);
  });
});

describe("bytes that are no port", () => {
  test.each([
    ["07000100 04000000 43110100 000000", "ifinfomsg: want 16 bytes, got 15"],
    [`${port4} 0a001a00 06000200 06000000`, "IFLA_BRIDGE.vlans: want 4 bytes, got 2"],
    [`${port4} 0a001a00 08000200 06000000`, "IFLA_BRIDGE: attribute at byte 20 claims 8 of 6 bytes"],
    [`${port4} 0a000c80 06000400 06000000`, "IFLA_BRPORT.hairpin: want 1 bytes, got 2"],
  ])("%s", (payload, words) => {
    expect(() => decodeVlans(hex(payload), 4)).toThrow(new WireError(words));
  });

  test("any bytes: VLANs or a WireError", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (noise) => {
        const framed = Uint8Array.of(...hex(port4), noise.length + 4, 0, 26, 0, ...noise);
        for (const bytes of [noise, Uint8Array.of(...hex(port4), ...noise), framed]) {
          try {
            decodeVlans(bytes, 4);
          } catch (error) {
            if (!(error instanceof WireError)) throw error;
          }
        }
      }),
      { numRuns: 2000 },
    );
  });
});

test("VLANs that are asked for are those that an answer of these bytes means", () => {
  const vlans = fc
    .record({
      ends: fc.tuple(fc.integer({ min: 1, max: 4094 }), fc.integer({ min: 1, max: 4094 })),
      pvid: fc.boolean(),
      untagged: fc.boolean(),
    })
    .map(({ ends, ...flags }) => ({ first: Math.min(...ends), last: Math.max(...ends), ...flags }));
  fc.assert(
    fc.property(fc.array(vlans, { maxLength: 4 }), (wanted) => {
      const expected = wanted.flatMap(({ first, last, ...flags }) =>
        Array.from({ length: last - first + 1 }, (_, at) => ({ id: first + at, ...flags })),
      );
      expect(decodeVlans(payloadOf(addVlans(4, wanted)), 4)).toEqual(expected);
    }),
    { numRuns: 30 },
  );
});
