// Framing, acks and dumps over a socket whose kernel is this file. What a kernel really said is marked as received.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ack, fakeSocket, frame, hex } from "../../../testing/golden.ts";
import { systemError } from "../../host/errno.ts";
import { attrSet, WireError } from "./attrs.ts";
import { Conversation, NLM_F_ACK, NLM_F_DUMP, parseFrames, type Request } from "./conversation.ts";
import { NetlinkError } from "./error.ts";
import { cstring, nest, u32 } from "./kinds.ts";

const NLM_F_MULTI = 2;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_DONE = 3;

const inner = attrSet("INNER", { deep: [1, u32] });
const set = attrSet("OUTER", { name: [3, cstring], nested: [18, nest(inner)] });

function request(operation: string, flags: number, name = operation): Request {
  return {
    operation,
    type: 16,
    flags,
    header: [0, 0, 0, 0],
    attrs: (writer) => set.encode(writer, { nested: { deep: 1 }, name }),
    set,
  };
}
const change = (operation: string) => request(operation, NLM_F_ACK);
const ask = (operation: string) => request(operation, 0);
const list = request("list", NLM_F_DUMP);

const word = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
const done = (sequence: number, flags = NLM_F_MULTI, errno = 0) => frame(NLMSG_DONE, sequence, word(-errno), flags);
const joined = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const sequences = (sent: Uint8Array) => parseFrames(sent).map(({ sequence }) => sequence);

/** What `body` throws, which it must. */
function refusal(body: () => unknown): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  throw new Error("not refused");
}

describe("framing", () => {
  const header = "14000000 1000 0200 07000000 00000000";

  test("messages of a datagram, padded or not", () => {
    const first = `15000000 1000 0200 07000000 00000000 0102030405 000000`;
    expect(parseFrames(hex(first, header, "aabbccdd"))).toEqual([
      { type: 16, flags: 2, sequence: 7, payload: hex("0102030405") },
      { type: 16, flags: 2, sequence: 7, payload: hex("aabbccdd") },
    ]);
    expect(parseFrames(hex())).toEqual([]);
  });

  test.each([
    [`${header} aabbcc`, "netlink message at byte 0 claims 20 of 19 bytes"],
    [`${header} aabbccdd 14000000`, "netlink message at byte 20 claims 20 of 4 bytes"],
    ["0f000000 1000 0200 07000000 00000000", "netlink message at byte 0 claims 15 of 16 bytes"],
    ["00000000 1000 0200 07000000 00000000", "netlink message at byte 0 claims 0 of 16 bytes"],
    ["ffffffff 1000 0200 07000000 00000000", "netlink message at byte 0 claims 4294967295 of 16 bytes"],
    ["10000000 1000 0200 07000000 000000", "netlink message at byte 0 claims 16 of 15 bytes"],
    ["1000", "netlink message at byte 0 claims 0 of 2 bytes"],
  ])("%s", (bytes, words) => {
    expect(() => parseFrames(hex(bytes))).toThrow(new WireError(words));
  });

  test("any bytes, lying anywhere in memory: the same messages or the same WireError", () => {
    const anyFrame = fc
      .tuple(fc.nat(0xffff), fc.nat(), fc.uint8Array({ maxLength: 40 }), fc.nat(0xffff))
      .map(([type, sequence, payload, flags]) => frame(type, sequence, payload, flags));
    const datagram = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.array(anyFrame, { maxLength: 3 }).map((frames) => joined(...frames)),
      fc.tuple(anyFrame, fc.uint8Array({ maxLength: 40 })).map(([one, noise]) => joined(one, noise)),
    );
    const outcome = (bytes: Uint8Array) => {
      try {
        return parseFrames(bytes);
      } catch (error) {
        if (error instanceof WireError) return error.message;
        throw error;
      }
    };
    fc.assert(
      fc.property(datagram, fc.integer({ min: 1, max: 3 }), (bytes, offset) => {
        const elsewhere = new Uint8Array(bytes.length + offset);
        elsewhere.set(bytes, offset);
        expect(outcome(elsewhere.subarray(offset))).toEqual(outcome(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  test("what was framed is read again", () => {
    fc.assert(
      fc.property(
        // An ack is read as no more than that.
        fc
          .nat(0xffff)
          .filter((type) => type !== 2 && type !== 3),
        fc.nat(0xffffffff),
        fc.uint8Array(),
        fc.nat(0xffff),
        (type, sequence, payload, flags) => {
          expect(parseFrames(frame(type, sequence, payload, flags))).toEqual([{ type, sequence, payload, flags }]);
        },
      ),
    );
  });
});

describe("exchange", () => {
  test("several requests go out in one datagram, each with its own number", () => {
    const socket = fakeSocket((sent) => sequences(sent).map((sequence) => ack(sequence)));
    const conversation = new Conversation(socket);
    expect(conversation.exchange([change("a"), change("b")])).toEqual([undefined, undefined]);
    conversation.exchange([change("c")]);
    expect(socket.sent.map(sequences)).toEqual([[1, 2], [3]]);
  });

  test.each(["a", "ab", "abc", "abcd", "\u00e9"])(
    "%s: what an earlier request left behind, of whatever conversation, is nowhere in a later one",
    (name) => {
      const sentFor = (changes: readonly Request[]): Uint8Array | undefined => {
        const socket = fakeSocket((sent) => sequences(sent).map((sequence) => ack(sequence)));
        new Conversation(socket).exchange(changes);
        return socket.sent[0];
      };
      const before = sentFor([change(name), change(name)]);
      expect(sentFor(["\u00ff", "x"].map((each) => change(each.repeat(5000))))?.length).toBeGreaterThan(15_000);
      const fails = {
        ...change("fails"),
        attrs: () => {
          throw new WireError("while it is written");
        },
      };
      expect(() => sentFor([change("x".repeat(5000)), fails])).toThrow(WireError);
      expect(sentFor([change(name), change(name)])).toEqual(before);
    },
  );

  test("a question gets its reply, beside a change that gets an ack", () => {
    const socket = fakeSocket(() => [ack(1), frame(16, 2, word(42))]);
    const [nothing, reply] = new Conversation(socket).exchange([change("a"), ask("b")]);
    expect([nothing, reply?.payload]).toEqual([undefined, word(42)]);
  });

  test("a change that is echoed is over with its ack, not before", () => {
    const socket = fakeSocket(() => [frame(16, 1, word(42)), ack(1, 17)]);
    expect(refusal(() => new Conversation(socket).exchange([change("a")]))).toMatchObject({ errno: 17 });
  });

  test("the first refusal is thrown after every answer was read", () => {
    const answers = [[ack(1), ack(2, 17), ack(3, 19), ack(4)], [ack(5)]];
    const socket = fakeSocket(() => answers.shift() ?? []);
    const conversation = new Conversation(socket);
    const thrown = refusal(() => conversation.exchange(["a", "b", "c", "d"].map(change)));
    expect(thrown).toBeInstanceOf(NetlinkError);
    expect(thrown).toMatchObject({ operation: "b", errno: 17, errnoName: "EEXIST", message: "b: file exists" });
    expect(conversation.exchange([change("e")])).toEqual([undefined]);
    answers.push([ack(6, 19), ack(7), ack(8, 1)]);
    const refusals = conversation.attempt(["f", "g", "h"].map(change));
    expect(refusals.map(({ message }) => message)).toEqual(["f: no such device", "h: operation not permitted"]);
  });

  test("answers to what was asked before, and to nobody, are passed over", () => {
    const answers = [
      [ack(9, 1), ack(0, 1), joined(ack(0xffffffff, 1), frame(16, 77, word(1))), ack(1)],
      [ack(1, 17), ack(2)],
    ];
    const conversation = new Conversation(fakeSocket(() => answers.shift() ?? []));
    expect(conversation.exchange([change("a")])).toEqual([undefined]);
    expect(conversation.exchange([change("b")])).toEqual([undefined]);
  });

  test("an error too short for an errno is refused", () => {
    const socket = fakeSocket(() => [frame(2, 1, hex("0000"))]);
    expect(() => new Conversation(socket).exchange([change("a")])).toThrow(new WireError("netlink error of 2 bytes"));
  });

  test("an error that is nothing but an errno is one", () => {
    const socket = fakeSocket(() => [frame(2, 1, word(-17))]);
    expect(refusal(() => new Conversation(socket).exchange([change("a")]))).toMatchObject({ errno: 17 });
  });

  test("an echo that is said to be longer than the message has no attributes after it", () => {
    const NLM_F_ACK_TLVS = 0x200;
    for (const echoed of [64, 0x7ffffffc, 0xfffffffc, 0xffffffff]) {
      const payload = joined(word(-17), word(echoed), new Uint8Array(12));
      const socket = fakeSocket(() => [frame(2, 1, payload, NLM_F_ACK_TLVS)]);
      expect(refusal(() => new Conversation(socket).exchange([change("a")]))).toMatchObject({
        errno: 17,
        attribute: undefined,
      });
    }
  });

  test("what the socket throws comes through", () => {
    const socket = fakeSocket(() => []);
    expect(() => new Conversation(socket).exchange([change("a")])).toThrow("a read with nothing left to come");
  });
});

describe("transact", () => {
  const frameOf = (operation: string) => request(operation, 0);
  const batch = [frameOf("begin"), change("a"), change("b"), change("c"), frameOf("end")];
  const EAGAIN = () => {
    throw systemError("recv", 11);
  };
  const ENOBUFS = () => {
    throw systemError("recv", 105);
  };
  /** A socket that reads these, one after the other. */
  const reading = (...reads: (Uint8Array | (() => never))[]) => ({
    ...fakeSocket(() => []),
    receive() {
      const next = reads.shift();
      if (next === undefined) throw new Error("a read with nothing left to come");
      return typeof next === "function" ? next() : next;
    },
  });
  const thrownBy = (...reads: (Uint8Array | (() => never))[]) =>
    refusal(() => new Conversation(reading(...reads)).transact(batch));

  test("goes out in one datagram, and is over with the ack of the last change, the only one asked for", () => {
    const socket = fakeSocket(() => [ack(4)]);
    new Conversation(socket).transact(batch);
    expect(socket.sent).toHaveLength(1);
    const [sent = new Uint8Array()] = socket.sent;
    expect(parseFrames(sent).map(({ sequence, flags }) => [sequence, flags])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
      [4, 1 | NLM_F_ACK],
      [5, 1],
    ]);
  });

  test("the first refusal is thrown, after the answer to the last", () => {
    expect(thrownBy(ack(2, 17), ack(3, 2), ack(4))).toMatchObject({ operation: "a", errno: 17 });
    expect(thrownBy(joined(ack(3, 2), ack(4, 2)))).toMatchObject({ operation: "b", errno: 2 });
    expect(thrownBy(ack(4, 16))).toMatchObject({ operation: "c", errno: 16 });
  });

  test("a refusal of the whole is said of its frame, and nothing else is said", () => {
    expect(thrownBy(ack(1, 85))).toMatchObject({ operation: "begin", errno: 85, errnoName: "ERESTART" });
  });

  test("answers to what was asked before are passed over", () => {
    expect(thrownBy(ack(99, 1), frame(16, 3, word(1)), ack(4, 16))).toMatchObject({ operation: "c" });
  });

  test("more refusals than the socket holds: the first is thrown, the others are not waited for", () => {
    expect(thrownBy(ENOBUFS, ack(2, 17), ack(3, 17), EAGAIN)).toMatchObject({ operation: "a", errno: 17 });
    expect(thrownBy(ENOBUFS, ENOBUFS)).toMatchObject({ errno: 105 });
    expect(thrownBy(EAGAIN)).toMatchObject({ errno: 11, syscall: "recv" });
  });

  test("needs a frame and a change", () => {
    expect(() => new Conversation(fakeSocket(() => [])).transact([])).toThrow(TypeError);
    expect(() => new Conversation(fakeSocket(() => [])).transact([frameOf("begin")])).toThrow(TypeError);
  });
});

describe("extended acks", () => {
  const policy = "14000480 080007000f000000080001000b000000"; // NLMSGERR_ATTR_POLICY
  const text = "27000100 417474726962757465206661696c656420706f6c6963792076616c69646174696f6e0000"; // NLMSGERR_ATTR_MSG

  /** `ip link add sixteen-letters0 type bridge`, as a request of ours: IFLA_ADDRESS, IFLA_IFNAME at byte 44. */
  const table = attrSet("IFLA", { mac: [1, cstring], name: [3, cstring] });
  const tooLong: Request = {
    ...change('link add "sixteen-letters0"'),
    set: table,
    attrs: (writer) => table.encode(writer, { mac: "12345", name: "sixteen-letters0" }),
  };

  test.each([
    ["capped, as received", ["6800000002000003 0100000000000000", "deffffff", "54000000100005060100000000000000"]],
    [
      "uncapped, as received on a socket without NETLINK_CAP_ACK",
      [
        "ac00000002000002 0100000000000000",
        "deffffff",
        "5400000010000506010000000000000000000000000000000000000000000000",
        "0a0001000a580af401010000150003007369787465656e2d6c65747465727330",
        "00000000100012000b0001006272696467650000",
      ],
    ],
  ])("%s: the kernel's words, and the name of what they are about", (_, begin) => {
    const socket = fakeSocket(() => [hex(...begin, text, "08000200 2c000000", policy)]);
    expect(refusal(() => new Conversation(socket).exchange([tooLong]))).toMatchObject({
      errno: 34,
      attribute: "IFLA.name",
      kernelText: "Attribute failed policy validation",
      message:
        'link add "sixteen-letters0": numerical result out of range at IFLA.name (kernel: "Attribute failed policy validation")',
    });
  });

  /** A refusal that points at a byte of the request that it answers, which is the second of two. */
  function pointing(offset: number): unknown {
    const socket = fakeSocket(() => [
      ack(1),
      frame(2, 2, joined(word(-22), new Uint8Array(16), hex("08000200"), word(offset)), 0x300),
    ]);
    return refusal(() => new Conversation(socket).exchange([change("a longer name"), change("b")]));
  }

  test.each([
    [32, "OUTER.nested"],
    [36, "INNER.deep"],
    [40, "INNER.deep"],
    [44, "OUTER.name"],
    [16, undefined],
    [52, undefined],
    [0xfffffff, undefined],
  ])("byte %d of a request is %s", (offset, attribute) => {
    expect(pointing(offset)).toMatchObject({ operation: "b", errno: 22, attribute });
  });

  test("a warning beside an ack is no refusal", () => {
    const socket = fakeSocket(() => [frame(2, 1, joined(word(0), new Uint8Array(16), hex(text)), 0x300)]);
    expect(new Conversation(socket).exchange([change("a")])).toEqual([undefined]);
  });
});

describe("dump", () => {
  const one = (sequence: number, value: number, flags = NLM_F_MULTI) => frame(16, sequence, word(value), flags);
  const values = (socket: ReturnType<typeof fakeSocket>) =>
    new Conversation(socket).dump(list).map(({ payload }) => payload[0]);

  test("the list ends with NLMSG_DONE, over as many datagrams as it takes", () => {
    expect(values(fakeSocket(() => [joined(one(1, 1), one(1, 2)), one(1, 3), done(1)]))).toEqual([1, 2, 3]);
    expect(values(fakeSocket(() => [joined(one(1, 1), done(1))]))).toEqual([1]);
    expect(values(fakeSocket(() => [done(1)]))).toEqual([]);
  });

  test("foreign messages are passed over", () => {
    expect(values(fakeSocket(() => [one(0, 9), joined(one(2, 8), one(1, 1)), done(7), done(1)]))).toEqual([1]);
  });

  test("a list that changed under the reader is asked for again", () => {
    const answers = [
      [one(1, 1, NLM_F_MULTI | NLM_F_DUMP_INTR), one(1, 2), done(1)],
      [one(2, 1), done(2, NLM_F_MULTI | NLM_F_DUMP_INTR)],
      [one(3, 1), one(3, 3), done(3)],
    ];
    const socket = fakeSocket(() => answers.shift() ?? []);
    expect(values(socket)).toEqual([1, 3]);
    expect(socket.sent.map(sequences)).toEqual([[1], [2], [3]]);
  });

  test("one that never holds still is taken as it was the fifth time, unless it must be whole", () => {
    let round = 0;
    const restless = () =>
      fakeSocket(() => {
        round++;
        return [one(round, round, NLM_F_MULTI | NLM_F_DUMP_INTR), done(round)];
      });
    const socket = restless();
    expect(values(socket)).toEqual([5]);
    expect(socket.sent).toHaveLength(5);
    round = 0;
    expect(refusal(() => new Conversation(restless()).dumpWhole(list))).toMatchObject({
      errnoName: "EAGAIN",
      message: "list, which changed 5 times while it was read: resource temporarily unavailable",
    });
  });

  test("a refusal comes in NLMSG_DONE: as received for the addresses of a link that is not there", () => {
    const socket = fakeSocket(() => [hex("1400000003002200 0100000000000000", "edffffff")]);
    expect(refusal(() => new Conversation(socket).dump(list))).toMatchObject({ operation: "list", errno: 19 });
  });

  test("the kernel's words follow the errno in NLMSG_DONE", () => {
    const words = joined(hex("0b000100"), new TextEncoder().encode("not so\0"));
    const socket = fakeSocket(() => [one(1, 1), frame(NLMSG_DONE, 1, joined(word(-22), words), NLM_F_MULTI | 0x200)]);
    expect(refusal(() => new Conversation(socket).dump(list))).toMatchObject({ errno: 22, kernelText: "not so" });
  });

  test("or in NLMSG_ERROR", () => {
    const socket = fakeSocket(() => [ack(1, 95)]);
    expect(refusal(() => new Conversation(socket).dump(list))).toMatchObject({ errno: 95 });
  });
});

test("notifications are messages of the protocol, without netlink's own", () => {
  const sockets = {
    ...fakeSocket(() => []),
    receive: () => joined(ack(0), frame(16, 0, word(1)), frame(20, 5, word(2))),
  };
  expect(new Conversation(sockets).notifications(10).map(({ type }) => type)).toEqual([16, 20]);
});
