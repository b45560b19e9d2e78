import fc from "fast-check";
import IPCIDR from "ip-cidr";
import { describe, expect, test } from "vitest";
import { bitsOf, formatIp, parseIp, type Ip } from "./ip.ts";
import {
  containsIp,
  defaultRoute,
  equalPrefixes,
  formatPrefix,
  lastOf,
  maskPrefix,
  networkOf,
  parsePrefix,
  type Prefix,
} from "./prefix.ts";

/** What Go 1.26's net.ParseCIDR makes of a text; host bits kept. */
const go: [text: string, written: string | undefined][] = [
  ["10.1.2.3/24", "10.1.2.3/24"],
  ["10.1.2.3/0", "10.1.2.3/0"],
  ["10.1.2.3/32", "10.1.2.3/32"],
  ["10.1.2.3/33", undefined],
  ["10.1.2.3/024", "10.1.2.3/24"],
  ["10.1.2.3/", undefined],
  ["10.1.2.3", undefined],
  ["/24", undefined],
  ["", undefined],
  ["10.1.2.3/-1", undefined],
  ["10.1.2.3/+1", undefined],
  ["10.1.2.3/ 24", undefined],
  ["10.1.2.3/24 ", undefined],
  ["10.1.2.3/24/8", undefined],
  ["10.1.2.3/0000000000024", "10.1.2.3/24"],
  ["10.1.2.3/99999999999", undefined],
  ["fd00::1/64", "fd00::1/64"],
  ["fd00::1/128", "fd00::1/128"],
  ["fd00::1/129", undefined],
  ["::/0", "::/0"],
  ["fe80::1%eth0/64", undefined],
  ["10.1.2/24", undefined],
  ["10.1.2.03/24", undefined],
];

const prefixes: fc.Arbitrary<Prefix> = fc.constantFrom(4 as const, 6 as const).chain((family) =>
  fc.record({
    ip: fc
      .bigInt({ min: 0n, max: (1n << BigInt(bitsOf(family))) - 1n })
      .filter((value) => family === 4 || value >> 32n !== 0xffffn)
      .map((value): Ip => ({ family, value })),
    length: fc.integer({ min: 0, max: bitsOf(family) }),
  }),
);

const read = (text: string): Prefix => parsePrefix(text) ?? expect.fail(`${text} is no prefix`);

describe("prefix text", () => {
  test.each(go)("%j is %j", (text, written) => {
    const prefix = parsePrefix(text);
    expect(prefix === undefined ? undefined : formatPrefix(prefix)).toBe(written);
  });

  test("IPv4 under an IPv6 mask is refused, though Go reads it", () => {
    expect(parsePrefix("::ffff:10.0.0.1/120")).toBeUndefined();
  });

  test("what is written is read back", () => {
    fc.assert(fc.property(prefixes, (prefix) => void expect(parsePrefix(formatPrefix(prefix))).toEqual(prefix)));
  });
});

describe("prefix bounds", () => {
  test("as ip-cidr has them", () => {
    fc.assert(
      fc.property(prefixes, (prefix) => {
        const other = new IPCIDR(formatPrefix(prefix));
        const bounds = other.toRange({ type: "bigInteger" }) as unknown as [bigint, bigint];
        expect([networkOf(prefix).value, lastOf(prefix).value]).toEqual(bounds.map((each) => BigInt(each.toString())));
      }),
    );
  });

  test("containment as ip-cidr has it, at the bounds and beside them", () => {
    fc.assert(
      fc.property(prefixes, fc.constantFrom(-1n, 0n, 1n), fc.boolean(), (prefix, step, atEnd) => {
        const value = (atEnd ? lastOf(prefix) : networkOf(prefix)).value + step;
        fc.pre(value >= 0n && value < 1n << BigInt(bitsOf(prefix.ip.family)));
        const ip: Ip = { family: prefix.ip.family, value };
        expect(containsIp(prefix, ip)).toBe(new IPCIDR(formatPrefix(prefix)).contains(formatIp(ip)));
      }),
    );
  });

  test("the other family is never inside", () => {
    expect(containsIp(defaultRoute(6), read("10.0.0.1/32").ip)).toBe(false);
    expect(containsIp(defaultRoute(4), read("::1/128").ip)).toBe(false);
    expect(containsIp(defaultRoute(4), read("10.0.0.1/32").ip)).toBe(true);
  });

  test("a mask clears host bits and nothing else", () => {
    expect(formatPrefix(maskPrefix(read("10.244.1.77/26")))).toBe("10.244.1.64/26");
    expect(formatPrefix(maskPrefix(read("fd00:1:2:3:4::9/56")))).toBe("fd00:1:2::/56");
    expect(formatIp(lastOf(read("10.244.1.77/26")))).toBe("10.244.1.127");
  });

  test("equal means address and length", () => {
    const prefix = read("10.0.0.0/8");
    expect(equalPrefixes(prefix, { ...prefix })).toBe(true);
    expect(equalPrefixes(prefix, { ...prefix, length: 9 })).toBe(false);
    expect(equalPrefixes(prefix, { ...prefix, ip: parseIp("10.0.0.1") as Ip })).toBe(false);
  });
});
