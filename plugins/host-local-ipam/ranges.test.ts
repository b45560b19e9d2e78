import fc from "fast-check";
import IPCIDR from "ip-cidr";
import { describe, expect, test } from "vitest";
import { formatIp, parseIp, type Ip } from "../../lib/ip/ip.ts";
import { formatPrefix, parsePrefix } from "../../lib/ip/prefix.ts";
import {
  candidates,
  canonicalRange,
  canonicalSet,
  capacityOf,
  formatSet,
  overlappingSets,
  rangeOf,
  type GivenRange,
  type RangeSet,
} from "./ranges.ts";

function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** "10.9.0.0/29 .start=10.9.0.2 .end=10.9.0.5 .gateway=10.9.0.1", whatever is left out is left out. */
function given(text: string): GivenRange {
  const [subnet = "", ...more] = text.split(" ");
  const field = (name: string) => {
    const found = more.find((each) => each.startsWith(`.${name}=`));
    return found === undefined ? undefined : ip(found.slice(name.length + 2));
  };
  return {
    subnet: subnet === "-" ? undefined : parsePrefix(subnet),
    rangeStart: field("start"),
    rangeEnd: field("end"),
    gateway: field("gateway"),
  };
}
const set = (...ranges: string[]): RangeSet => canonicalSet(ranges.map(given));
const order = (of: RangeSet, last?: string): string[] =>
  [...candidates(of, last === undefined ? undefined : ip(last))].map((each) => formatIp(each.ip));

describe("a range is filled in", () => {
  test.each([
    ["10.9.0.0/24", "10.9.0.1", "10.9.0.254", "10.9.0.1"],
    ["10.9.0.0/30", "10.9.0.1", "10.9.0.2", "10.9.0.1"],
    ["0.0.0.0/0", "0.0.0.1", "255.255.255.254", "0.0.0.1"],
    ["fd00:9::/64", "fd00:9::1", "fd00:9::ffff:ffff:ffff:ffff", "fd00:9::1"],
    ["fd00:9::/126", "fd00:9::1", "fd00:9::3", "fd00:9::1"],
    ["::/0", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::1"],
    ["10.9.0.0/24 .start=10.9.0.9", "10.9.0.9", "10.9.0.254", "10.9.0.1"],
    ["10.9.0.0/24 .end=10.9.0.9", "10.9.0.1", "10.9.0.9", "10.9.0.1"],
    ["10.9.0.0/24 .start=10.9.0.0 .end=10.9.0.255", "10.9.0.0", "10.9.0.255", "10.9.0.1"],
    ["10.9.0.0/24 .start=10.9.0.9 .end=10.9.0.9", "10.9.0.9", "10.9.0.9", "10.9.0.1"],
    ["10.9.0.0/24 .gateway=192.0.2.1", "10.9.0.1", "10.9.0.254", "192.0.2.1"],
    ["10.9.0.0/24 .gateway=fd00::1", "10.9.0.1", "10.9.0.254", "fd00::1"],
  ])("%s", (text, start, end, gateway) => {
    const range = canonicalRange(given(text));
    expect([range.start, range.end, range.gateway].map(formatIp)).toEqual([start, end, gateway]);
    expect(formatPrefix(range.subnet)).toBe(text.split(" ")[0]);
  });
});

describe("a range is refused, and the first rule it breaks is named", () => {
  const start = "RangeStart";
  test.each([
    ["-", "IP <nil> not v4 nor v6"],
    ["192.0.2.0/31", "Network 192.0.2.0/31 too small to allocate from"],
    ["192.0.2.0/32", "Network 192.0.2.0/32 too small to allocate from"],
    ["fd00::/127", "Network fd00::/127 too small to allocate from"],
    ["192.0.2.1/31", "Network 192.0.2.1/31 too small to allocate from"],
    ["192.0.2.7/24", "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0"],
    ["fd00::7/64", "Network has host bits set. For a subnet mask of length 64 the network address is fd00::"],
    [
      "192.0.2.7/24 .start=10.0.0.1",
      "Network has host bits set. For a subnet mask of length 24 the network address is 192.0.2.0",
    ],
    ["10.9.0.0/24 .start=10.8.0.1", `${start} 10.8.0.1 not in network 10.9.0.0/24`],
    ["10.9.0.0/24 .start=fd00::1", `${start} fd00::1 not in network 10.9.0.0/24`],
    ["10.9.0.0/24 .start=10.9.0.9 .end=10.9.0.8", `${start} 10.9.0.9 not in network 10.9.0.0/24`],
    ["10.9.0.0/24 .start=10.8.0.1 .end=10.7.0.1", `${start} 10.8.0.1 not in network 10.9.0.0/24`],
    ["10.9.0.0/24 .end=10.10.0.1", "RangeEnd 10.10.0.1 not in network 10.9.0.0/24"],
    ["10.9.0.0/24 .end=10.9.0.0", "RangeEnd 10.9.0.0 not in network 10.9.0.0/24"],
    ["10.9.0.0/24 .start=10.9.0.9 .end=10.9.1.9", "RangeEnd 10.9.1.9 not in network 10.9.0.0/24"],
    // Go lets this one through and walks out of the subnet.
    ["10.9.0.0/24 .start=10.9.0.255", "RangeStart 10.9.0.255 leaves no address before the end of network 10.9.0.0/24"],
  ])("%s", (text, message) => {
    expect(() => canonicalRange(given(text))).toThrow(new Error(message));
  });
});

describe("ranges are checked together", () => {
  test.each([
    [[], "empty range set"],
    [["10.9.0.0/24", "fd00::/64"], "mixed address families"],
    [["10.9.0.0/24", "10.9.0.0/25"], "subnets 10.9.0.1-10.9.0.254 and 10.9.0.1-10.9.0.126 overlap"],
    [["10.9.0.64/26", "10.8.0.0/24", "10.9.0.0/24"], "subnets 10.9.0.65-10.9.0.126 and 10.9.0.1-10.9.0.254 overlap"],
    [["10.9.0.0/24", "10.8.0.0/31"], "Network 10.8.0.0/31 too small to allocate from"],
  ])("%j", (ranges, message) => {
    expect(() => set(...ranges)).toThrow(new Error(message));
  });

  test("one subnet may have several ranges that do not meet", () => {
    const two = set("10.9.0.0/24 .start=10.9.0.5 .end=10.9.0.9", "10.9.0.0/24 .start=10.9.0.10 .end=10.9.0.12");
    expect(formatSet(two)).toBe("10.9.0.5-10.9.0.9,10.9.0.10-10.9.0.12");
  });

  test.each<[string[][], [number, number] | undefined]>([
    [[["10.9.0.0/24"], ["10.10.0.0/24"], ["fd00::/64"]], undefined],
    [
      [["10.9.0.0/24"], ["10.10.0.0/24"], ["10.11.0.0/24", "10.9.0.0/25"]],
      [0, 2],
    ],
    [
      [["fd00::/64"], ["10.9.0.0/24"], ["10.9.0.128/25"]],
      [1, 2],
    ],
    [[["10.9.0.0/25"], ["10.9.0.128/25"]], undefined],
  ])("sets %j", (sets, expected) => {
    expect(overlappingSets(sets.map((each) => set(...each)))).toEqual(expected);
  });
});

describe("the order in which addresses are handed out", () => {
  test.each<[string, string[], string | undefined, string[]]>([
    ["from the start", ["10.9.0.0/29"], undefined, ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]],
    ["after the last", ["10.9.0.0/29"], "10.9.0.3", ["10.9.0.4", "10.9.0.5", "10.9.0.6", "10.9.0.2", "10.9.0.3"]],
    ["after the end", ["10.9.0.0/29"], "10.9.0.6", ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]],
    ["a last one outside", ["10.9.0.0/30"], "10.9.7.7", ["10.9.0.2"]],
    ["a last one of the other family", ["10.9.0.0/30"], "::a09:2", ["10.9.0.2"]],
    ["after the gateway", ["10.9.0.0/29"], "10.9.0.1", ["10.9.0.2", "10.9.0.3", "10.9.0.4", "10.9.0.5", "10.9.0.6"]],
    ["the next range", ["10.9.0.0/30", "10.9.1.0/30"], "10.9.0.2", ["10.9.1.2", "10.9.0.2"]],
    ["back to the first range", ["10.9.0.0/30", "10.9.1.0/30"], "10.9.1.2", ["10.9.0.2", "10.9.1.2"]],
    ["a gateway of one's own", ["10.9.0.0/30 .gateway=10.9.0.2"], undefined, ["10.9.0.1"]],
    [
      "another range's gateway is no gateway here",
      ["10.9.0.0/30 .gateway=10.9.1.2", "10.9.1.0/30"],
      undefined,
      ["10.9.0.1", "10.9.0.2", "10.9.1.2"],
    ],
    ["one address", ["10.9.0.0/24 .start=10.9.0.5 .end=10.9.0.5"], "10.9.0.5", ["10.9.0.5"]],
    ["nothing but the gateway", ["10.9.0.0/24 .start=10.9.0.1 .end=10.9.0.1"], undefined, []],
    ["IPv6 to its last", ["fd00::/126"], undefined, ["fd00::2", "fd00::3"]],
  ])("%s", (_, ranges, last, expected) => {
    expect(order(set(...ranges), last)).toEqual(expected);
  });

  test("an IPv6 /64 starts at once", () => {
    const [first] = candidates(set("fd00:9::/64"), undefined);
    expect(first && formatIp(first.ip)).toBe("fd00:9::2");
  });
});

/** The successor as the contract tells it, one address at a time: the judge of candidates(). */
function walk(ranges: RangeSet, last: Ip | undefined): string[] {
  const found: string[] = [];
  let at = last === undefined ? -1 : ranges.findIndex((range) => rangeOf([range], last) !== undefined);
  let value = at < 0 ? undefined : last?.value;
  let first: string | undefined;
  for (;;) {
    if (value === undefined || value === ranges[at]?.end.value) {
      at = (at + 1) % ranges.length;
      value = ranges[at]?.start.value ?? 0n;
    } else value += 1n;
    const text = formatIp({ family: ranges[0]?.start.family ?? 4, value });
    if (text === first) return found;
    first ??= text;
    const gateway = ranges[at]?.gateway;
    if (gateway === undefined || text !== formatIp(gateway)) found.push(text);
  }
}

describe("sets nobody thought of", () => {
  /** One to three disjoint small ranges, some with a given start, end, gateway; a last address in or near them. */
  const anySet = fc
    .record({
      base: fc.constantFrom("10.9.", "fd00:9::"),
      ranges: fc.uniqueArray(
        fc.record({
          third: fc.nat(3),
          length: fc.integer({ min: 27, max: 30 }),
          skip: fc.option(fc.nat(3)),
          drop: fc.option(fc.nat(2)),
          gateway: fc.option(fc.nat(31)),
        }),
        { minLength: 1, maxLength: 3, selector: ({ third }) => third },
      ),
      last: fc.option(fc.record({ third: fc.nat(4), host: fc.nat(33) })),
    })
    .map(({ base, ranges, last }) => {
      const at = (third: number, host: number) =>
        base === "10.9." ? `10.9.${third}.${host}` : `fd00:9::${third}:${host.toString(16)}`;
      const texts = ranges.map(({ third, length, skip, drop, gateway }) => {
        const size = 2 ** (32 - length);
        return [
          `${at(third, 0)}/${base === "10.9." ? length : length + 96}`,
          ...(skip === null ? [] : [`.start=${at(third, Math.min(skip, 1))}`]),
          ...(drop === null ? [] : [`.end=${at(third, size - 1 - Math.min(drop, size - 2))}`]),
          ...(gateway === null ? [] : [`.gateway=${at(third, gateway)}`]),
        ].join(" ");
      });
      return { ranges: set(...texts), texts, last: last === null ? undefined : ip(at(last.third, last.host)) };
    });

  test("every address once, in order, no gateway, and then an end", () => {
    fc.assert(
      fc.property(anySet, ({ ranges, last }) => {
        const given = [...candidates(ranges, last)];
        const texts = given.map((each) => formatIp(each.ip));
        expect(texts).toEqual(walk(ranges, last));
        expect(new Set(texts).size).toBe(texts.length);
        expect(BigInt(texts.length)).toBe(capacityOf(ranges));
        for (const each of given) expect(each.range).toBe(rangeOf(ranges, each.ip));
      }),
      { numRuns: 500 },
    );
  });

  // Some that are likely to meet, and any.
  const value = fc.oneof(
    fc.bigInt({ min: 0n, max: 0x0fffn }).map((low) => (0xfd00n << 112n) | (low << 18n) | 0x0a090000n),
    fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }),
  );
  const anySubnet = fc
    .record({ v4: fc.boolean(), value, length: fc.integer({ min: 0, max: 128 }) })
    .map(({ v4, value, length }) => {
      const bits = v4 ? 32 : 128;
      const kept = Math.min(length, bits - 2);
      const network = ((value & ((1n << BigInt(bits)) - 1n)) >> BigInt(bits - kept)) << BigInt(bits - kept);
      return `${formatIp({ family: v4 ? 4 : 6, value: network })}/${kept}`;
    })
    // An IPv4-mapped network has no text of its own.
    .filter((text) => parsePrefix(text) !== undefined);

  test("start, end and membership are ip-cidr's", () => {
    fc.assert(
      fc.property(anySubnet, anySubnet, (text, other) => {
        const range = canonicalRange(given(text));
        const judge = new IPCIDR(text);
        const first = BigInt(judge.start({ type: "bigInteger" }).toString());
        const last = BigInt(judge.end({ type: "bigInteger" }).toString());
        expect(range.start.value).toBe(first + 1n);
        expect(range.end.value).toBe(range.start.family === 4 ? last - 1n : last);
        const stranger = canonicalRange(given(other)).start;
        if (stranger.family !== range.start.family) return;
        const within =
          judge.contains(formatIp(stranger)) && stranger.value !== first && stranger.value <= range.end.value;
        expect(rangeOf([range], stranger) !== undefined).toBe(within);
      }),
      { numRuns: 500 },
    );
  });

  test("two subnets overlap where one contains the other's first, says ip-cidr", () => {
    fc.assert(
      fc.property(anySubnet, anySubnet, (a, b) => {
        const [first, second] = [new IPCIDR(a), new IPCIDR(b)];
        const sameFamily = a.includes(":") === b.includes(":");
        const meet = sameFamily && (first.contains(second.start()) || second.contains(first.start()));
        expect(overlappingSets([set(a), set(b)]) !== undefined).toBe(meet);
      }),
      { numRuns: 500 },
    );
  });
});
