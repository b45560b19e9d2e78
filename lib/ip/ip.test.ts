import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { addToIp, bitsOf, compareIps, equalIps, formatIp, ipBytes, ipFromBytes, parseIp, type Ip } from "./ip.ts";

/** What Go 1.26's net.ParseIP and IP.String make of a text. */
const go: [text: string, written: string | undefined][] = [
  ["10.244.1.7", "10.244.1.7"],
  ["0.0.0.0", "0.0.0.0"],
  ["255.255.255.255", "255.255.255.255"],
  ["01.2.3.4", undefined],
  ["1.2.3.256", undefined],
  ["1.2.3", undefined],
  ["1.2.3.4.5", undefined],
  ["1.2.3.4 ", undefined],
  [" 1.2.3.4", undefined],
  ["1.2.3.", undefined],
  ["1..2.3", undefined],
  ["+1.2.3.4", undefined],
  ["0x1.2.3.4", undefined],
  ["1.2.3.1e1", undefined],
  ["١.2.3.4", undefined],
  ["1.2.3.4\n", undefined],
  ["", undefined],
  ["::", "::"],
  ["::1", "::1"],
  ["1::", "1::"],
  ["fd00::1", "fd00::1"],
  ["FD00:0:0::00Ab", "fd00::ab"],
  ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["1:2:3:4:5:6:7:8::", undefined],
  ["::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"],
  ["1::2::3", undefined],
  [":::", undefined],
  [":", undefined],
  ["1:", undefined],
  [":1", undefined],
  ["1:2:3:4:5:6:7", undefined],
  ["12345::", undefined],
  ["g::", undefined],
  ["00001::", undefined],
  ["fe80::1%eth0", undefined],
  ["::ffff:1.2.3.4", "1.2.3.4"],
  ["::ffff:0102:0304", "1.2.3.4"],
  ["::1.2.3.4", "::102:304"],
  ["::ffff:01.2.3.4", undefined],
  ["1.2.3.4::", undefined],
  ["1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"],
  ["1:2:3:4:5:6:7:1.2.3.4", undefined],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
  ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ["0:0:1::", "0:0:1::"],
  ["::ffff:0:1.2.3.4", "::ffff:0:102:304"],
  ["[::1]", undefined],
  ["1::1.2.3", undefined],
];

/** Every address that text can give. */
const ips = fc
  .oneof(
    fc.record<Ip>({ family: fc.constant(4), value: fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }) }),
    fc.record<Ip>({ family: fc.constant(6), value: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }) }),
    // Zero groups at every place, which is where IPv6 text is hard.
    fc
      .array(fc.constantFrom<bigint[]>(0n, 0n, 1n, 0xab0n, 0xffffn), { minLength: 8, maxLength: 8 })
      .map(
        (groups): Ip => ({
          family: 6,
          value: groups.reduce((value, group) => (value << 16n) | group, 0n),
        }),
      ),
  )
  .filter(({ family, value }) => family === 4 || value >> 32n !== 0xffffn);

describe("ip text", () => {
  test.each(go)("%j is %j", (text, written) => {
    const ip = parseIp(text);
    expect(ip === undefined ? undefined : formatIp(ip)).toBe(written);
  });

  test("what is written is read back", () => {
    fc.assert(fc.property(ips, (ip) => void expect(parseIp(formatIp(ip))).toEqual(ip)));
  });

  test("IPv6 is written as RFC 5952 says, judged by the URL parser", () => {
    fc.assert(
      fc.property(
        ips.filter(({ family }) => family === 6),
        (ip) => void expect(new URL(`http://[${formatIp(ip)}]/`).hostname).toBe(`[${formatIp(ip)}]`),
      ),
    );
  });

  test("any text is an address or undefined", () => {
    const nearly = fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:.:.%/ "), maxLength: 24 });
    fc.assert(
      fc.property(fc.oneof(fc.string(), nearly), (text) => {
        const ip = parseIp(text);
        if (ip === undefined) return;
        expect(ip.value >= 0n && ip.value < 1n << BigInt(bitsOf(ip.family))).toBe(true);
        expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("ip bytes", () => {
  test("network order", () => {
    expect(ipBytes({ family: 4, value: 0x0af40107n })).toEqual(Uint8Array.of(10, 244, 1, 7));
    expect(ipBytes({ family: 6, value: (0xfd00n << 112n) | 0x1234n })).toEqual(
      Uint8Array.of(0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34),
    );
  });

  test("there and back", () => {
    fc.assert(fc.property(ips, (ip) => void expect(ipFromBytes(ipBytes(ip))).toEqual(ip)));
  });

  test("other lengths are no address, and sixteen bytes stay IPv6", () => {
    for (const length of [0, 3, 5, 15, 17]) expect(ipFromBytes(new Uint8Array(length))).toBeUndefined();
    const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1);
    expect(ipFromBytes(mapped)).toEqual({ family: 6, value: 0xffff0a000001n });
  });
});

describe("ip order", () => {
  test("addition moves along it", () => {
    fc.assert(
      fc.property(ips, fc.integer({ min: 1, max: 1 << 16 }), (ip, n) => {
        const next = addToIp(ip, n);
        expect(compareIps(ip, next)).toBeLessThan(0);
        expect(compareIps(next, ip)).toBeGreaterThan(0);
        expect(equalIps(addToIp(next, -n), ip)).toBe(true);
        expect(equalIps(ip, next)).toBe(false);
      }),
    );
  });

  test("IPv4 comes before IPv6, and equals no IPv6", () => {
    const [four, six] = [parseIp("255.0.0.1"), parseIp("::1")] as [Ip, Ip];
    expect(compareIps(four, six)).toBeLessThan(0);
    expect(equalIps({ family: 4, value: 1n }, six)).toBe(false);
  });
});
