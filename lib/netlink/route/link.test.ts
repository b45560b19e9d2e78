// The requests' bytes were acked by Linux 6.18 in a netns of its own, after which `ip -d link` showed what they ask for;
// open.test.ts and iproute2.test.ts ask the kernel and iproute2 of the machine at hand.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { goldenRequest, hex, payloadsOf, refused } from "../../../testing/golden.ts";
import { WireError } from "../wire/attrs.ts";
import { addBridge, addIfb, addVeth, decodeLink, delGroup, delLink, getLink, listLinks, setLink } from "./link.ts";
import { bridge, bridgePort, loopback } from "./link.golden.ts";

describe("requests", () => {
  goldenRequest("addBridge", {
    request: addBridge({ name: "cni0", mac: "0a:58:0a:f4:01:01", mtu: 1450 }),
    bytes: [
      "5000000010000506 0100000000000000", // RTM_NEWLINK; request, ack, create, excl
      "00000000 00000000 00000000 00000000", // ifinfomsg
      "0a000100 0a580af401010000", // IFLA_ADDRESS
      "09000300 636e693000000000", // IFLA_IFNAME
      "08000400 aa050000", // IFLA_MTU
      "10001200 0b000100 6272696467650000", // IFLA_LINKINFO: IFLA_INFO_KIND
    ],
    attrs: { mac: "0a:58:0a:f4:01:01", name: "cni0", mtu: 1450, info: { kind: "bridge" } },
  });

  goldenRequest("addBridge that filters VLANs", {
    source: "read by Linux 6.18, which cannot filter: EOPNOTSUPP; iproute2 sends the same attribute",
    request: addBridge({ name: "br1", mac: "0a:58:0a:f4:02:01", vlanFiltering: true }),
    bytes: [
      "5000000010000506 0100000000000000",
      "00000000 00000000 00000000 00000000",
      "0a000100 0a580af402010000",
      "08000300 62723100",
      "1c001200 0b000100 6272696467650000", // IFLA_LINKINFO: IFLA_INFO_KIND,
      "0c000200 0500070001000000", // IFLA_INFO_DATA: IFLA_BR_VLAN_FILTERING
    ],
    attrs: {
      mac: "0a:58:0a:f4:02:01",
      name: "br1",
      info: { kind: "bridge", data: { vlanFiltering: 1 } },
    },
  });

  const end = { mac: "0a:58:0a:f4:01:02", name: "eth0", mtu: 1450, txQueueLength: 1000, netnsFd: 24 };
  goldenRequest("addVeth, its peer in the netns of descriptor 24", {
    request: addVeth({
      name: "veth0a1b2c3d",
      mac: "0a:58:0a:f4:01:63",
      mtu: 1450,
      txQueueLength: 1000,
      masterIfIndex: 2,
      up: true,
      peer: { name: "eth0", mac: end.mac, mtu: 1450, txQueueLength: 1000, netnsFd: 24 },
    }),
    bytes: [
      "b000000010000506 0100000000000000",
      "00000000 00000000 01000000 01000000", // ifinfomsg: IFF_UP, of which IFF_UP counts
      "0a000100 0a580af401630000",
      "11000300 76657468306131623263336400000000",
      "08000400 aa050000",
      "08000a00 02000000", // IFLA_MASTER
      "08000d00 e8030000", // IFLA_TXQLEN
      "58001200 09000100 7665746800000000", // IFLA_LINKINFO: IFLA_INFO_KIND,
      "48000200 44000100", // IFLA_INFO_DATA: VETH_INFO_PEER
      "00000000 00000000 00000000 00000000", // ifinfomsg of the peer
      "09000300 6574683000000000",
      "0a000100 0a580af401020000",
      "08000400 aa050000",
      "08000d00 e8030000",
      "08001c00 18000000", // IFLA_NET_NS_FD
    ],
    attrs: {
      mac: "0a:58:0a:f4:01:63",
      name: "veth0a1b2c3d",
      mtu: 1450,
      master: 2,
      txQueueLength: 1000,
      info: { kind: "veth", data: { peer: end } },
    },
  });

  goldenRequest("setLink up", {
    request: setLink(2, { up: true }),
    bytes: ["2000000010000500 0100000000000000", "00000000 02000000 01000000 01000000"],
    attrs: {},
  });

  goldenRequest("setLink down, promisc, another MAC and MTU", {
    request: setLink(2, { up: false, promisc: true, mac: "0a:58:0a:f4:01:0a", mtu: 1400 }),
    bytes: [
      "3400000010000500 0100000000000000",
      "00000000 02000000 00010000 01010000", // IFF_PROMISC, of which IFF_UP and IFF_PROMISC count
      "0a000100 0a580af4010a0000",
      "08000400 78050000",
    ],
    attrs: { mac: "0a:58:0a:f4:01:0a", mtu: 1400 },
  });

  goldenRequest("setLink to a bridge, not promisc", {
    request: setLink(4, { masterIfIndex: 2, promisc: false }),
    bytes: ["2800000010000500 0100000000000000", "00000000 04000000 00000000 00010000", "08000a00 02000000"],
    attrs: { master: 2 },
  });

  goldenRequest("setLink with an alias and in a group", {
    request: setLink(2, { alias: "weft: pod", group: 7 }),
    bytes: [
      "3800000010000500 0100000000000000",
      "00000000 02000000 00000000 00000000",
      "0e001400 776566743a20706f64000000", // IFLA_IFALIAS
      "08001b00 07000000", // IFLA_GROUP
    ],
    attrs: { alias: "weft: pod", group: 7 },
  });

  goldenRequest("setLink by name", {
    request: setLink("bwpbf3a68af647c", { alias: "cni:cbr0:c0ffee:eth0" }),
    bytes: [
      "5000000010000500 0100000000000000",
      "00000000 00000000 00000000 00000000",
      "14000300 62777062663361363861663634376300",
      "19001400 636e693a636272303a6330666665653a6574683000000000",
    ],
    attrs: { name: "bwpbf3a68af647c", alias: "cni:cbr0:c0ffee:eth0" },
  });

  goldenRequest("setLink allMulti and another queue", {
    request: setLink(4, { allMulti: true, txQueueLength: 321 }),
    bytes: ["2800000010000500 0100000000000000", "00000000 04000000 00020000 00020000", "08000d00 41010000"],
    attrs: { txQueueLength: 321 },
  });

  goldenRequest("setLink up, with arp_notify", {
    request: setLink(2, { up: true, arpNotify: true }),
    bytes: [
      "3400000010000500 0100000000000000",
      "00000000 02000000 01000000 01000000",
      "14001a00 10000200 0c000100 08001600 01000000", // IFLA_AF_SPEC: AF_INET: IFLA_INET_CONF: IPV4_DEVCONF_ARP_NOTIFY
    ],
    attrs: { families: { inet: { conf: { arpNotify: 1 } } } },
  });

  goldenRequest("addIfb", {
    request: addIfb({ name: "bwpbf3a68af647c", mac: "0a:58:0a:f4:01:02", mtu: 1450, txQueueLength: 0, up: true }),
    bytes: [
      "5c00000010000506 0100000000000000",
      "00000000 00000000 01000000 01000000",
      "0a000100 0a580af401020000",
      "14000300 62777062663361363861663634376300",
      "08000400 aa050000",
      "08000d00 00000000",
      "0c001200 0800010069666200", // IFLA_LINKINFO: IFLA_INFO_KIND
    ],
    attrs: { mac: "0a:58:0a:f4:01:02", name: "bwpbf3a68af647c", mtu: 1450, txQueueLength: 0, info: { kind: "ifb" } },
  });

  goldenRequest("setLink without VLAN filtering", {
    source: "read by Linux 6.18, which cannot filter: EOPNOTSUPP",
    request: setLink(2, { up: true, vlanFiltering: false }),
    bytes: [
      "3c00000010000500 0100000000000000",
      "00000000 02000000 01000000 01000000",
      "1c001200 0b000100 6272696467650000 0c000200 0500070000000000",
    ],
    attrs: { info: { kind: "bridge", data: { vlanFiltering: 0 } } },
  });

  goldenRequest("getLink by name", {
    request: getLink("veth0a1b2c3d"),
    source: "answered by Linux 6.18",
    bytes: [
      "3c00000012000100 0100000000000000", // RTM_GETLINK; request
      "00000000 00000000 00000000 00000000",
      "11000300 76657468306131623263336400000000",
      "08001d00 08000000", // IFLA_EXT_MASK: RTEXT_FILTER_SKIP_STATS
    ],
    attrs: { name: "veth0a1b2c3d", extMask: 8 },
  });

  goldenRequest("getLink by index", {
    request: getLink(2),
    source: "answered by Linux 6.18",
    bytes: ["2800000012000100 0100000000000000", "00000000 02000000 00000000 00000000", "08001d00 08000000"],
    attrs: { extMask: 8 },
  });

  goldenRequest("listLinks", {
    request: listLinks(0x300),
    source: "answered by Linux 6.18",
    bytes: ["2800000012000103 0100000000000000", "00000000 00000000 00000000 00000000", "08001d00 08000000"],
    attrs: { extMask: 8 },
  });

  goldenRequest("delLink by name", {
    request: delLink("br1"),
    source: "ENODEV of Linux 6.18, which has no such link",
    bytes: ["2800000011000500 0100000000000000", "00000000 00000000 00000000 00000000", "08000300 62723100"],
    attrs: { name: "br1" },
  });

  goldenRequest("delLink by index", {
    request: delLink(4),
    bytes: ["2000000011000500 0100000000000000", "00000000 04000000 00000000 00000000"],
    attrs: {},
  });

  goldenRequest("delGroup", {
    request: delGroup(7),
    bytes: ["2800000011000500 0100000000000000", "00000000 00000000 00000000 00000000", "08001b00 07000000"],
    attrs: { group: 7 },
  });
});

/** The one link in a golden datagram. */
const linkIn = (golden: readonly string[]) => payloadsOf(golden).map(decodeLink);

describe("replies", () => {
  const none = {
    kind: undefined,
    masterIfIndex: undefined,
    alias: undefined,
    group: 0,
    allMulti: false,
    txQueueLength: 1000,
    peerIfIndex: undefined,
    peerNetnsId: undefined,
    vlanFiltering: undefined,
    port: undefined,
  };

  test("a bridge whose kernel cannot filter VLANs", () => {
    expect(linkIn(bridge)).toEqual([
      {
        ...none,
        ifIndex: 2,
        name: "cni0",
        mac: "0a:58:0a:f4:01:0a",
        mtu: 1400,
        up: true,
        promisc: true,
        operState: "up",
        kind: "bridge",
      },
    ]);
  });

  test("a bridge's port, whose other end is in another netns", () => {
    expect(linkIn(bridgePort)).toEqual([
      {
        ...none,
        ifIndex: 4,
        name: "veth0a1b2c3d",
        mac: "0a:58:0a:f4:01:63",
        mtu: 1450,
        up: true,
        promisc: false,
        operState: "up",
        kind: "veth",
        masterIfIndex: 2,
        peerIfIndex: 2,
        peerNetnsId: 0,
        port: { hairpin: true, isolated: true },
      },
    ]);
  });

  test("the loopback link", () => {
    expect(linkIn(loopback)).toEqual([
      {
        ...none,
        ifIndex: 1,
        name: "lo",
        mac: "00:00:00:00:00:00",
        mtu: 65536,
        up: true,
        promisc: false,
        operState: "unknown",
      },
    ]);
  });
});

describe("bytes that are no link", () => {
  const header = "00000000 02000000 00000000 00000000";
  const words = (payload: string): string => {
    try {
      // All of it, also what is read when it is looked at.
      structuredClone({ ...decodeLink(hex(payload)) });
    } catch (error) {
      if (error instanceof WireError) return error.message;
      throw error;
    }
    return "not refused";
  };

  test.each([
    ["00000000 02000000 00000000 000000", "ifinfomsg: want 16 bytes, got 15"],
    [`${header} 06000400 aa050000`, "IFLA.mtu: want 4 bytes, got 2"],
    [`${header} 0c000400 aa05000000000000`, "IFLA.mtu: want 4 bytes, got 8"],
    [`${header} 04000400`, "IFLA.mtu: want 4 bytes, got 0"],
    [`${header} 06001000 06000000`, "IFLA.operState: want 1 bytes, got 2"],
    [`${header} 09000400 aa050000`, "IFLA: attribute at byte 16 claims 9 of 8 bytes"],
    [`${header} 00000400 aa050000`, "IFLA: attribute at byte 16 claims 0 of 8 bytes"],
    [`${header} 03000400 aa050000`, "IFLA: attribute at byte 16 claims 3 of 8 bytes"],
    [`${header} 08000400 aa050000 0800`, "IFLA: attribute at byte 24 claims 0 of 2 bytes"],
    [`${header} 0c001200 0c000100 76657468`, "IFLA_INFO: attribute at byte 20 claims 12 of 8 bytes"],
    [
      `${header} 20001200 0b000100 6272696467650000 10000200 0600070001000000 00000000`,
      "IFLA_BR.vlanFiltering: want 1 bytes, got 2",
    ],
  ])("%s", (payload, expected) => {
    expect(words(payload)).toBe(expected);
  });

  test("a veth's peer without room for its header", () => {
    const { set } = addVeth({ name: "a", peer: { name: "b" } });
    if (set === undefined) throw new Error("no table");
    refused(
      set,
      "18001200 09000100 7665746800000000 08000200 04000100",
      "VETH_INFO.peer: want at least 16 bytes, got 0",
    );
  });

  test("any bytes: a link or a WireError, soon", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(bridge, bridgePort, loopback),
        fc.nat(),
        (noise, golden, at) => {
          // Noise alone hardly gets beyond the first length, so it also strikes a real answer in one place.
          const [real = new Uint8Array(0)] = payloadsOf(golden);
          const struck = real.slice();
          struck.set(noise.subarray(0, 8), at % (struck.length - 8));
          for (const bytes of [noise, struck, struck.subarray(0, at % struck.length)]) {
            try {
              decodeLink(bytes);
            } catch (error) {
              if (!(error instanceof WireError)) throw error;
            }
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  test("a link reads the same wherever its bytes lie in memory", () => {
    for (const golden of [bridge, bridgePort, loopback]) {
      const [payload = new Uint8Array(0)] = payloadsOf(golden);
      for (const offset of [1, 2, 3, 4]) {
        const room = new Uint8Array(payload.length + offset).fill(0xff);
        room.set(payload, offset);
        expect(decodeLink(room.subarray(offset))).toEqual(decodeLink(payload));
      }
    }
  });
});
