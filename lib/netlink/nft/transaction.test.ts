// How a change is sent and when it is decided again, over a socket whose kernel is this file.
import { describe, expect, test } from "vitest";
import { ack, fakeSocket, frame, hex } from "../../../testing/golden.ts";
import type { Host } from "../../host/host.ts";
import { parseFrames } from "../wire/conversation.ts";
import { openNft } from "./open.ts";
import { addTable } from "./table.ts";

const change = addTable({ family: "ip", table: "t" });
const NFT_MSG_NEWGEN = 0xa0f;
const NFT_MSG_GETGEN = 0xa10;
const BATCH_BEGIN = 0x10;

/** A kernel at these generations, one for each time it is asked, that answers each transaction with an errno. */
function kernel({ generations, errnos }: { generations: readonly number[]; errnos: readonly number[] }) {
  const left = { generations: [...generations], errnos: [...errnos] };
  const slept: number[] = [];
  const socket = fakeSocket((sent) => {
    const [first, ...rest] = parseFrames(sent);
    if (first === undefined) return [];
    if (first.type === NFT_MSG_GETGEN)
      return [frame(NFT_MSG_NEWGEN, first.sequence, hex("00000000 08000100", word(left.generations.shift() ?? 0)))];
    const errno = left.errnos.shift() ?? 0;
    return [errno === 0 ? ack(rest.at(-2)?.sequence ?? 0) : ack(first.sequence, errno)];
  });
  const host = {
    netlink: () => socket,
    sleepMs: (ms: number) => void slept.push(ms),
    // The largest chance there is.
    random: () => Uint8Array.of(255),
  } as unknown as Host;
  return { nft: openNft(host), socket, slept };
}

const word = (value: number): string => value.toString(16).padStart(8, "0");
const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("hex");
const batches = (sent: readonly Uint8Array[]) => sent.filter((each) => parseFrames(each)[0]?.type === BATCH_BEGIN);

test("a transaction on a generation, as Linux 6.18 took it", () => {
  const { nft, socket } = kernel({ generations: [0x102], errnos: [] });
  expect(nft.update(() => [change, change])).toBe(true);
  expect(socket.sent.map(text)).toEqual(
    [
      hex("14000000 100a0100 0100000000000000", "00000000"), // NFT_MSG_GETGEN
      hex(
        "1c000000 10000100 0200000000000000 0000000a", // NFNL_MSG_BATCH_BEGIN; res_id: NFNL_SUBSYS_NFTABLES
        "08000100 00000102", // NFNL_BATCH_GENID
        "24000000 000a0104 0300000000000000 02000000 06000100 74000000 08000200 00000000",
        "24000000 000a0504 0400000000000000 02000000 06000100 74000000 08000200 00000000", // asks for an ack
        "14000000 11000100 0500000000000000 0000000a", // NFNL_MSG_BATCH_END
      ),
    ].map(text),
  );
});

test("one that is decided on nothing names no generation, and an empty one is not sent", () => {
  const { nft, socket } = kernel({ generations: [], errnos: [] });
  nft.apply();
  expect(socket.sent).toEqual([]);
  nft.apply(change);
  expect(socket.sent.map(text)).toEqual([
    text(
      hex(
        "14000000 10000100 0100000000000000 0000000a",
        "24000000 000a0504 0200000000000000 02000000 06000100 74000000 08000200 00000000",
        "14000000 11000100 0300000000000000 0000000a",
      ),
    ),
  ]);
});

describe("decided again", () => {
  test.each([
    ["ERESTART", 85],
    ["EAGAIN", 11],
    ["EINTR", 4],
  ])("after %s, on the generation that is there then", (_, errno) => {
    const { nft, socket, slept } = kernel({ generations: [7, 8, 9], errnos: [errno, errno] });
    let asked = 0;
    expect(
      nft.update(() => {
        asked++;
        return [change];
      }),
    ).toBe(true);
    expect([asked, slept]).toEqual([3, []]);
    const named = batches(socket.sent).map((each) => text(each.subarray(20, 28)));
    expect(named).toEqual(["0800010000000007", "0800010000000008", "0800010000000009"]);
  });

  test("not after anything else", () => {
    const { nft } = kernel({ generations: [7, 8], errnos: [16] });
    let asked = 0;
    const decide = () => {
      asked++;
      return [change];
    };
    expect(() => nft.update(decide)).toThrow("nft transaction: device or resource busy");
    expect(asked).toBe(1);
  });

  test("a change that nothing was decided on is not", () => {
    const { nft, socket } = kernel({ generations: [], errnos: [11] });
    expect(() => nft.apply(change)).toThrow("nft transaction: resource temporarily unavailable");
    expect(socket.sent).toHaveLength(1);
  });

  test("nothing to do is only so where the generation stayed", () => {
    const { nft, socket } = kernel({ generations: [7, 8, 8, 8], errnos: [] });
    let asked = 0;
    expect(
      nft.update(() => {
        asked++;
        return [];
      }),
    ).toBe(false);
    expect([asked, socket.sent.length, batches(socket.sent).length]).toEqual([2, 4, 0]);
  });

  test("at once a few times, then a little later, and not for ever", () => {
    const { nft, socket, slept } = kernel({ generations: [], errnos: Array<number>(110).fill(85) });
    expect(() => nft.update(() => [change])).toThrow("others changed the ruleset 100 times meanwhile: resource tempor");
    expect(batches(socket.sent)).toHaveLength(100);
    expect([slept.length, slept.slice(0, 7)]).toEqual([96, [2, 4, 8, 16, 32, 64, 64]]);
  });
});
