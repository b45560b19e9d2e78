// Requests as Linux 6.18 acked them in a netns of its own, where `nft list ruleset` then showed what they ask for; and
// what it answered when it was asked for the same, as received. apply.test.ts and open.test.ts ask the kernel at hand.
import { describe, expect, test } from "vitest";
import { goldenRequest, hex, payloadsOf, refused } from "../../../testing/golden.ts";
import { daddr, dnat, dport, not, rule, saddr } from "../../../testing/nft.ts";
import { WireError, type AttrSet, type Table } from "../wire/attrs.ts";
import type { Request } from "../wire/conversation.ts";
import { addChain, decodeChain, delChain, getChain, listChains } from "./chain.ts";
import { exprsOf, phraseOf } from "./phrase.ts";
import { addRule, decodeRule, delRule, flushChain, listRules } from "./rule.ts";
import {
  addElements,
  addSet,
  concatenated,
  decodeElements,
  decodeSet,
  delElements,
  delSet,
  listElements,
} from "./set.ts";
import { addTable, decodeTable, delTable, getTable } from "./table.ts";

const weft = { family: "inet", table: "weft" } as const;
const checks = { ...weft, chain: "checks" };
const post = { ...weft, chain: "post" };
const ports = { ...weft, set: "ports" };
const masquerade = rule([saddr("10.1.0.5"), not(daddr("10.1.2.64/26"))], "masquerade");
const toPod = rule([dport("tcp", 8080)], dnat("10.1.0.5", 80));
const portKey = concatenated(hex("0a000001"), hex("0050"));

const setOf = ({ set }: Request): AttrSet<Table> => {
  if (set === undefined) throw new Error("no table");
  return set;
};

describe("requests", () => {
  goldenRequest("addTable", {
    request: addTable(weft, "of weft"),
    bytes: [
      "38000000000a0504 0100000000000000", // NFT_MSG_NEWTABLE; request, ack, create
      "01000000", // nfgenmsg: NFPROTO_INET
      "09000100 7765667400000000", // NFTA_TABLE_NAME
      "08000200 00000000", // NFTA_TABLE_FLAGS
      "0e000600 00086f662077656674000000", // NFTA_TABLE_USERDATA: type 0, 8 bytes, "of weft\0"
    ],
    attrs: { name: "weft", flags: 0, userdata: hex("00086f66207765667400") },
  });

  goldenRequest("delTable", {
    request: delTable(weft),
    bytes: ["20000000020a0500 0100000000000000", "01000000", "09000100 7765667400000000"],
    attrs: { name: "weft" },
  });

  goldenRequest("getTable", {
    source: "answered by Linux 6.18",
    request: getTable(weft),
    bytes: ["20000000010a0100 0100000000000000", "01000000", "09000100 7765667400000000"],
    attrs: { name: "weft" },
  });

  goldenRequest("addChain that is jumped to", {
    request: addChain(checks, { comment: "who" }),
    bytes: [
      "38000000030a0504 0100000000000000 01000000",
      "09000100 7765667400000000", // NFTA_CHAIN_TABLE
      "0b000300 636865636b730000", // NFTA_CHAIN_NAME
      "0a000c00 000477686f000000", // NFTA_CHAIN_USERDATA
    ],
    attrs: { table: "weft", name: "checks", userdata: hex("000477686f00") },
  });

  goldenRequest("addChain at a hook", {
    request: addChain(post, { base: { type: "nat", hook: "postrouting", priority: -100, policy: "accept" } }),
    bytes: [
      "50000000030a0504 0100000000000000 01000000",
      "09000100 7765667400000000",
      "09000300 706f737400000000",
      "14000480 0800010000000004 08000200ffffff9c", // NFTA_CHAIN_HOOK: hook 4, priority -100
      "08000500 00000001", // NFTA_CHAIN_POLICY
      "08000700 6e617400", // NFTA_CHAIN_TYPE
    ],
    attrs: { table: "weft", name: "post", hook: { hook: 4, priority: -100 }, policy: 1, type: "nat" },
  });

  for (const [name, request, type] of [
    ["delChain", delChain(post), "050a0500"],
    ["getChain", getChain(post), "040a0100"],
  ] as const)
    goldenRequest(name, {
      request,
      bytes: [`2c000000 ${type} 0100000000000000 01000000`, "09000100 7765667400000000", "09000300 706f737400000000"],
      attrs: { table: "weft", name: "post" },
    });

  goldenRequest("listChains", {
    source: "answered by Linux 6.18",
    request: listChains("inet"),
    bytes: ["14000000040a0103 0100000000000000 01000000"],
    attrs: {},
  });

  goldenRequest("addRule that masquerades", {
    request: addRule(checks, { exprs: exprsOf("inet", masquerade), comment: "pod" }),
    bytes: [
      "a4010000060a050c 0100000000000000 01000000", // NFT_MSG_NEWRULE; request, ack, create, append
      "09000100 7765667400000000", // NFTA_RULE_TABLE
      "0b000200 636865636b730000", // NFTA_RULE_CHAIN
      "6c010480", // NFTA_RULE_EXPRESSIONS: NFTA_LIST_ELEM, each NFTA_EXPR_NAME and NFTA_EXPR_DATA
      "24000180 090001006d65746100000000 14000280 0800010000000001 080002000000000f", // meta nfproto
      "2c000180 08000100636d7000 20000280 0800010000000001 0800020000000000 0c0003800500010002000000", // is IPv4
      "34000180 0c0001007061796c6f616400 24000280 0800010000000001 0800020000000001", // payload of the network header
      "080003000000000c 0800040000000004", // at 12, 4 bytes
      "2c000180 08000100636d7000 20000280 0800010000000001 0800020000000000 0c000380080001000a010005",
      "34000180 0c0001007061796c6f616400 24000280 0800010000000001 0800020000000001",
      "0800030000000010 0800040000000004",
      "44000180 0c00010062697477697365003400028008000100000000010800020000000001 0800030000000004", // bitwise
      "0c00048008000100ffffffc0 0c0005800800010000000000", // its mask, and nothing to xor
      "2c000180 08000100636d7000 20000280 0800010000000001 0800020000000001 0c000380080001000a010240", // is not
      "14000180 090001006d6173710000000004000280", // masq
      "0a000700 0004706f64000000", // NFTA_RULE_USERDATA
    ],
    attrs: {
      table: "weft",
      chain: "checks",
      userdata: hex("0004706f6400"),
      exprs: {
        elem: [
          { name: "meta", data: { dreg: 1, key: 15 } },
          { name: "cmp", data: { sreg: 1, op: 0, data: { value: hex("02") } } },
          { name: "payload", data: { dreg: 1, base: 1, offset: 12, len: 4 } },
          { name: "cmp", data: { sreg: 1, op: 0, data: { value: hex("0a010005") } } },
          { name: "payload", data: { dreg: 1, base: 1, offset: 16, len: 4 } },
          {
            name: "bitwise",
            data: { sreg: 1, dreg: 1, len: 4, mask: { value: hex("ffffffc0") }, xor: { value: hex("00000000") } },
          },
          { name: "cmp", data: { sreg: 1, op: 1, data: { value: hex("0a010240") } } },
          { name: "masq", data: {} },
        ],
      },
    },
  });

  goldenRequest("addRule that goes elsewhere", {
    request: addRule(post, { exprs: exprsOf("inet", rule([], { goto: "checks" })) }),
    bytes: [
      "6c000000060a050c 0100000000000000 01000000",
      "09000100 7765667400000000",
      "09000200 706f737400000000",
      "40000480 3c000180 0e000100696d6d6564696174650000002800028008000100000000001c000280", // immediate, register 0
      "18000280 08000100fffffffc 0b000200636865636b730000", // NFTA_DATA_VERDICT: NFT_GOTO, chain
    ],
    attrs: {
      table: "weft",
      chain: "post",
      exprs: { elem: [{ name: "immediate", data: { dreg: 0, data: { verdict: { code: -4, chain: "checks" } } } }] },
    },
  });

  goldenRequest("addRule before another", {
    request: addRule(checks, { exprs: exprsOf("inet", rule([], "drop")), before: 3n }),
    bytes: [
      "6c000000060a0504 0100000000000000 01000000", // not append
      "09000100 7765667400000000",
      "0b000200 636865636b730000",
      "0c000600 0000000000000003", // NFTA_RULE_POSITION
      "34000480 30000180 0e000100696d6d6564696174650000001c0002800800010000000000100002800c0002800800010000000000",
    ],
    attrs: {
      table: "weft",
      chain: "checks",
      position: 3n,
      exprs: { elem: [{ name: "immediate", data: { dreg: 0, data: { verdict: { code: 0 } } } }] },
    },
  });

  goldenRequest("delRule", {
    request: delRule(checks, 3n),
    bytes: [
      "38000000080a0500 0100000000000000 01000000",
      "09000100 7765667400000000",
      "0b000200 636865636b730000",
      "0c000300 0000000000000003", // NFTA_RULE_HANDLE
    ],
    attrs: { table: "weft", chain: "checks", handle: 3n },
  });

  for (const [name, request, type] of [
    ["flushChain", flushChain(post), "080a0500"],
    ["listRules", listRules(post), "070a0103"],
  ] as const)
    goldenRequest(name, {
      request,
      bytes: [`2c000000 ${type} 0100000000000000 01000000`, "09000100 7765667400000000", "09000200 706f737400000000"],
      attrs: { table: "weft", chain: "post" },
    });

  goldenRequest("addSet: a map of addresses and ports to verdicts", {
    request: addSet(ports, { key: ["ipv4_addr", "inet_service"], value: "verdict", comment: "a map" }),
    bytes: [
      "70000000090a0504 0100000000000000 01000000",
      "09000100 7765667400000000", // NFTA_SET_TABLE
      "0a000200 706f727473000000", // NFTA_SET_NAME
      "08000300 00000008", // NFTA_SET_FLAGS: NFT_SET_MAP
      "08000400 000001cd", // NFTA_SET_KEY_TYPE: ipv4_addr << 6 | inet_service
      "08000500 00000008", // NFTA_SET_KEY_LEN
      "08000600 ffffff00", // NFTA_SET_DATA_TYPE: NFT_DATA_VERDICT
      "08000700 00000000", // NFTA_SET_DATA_LEN
      "08000a00 00000001", // NFTA_SET_ID
      "12000d00 000400000000 070661206d617000 0000", // NFTA_SET_USERDATA: no byte order, "a map"
    ],
    attrs: {
      table: "weft",
      name: "ports",
      flags: 8,
      keyType: 0x1cd,
      keyLength: 8,
      dataType: 0xffffff00,
      dataLength: 0,
      id: 1,
      userdata: hex("000400000000 070661206d617000"),
    },
  });

  goldenRequest("addElements", {
    request: addElements(ports, [{ key: portKey, value: { verdict: { code: -3, chain: "checks" } }, comment: "one" }]),
    bytes: [
      "6c0000000c0a0504 0100000000000000 01000000",
      "09000100 7765667400000000", // NFTA_SET_ELEM_LIST_TABLE
      "0a000200 706f727473000000", // NFTA_SET_ELEM_LIST_SET
      "40000380 3c000180", // NFTA_SET_ELEM_LIST_ELEMENTS: NFTA_LIST_ELEM
      "10000180 0c0001000a00000100500000", // NFTA_SET_ELEM_KEY
      "1c000280 18000280 08000100fffffffd 0b000200636865636b7300 00", // NFTA_SET_ELEM_DATA: jump
      "0a000600 00046f6e65000000", // NFTA_SET_ELEM_USERDATA
    ],
    attrs: {
      table: "weft",
      set: "ports",
      elements: {
        elem: [
          {
            key: { value: hex("0a000001 00500000") },
            data: { verdict: { code: -3, chain: "checks" } },
            userdata: hex("00046f6e6500"),
          },
        ],
      },
    },
  });

  goldenRequest("delElements", {
    request: delElements(ports, [portKey]),
    bytes: [
      "440000000e0a0500 0100000000000000 01000000",
      "09000100 7765667400000000",
      "0a000200 706f727473000000",
      "18000380 14000180 10000180 0c0001000a00000100500000",
    ],
    attrs: { table: "weft", set: "ports", elements: { elem: [{ key: { value: hex("0a000001 00500000") } }] } },
  });

  goldenRequest("delSet", {
    request: delSet(ports),
    bytes: ["2c0000000b0a0500 0100000000000000 01000000", "09000100 7765667400000000", "0a000200 706f727473000000"],
    attrs: { table: "weft", name: "ports" },
  });

  goldenRequest("listElements", {
    source: "answered by Linux 6.18",
    request: listElements(ports),
    bytes: ["2c0000000d0a0103 0100000000000000 01000000", "09000100 7765667400000000", "0a000200 706f727473000000"],
    attrs: { table: "weft", set: "ports" },
  });
});

const one = (lines: readonly string[]): Uint8Array => {
  const [payload, ...others] = payloadsOf(lines);
  if (payload === undefined || others.length > 0) throw new Error("want one message");
  return payload;
};

describe("replies", () => {
  test("a table", () => {
    const bytes = [
      "4c000000000a0000 0f00000053370000 01000003", // nfgenmsg: generation 3
      "09000100 7765667400000000",
      "08000300 00000003", // NFTA_TABLE_USE
      "0c000400 0000000000000001", // NFTA_TABLE_HANDLE
      "08000200 00000000",
      "0e000600 00086f662077656674000000",
    ];
    expect(decodeTable(one(bytes))).toEqual({ ...weft, handle: 1n, flags: 0, comment: "of weft" });
  });

  test("a chain at a hook, and one that is jumped to", () => {
    const bytes = [
      "6c000000030a0000 1000000053370000 01000003",
      "09000100 7765667400000000",
      "09000300 706f737400000000",
      "0c000200 0000000000000002", // NFTA_CHAIN_HANDLE
      "14000400 080001000000000408000200ffffff9c",
      "08000500 00000001",
      "08000700 6e617400",
      "08000a00 00000001", // NFTA_CHAIN_FLAGS: NFT_CHAIN_BASE
      "08000600 00000001", // NFTA_CHAIN_USE
    ];
    expect(decodeChain(one(bytes))).toEqual({
      ...post,
      handle: 2n,
      base: { type: "nat", hook: "postrouting", priority: -100, policy: "accept" },
      comment: undefined,
    });
    const jumpedTo = [
      "4c000000030a0000 1100000053370000 01000003",
      "09000100 7765667400000000",
      "0b000300 636865636b730000",
      "0c000200 0000000000000001",
      "08000600 00000003",
      "0a000c00 000477686f000000",
    ];
    expect(decodeChain(one(jumpedTo))).toEqual({ ...checks, handle: 1n, base: undefined, comment: "who" });
  });

  test("a rule that masquerades: the kernel says what kind of bitwise it is", () => {
    const bytes = [
      "b8010000060a0208 1200000053370000 01000003",
      "09000100 7765667400000000",
      "0b000200 636865636b730000",
      "0c000300 0000000000000003",
      "74010400",
      "24000100 090001006d6574610000000014000200080002000000000f0800010000000001",
      "2c000100 08000100636d700020000200080001000000000108000200000000000c0003000500010002000000",
      "34000100 0c0001007061796c6f6164002400020008000100000000010800020000000001080003000000000c0800040000000004",
      "2c000100 08000100636d700020000200080001000000000108000200000000000c000300080001000a010005",
      "34000100 0c0001007061796c6f616400240002000800010000000001080002000000000108000300000000100800040000000004",
      "4c000100 0c00010062697477697365003c00020008000100000000010800020000000001080003000000000408000600000000000c00",
      "040008000100ffffffc00c0005000800010000000000",
      "2c000100 08000100636d700020000200080001000000000108000200000000010c000300080001000a010240",
      "14000100 090001006d6173710000000004000200",
      "0a000700 0004706f64000000",
    ];
    const decoded = decodeRule(one(bytes));
    expect(decoded).toMatchObject({ ...checks, handle: 3n, comment: "pod" });
    expect(decoded?.exprs[5]).toEqual({
      name: "bitwise",
      data: { sreg: 1, dreg: 1, len: 4, op: 0, mask: { value: hex("ffffffc0") }, xor: { value: hex("00000000") } },
    });
    const nfproto = { field: "nfproto", is: "ipv4" };
    expect(decoded && phraseOf(decoded)).toEqual({
      match: [nfproto, saddr("10.1.0.5"), not(daddr("10.1.2.64/26"))],
      verdict: "masquerade",
    });
  });

  test("a rule that forwards a port: the kernel fills in ranges and flags", () => {
    const bytes = [
      "84010000060a0208 1300000053370000 02000003",
      "06000100 74000000",
      "06000200 63000000",
      "0c000300 0000000000000002",
      "54010400",
      "24000100 090001006d657461000000001400020008000200000000100800010000000001",
      "2c000100 08000100636d700020000200080001000000000108000200000000000c0003000500010006000000",
      "34000100 0c0001007061796c6f616400240002000800010000000001080002000000000208000300000000020800040000000002",
      "2c000100 08000100636d700020000200080001000000000108000200000000000c000300060001001f900000",
      "2c000100 0e000100696d6d6564696174650000001800020008000100000000010c000200080001000a010005",
      "2c000100 0e000100696d6d6564696174650000001800020008000100000000020c0002000600010000500000",
      "48000100 080001006e6174003c00020008000100000000010800020000000002080003000000000108000400000000010800050000000002",
      "08000600000000020800070000000003",
    ];
    const decoded = decodeRule(one(bytes));
    expect(decoded?.exprs.at(-1)).toEqual({
      name: "nat",
      data: { type: 1, family: 2, addrMin: 1, addrMax: 1, protoMin: 2, protoMax: 2, flags: 3 },
    });
    expect(decoded && phraseOf(decoded)).toEqual({
      match: [{ field: "l4proto", is: "tcp" }, ...toPod.match],
      verdict: toPod.verdict,
    });
  });

  test("a map and its elements, the last message without any", () => {
    const map = [
      "90000000090a0200 1400000053370000 01000003",
      "09000100 7765667400000000",
      "0a000200 706f727473000000",
      "0c001000 0000000000000005", // NFTA_SET_HANDLE
      "08000300 00000008",
      "08000400 000001cd",
      "08000500 00000008",
      "08000600 ffffff00",
      "08000700 00000010",
      "0c000d00 070661206d617000",
      "04000900", // NFTA_SET_DESC
      "17001300 3078666666666666666638323530386634300000",
      "08001400 00000001",
    ];
    expect(decodeSet(one(map))).toEqual({ ...ports, keyType: 0x1cd, keyLength: 8, isMap: true, comment: "a map" });
    const elements = [
      "6c0000000c0a0200 1500000053370000 01000003",
      "09000100 7765667400000000",
      "0a000200 706f727473000000",
      "40000300 3c000100",
      "100001000c0001000a000001005000001c0002001800020008000100fffffffd0b000200636865636b7300000a000600",
      "00046f6e65000000",
      "300000000c0a0200 1500000053370000 01000003",
      "09000100 7765667400000000",
      "0a000200 706f727473000000",
      "04000300",
    ];
    expect(payloadsOf(elements).map(decodeElements)).toEqual([
      [{ key: portKey, value: { verdict: { code: -3, chain: "checks" } }, comment: "one" }],
      [],
    ]);
  });
});

describe("refused bytes", () => {
  test.each([
    [addTable(weft), "05000200 00000000", "NFTA_TABLE.flags: want 4 bytes, got 1"],
    [addChain(post), "0c000480 06000100 00000000", "NFTA_HOOK.hook: want 4 bytes, got 2"],
    [delRule(post, 1n), "08000300 00000001", "NFTA_RULE.handle: want 8 bytes, got 4"],
    [delRule(post, 1n), "08000480 08000180", "NFTA_LIST: attribute at byte 4 claims 8 of 4 bytes"],
    [
      delRule(post, 1n),
      "24000480 20000180 09000100 6d65746100000000 10000280 05000100 01000000 04000200",
      "NFTA_META.dreg: want 4 bytes, got 1",
    ],
  ])("%#: %s", (request, bytes, words) => {
    refused(setOf(request), bytes, words);
  });

  test("messages that lack what the kernel always sends", () => {
    expect(() => decodeTable(hex("0100"))).toThrow(new WireError("nfgenmsg: want 4 bytes, got 2"));
    expect(() => decodeTable(hex("01000000"))).toThrow(new WireError("NFTA_TABLE.name: missing"));
    expect(() => decodeChain(hex("01000000 06000100 61000000"))).toThrow(new WireError("NFTA_CHAIN.name: missing"));
    expect(() => decodeRule(hex("01000000 06000100 61000000 06000200 61000000"))).toThrow(
      new WireError("NFTA_RULE.handle: missing"),
    );
    expect(() => decodeSet(hex("01000000"))).toThrow(new WireError("NFTA_SET.table: missing"));
  });

  test("families without a name are nobody's to list", () => {
    for (const decode of [decodeTable, decodeChain, decodeRule, decodeSet])
      expect(decode(hex("63000000"))).toBeUndefined();
    expect(decodeElements(hex("63000000"))).toEqual([]);
  });
});
