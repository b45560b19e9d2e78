import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refusalOf } from "../../testing/refusal.ts";
import { answer, ip, prefix } from "../../testing/runtime.ts";
import { bitsOf, type Ip } from "../ip/ip.ts";
import type { Prefix } from "../ip/prefix.ts";
import { ConfigFault } from "./config.ts";
import { type JsonObject, parseJson } from "./json.ts";
import { resultText } from "./result-text.ts";
import { parseResult, type Result } from "./result.ts";
import { familyOf, specVersions, type SpecVersion } from "./version.ts";

const parse = (text: string | object, version: SpecVersion): Result =>
  parseResult(parseJson(typeof text === "string" ? text : JSON.stringify(text)) as JsonObject, version);
/** As it is printed, so that the order of keys and what is left out count. */
function encode(result: Result, version: SpecVersion): string {
  const text = resultText(result, version);
  const value: unknown = JSON.parse(text);
  expect(text).toBe(JSON.stringify(value, null, 4));
  return JSON.stringify(value);
}

function fault(text: string | object, version: SpecVersion): string {
  try {
    parse(text, version);
  } catch (error) {
    if (error instanceof ConfigFault) return error.message;
    throw error;
  }
  throw new Error("it was accepted");
}

/** Everything a result can say. */
const full: Result = {
  interfaces: [
    { name: "cni0", mac: "02:00:00:00:00:01" },
    {
      name: "eth0",
      mac: "0a:58:0a:01:00:05",
      mtu: 1450,
      sandbox: "/run/netns/x",
      socketPath: "/p",
      pciID: "0000:04:00.5",
    },
  ],
  ips: [
    { address: prefix("10.1.0.5/24"), gateway: ip("10.1.0.1"), interface: 0 },
    { address: prefix("fd00::5/64"), interface: 1 },
    { address: prefix("10.2.0.5/24") },
  ],
  routes: [
    { dst: prefix("0.0.0.0/0"), gw: ip("10.1.0.1"), mtu: 1400, advmss: 1360, priority: 100, table: 0, scope: 0 },
    { dst: prefix("fd01::/64") },
  ],
  dns: { nameservers: ["10.0.0.10"], domain: "x", search: ["a"], options: ["ndots:5"] },
};

const old = (cniVersion: string) =>
  `{"cniVersion":"${cniVersion}",` +
  '"ip4":{"ip":"10.1.0.5/24","gateway":"10.1.0.1","routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1"}]},' +
  '"ip6":{"ip":"fd00::5/64","routes":[{"dst":"fd01::/64"}]},' +
  '"dns":{"nameservers":["10.0.0.10"],"domain":"x","search":["a"],"options":["ndots:5"]}}';
const middle = (cniVersion: string) =>
  `{"cniVersion":"${cniVersion}",` +
  '"interfaces":[{"name":"cni0","mac":"02:00:00:00:00:01"},' +
  '{"name":"eth0","mac":"0a:58:0a:01:00:05","sandbox":"/run/netns/x"}],' +
  '"ips":[{"version":"4","interface":0,"address":"10.1.0.5/24","gateway":"10.1.0.1"},' +
  '{"version":"6","interface":1,"address":"fd00::5/64"},{"version":"4","address":"10.2.0.5/24"}],' +
  '"routes":[{"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"advmss":1360,"priority":100,"table":0,"scope":0},' +
  '{"dst":"fd01::/64"}],' +
  '"dns":{"nameservers":["10.0.0.10"],"domain":"x","search":["a"],"options":["ndots:5"]}}';
const today = (cniVersion: string) =>
  `{"cniVersion":"${cniVersion}",` +
  '"dns":{"domain":"x","nameservers":["10.0.0.10"],"options":["ndots:5"],"search":["a"]},' +
  '"interfaces":[{"mac":"02:00:00:00:00:01","name":"cni0"},' +
  '{"mac":"0a:58:0a:01:00:05","mtu":1450,"name":"eth0","pciID":"0000:04:00.5","sandbox":"/run/netns/x","socketPath":"/p"}],' +
  '"ips":[{"address":"10.1.0.5/24","gateway":"10.1.0.1","interface":0},' +
  '{"address":"fd00::5/64","interface":1},{"address":"10.2.0.5/24"}],' +
  '"routes":[{"advmss":1360,"dst":"0.0.0.0/0","gw":"10.1.0.1","mtu":1400,"priority":100,"scope":0,"table":0},' +
  '{"dst":"fd01::/64"}]}';
const shapes = { "0.2": old, "0.4": middle, "1.x": today };

test.each(specVersions)("a result that says everything, in %s", (version) => {
  expect(encode(full, version)).toBe(shapes[familyOf(version)](version));
});

describe("what is left out", () => {
  const empty = answer([]);
  const noRoute = { dst: prefix("::/0"), mtu: 0, advmss: 0, priority: 0, table: 0, scope: 0 };
  const noLink = { name: "", mac: "", mtu: 0, sandbox: "", socketPath: "", pciID: "" };
  const noDns = { nameservers: [], domain: "", search: [], options: [] };
  test.each<[string, SpecVersion, Result, string]>([
    ["a gateway and routes", "0.2.0", answer(["10.1.0.5/24"]), '"ip4":{"ip":"10.1.0.5/24"},"dns":{}'],
    ["a family without an address", "0.2.0", answer(["fd00::5/64"]), '"ip6":{"ip":"fd00::5/64"},"dns":{}'],
    ["every list", "0.4.0", empty, '"dns":{}'],
    ["every list, and dns", "1.1.0", { ...empty, dns: noDns }, ""],
    ["what dns does not say, but dns itself", "0.3.1", { ...empty, dns: noDns }, '"dns":{}'],
    ["what dns does not say", "1.1.0", { ...empty, dns: { ...noDns, search: ["a"] } }, '"dns":{"search":["a"]}'],
    ["what a link has not, but its name", "1.1.0", { ...empty, interfaces: [noLink] }, '"interfaces":[{"name":""}]'],
    [
      "a link's MTU",
      "0.4.0",
      { ...empty, interfaces: [{ ...noLink, mtu: 1450 }] },
      '"interfaces":[{"name":""}],"dns":{}',
    ],
    [
      "a route's 0, but of table and scope",
      "1.0.0",
      { ...empty, routes: [noRoute] },
      '"routes":[{"dst":"::/0","scope":0,"table":0}]',
    ],
    [
      "a route's 0, but of table and scope",
      "0.3.0",
      { ...empty, routes: [noRoute] },
      '"routes":[{"dst":"::/0","table":0,"scope":0}],"dns":{}',
    ],
  ])("%s, in %s", (_what, version, result, members) => {
    expect(encode(result, version)).toBe(`{"cniVersion":"${version}"${members === "" ? "" : `,${members}`}}`);
  });
});

describe("from every version to every other", () => {
  const only = (result: Result, keep: { more: boolean }): Result => ({
    ...result,
    interfaces: result.interfaces.map(({ name, mac, mtu, sandbox, socketPath, pciID }) =>
      keep.more ? { name, mac, mtu, sandbox, socketPath, pciID } : { name, mac, sandbox },
    ),
  });
  /** What is left of `full` in a structure. */
  const left: Record<string, Result> = {
    "0.2": {
      interfaces: [],
      ips: full.ips.slice(0, 2).map(({ address, gateway }) => ({ address, gateway })),
      routes: full.routes.map(({ dst, gw }) => ({ dst, gw })),
      dns: full.dns,
    },
    "0.4": only(full, { more: false }),
    "1.x": full,
  };

  test.each(specVersions.flatMap((from) => specVersions.map((to) => [from, to] as const)))(
    "printed in %s, read, and printed in %s",
    (from, to) => {
      const read = parse(encode(full, from), from);
      expect(encode(read, from)).toBe(encode(full, from));
      expect(encode(read, to)).toBe(encode(left[familyOf(from)] as Result, to));
    },
  );

  test("a result is read back as it was, in the newest structure", () => {
    const family = fc.constantFrom(4 as const, 6 as const);
    const ips = family.chain((each) =>
      fc
        .bigInt({ min: 0n, max: (1n << BigInt(bitsOf(each))) - 1n })
        // An IPv4-mapped address is read as IPv4.
        .filter((value) => each === 4 || value >> 32n !== 0xffffn)
        .map((value): Ip => ({ family: each, value })),
    );
    const prefixes = ips.chain((each) => fc.nat(bitsOf(each.family)).map((length): Prefix => ({ ip: each, length })));
    const number = fc.option(fc.integer({ min: 1, max: 4294967295 }), { nil: undefined });
    const words = fc.array(fc.string({ minLength: 1 }), { minLength: 1 });
    const results = fc.record<Result>({
      interfaces: fc.array(fc.record({ name: fc.string(), mtu: number })),
      ips: fc.array(
        fc.record({ address: prefixes, gateway: fc.option(ips, { nil: undefined }), interface: fc.nat(9) }),
      ),
      routes: fc.array(
        fc.record({ dst: prefixes, gw: fc.option(ips, { nil: undefined }), table: number, priority: number }),
      ),
      dns: fc.record({ nameservers: words, search: words }),
    });
    fc.assert(
      fc.property(results, fc.constantFrom("1.0.0", "1.1.0"), (result, version) => {
        expect(parse(encode(result, version), version)).toEqual(result);
      }),
    );
  });
});

describe("into 0.1.0 and 0.2.0", () => {
  test.each([
    [["10.1.0.5/24 10.1.0.1", "10.2.0.5/24"], [], '"ip4":{"ip":"10.1.0.5/24","gateway":"10.1.0.1"}'],
    [["fd00::5/64", "fd01::5/64"], [], '"ip6":{"ip":"fd00::5/64"}'],
    [["fd00::5/64", "10.1.0.5/24"], [], '"ip4":{"ip":"10.1.0.5/24"},"ip6":{"ip":"fd00::5/64"}'],
    [["10.1.0.5/24"], ["::/0", "10.0.0.0/8"], '"ip4":{"ip":"10.1.0.5/24","routes":[{"dst":"10.0.0.0/8"}]}'],
    [["fd00::5/64"], ["10.0.0.0/8"], '"ip6":{"ip":"fd00::5/64"}'],
  ])("addresses %j and routes %j: %s", (ips, routes, blocks) => {
    for (const version of ["0.1.0", "0.2.0"] as const)
      expect(encode(answer(ips, routes), version)).toBe(`{"cniVersion":"${version}",${blocks},"dns":{}}`);
  });

  test("no address at all is code 1", async () => {
    expect(await refusalOf(() => resultText(answer([], ["10.0.0.0/8"]), "0.2.0"))).toMatchObject({
      code: 1,
      message: "cannot convert: no valid IP addresses",
      details: expect.stringMatching(/set "cniVersion" to 0\.3\.1 or later$/),
    });
  });
});

describe("out of 0.1.0 and 0.2.0", () => {
  test("ip4 comes before ip6 however they are written, and so do their routes", () => {
    const text =
      '{"ip6":{"ip":"fd00::5/64","routes":[{"dst":"::/0","gw":"fd00::1"}]},' +
      '"IP4":{"ip":"10.1.0.5/24","routes":[{"dst":"0.0.0.0/0"}]}}';
    expect(parse(text, "0.1.0")).toEqual(answer(["10.1.0.5/24", "fd00::5/64"], ["0.0.0.0/0", "::/0 via fd00::1"]));
  });
});

describe("IPv4-mapped addresses are IPv4", () => {
  const mapped = (version: SpecVersion) =>
    parse(
      { ips: [{ address: "10.1.0.5/24", gateway: "::ffff:10.1.0.1" }], routes: [{ dst: "::/0", gw: "::FFFF:a01:1" }] },
      version,
    );
  test.each(["0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const)("a gateway in %s", (version) => {
    expect(mapped(version)).toEqual(answer(["10.1.0.5/24 10.1.0.1"], ["::/0 via 10.1.0.1"]));
  });

  test("an address of that kind has the version 4", () => {
    const { gateway = ip("::") } = mapped("1.0.0").ips[0] ?? expect.fail();
    const result = { ...answer([]), ips: [{ address: { ip: gateway, length: 32 } }] };
    expect(encode(result, "0.4.0")).toContain('{"version":"4","address":"10.1.0.1/32"}');
  });
});

describe("a result of another structure than the configuration's version has", () => {
  const lists = { "0.2": "[0.1.0 0.2.0]", "0.4": "[0.3.0 0.3.1 0.4.0]", "1.x": "[1.0.0 1.1.0]" };
  const pairs = specVersions.flatMap((conf) =>
    [...specVersions, "", "0.5.0", "9.9.9"].map((own) => [conf, own] as const),
  );
  test.each(pairs)("configuration %s, result %j", (conf, own) => {
    const text = { cniVersion: own, dns: { domain: "x" } };
    const fits = own === "" || specVersions.some((each) => each === own && familyOf(each) === familyOf(conf));
    if (fits) return expect(parse(text, conf).dns).toEqual({ domain: "x" });
    expect(fault(text, conf)).toBe(
      `result type supports ${lists[familyOf(conf)]} but unmarshalled CNIVersion is "${own}"`,
    );
  });
});

describe("a result that cannot be read", () => {
  test.each<[SpecVersion, string, string]>([
    ["1.0.0", '{"ips":[{"address":"10.1.0.5"}]}', '"ips[0].address": invalid CIDR address: 10.1.0.5'],
    ["1.0.0", '{"ips":[{}]}', '"ips[0].address": invalid CIDR address: '],
    ["1.0.0", '{"ips":[null]}', '"ips[0].address": invalid CIDR address: '],
    ["0.4.0", '{"ips":[{"address":"10.1.0.5/24","gateway":"x"}]}', '"ips[0].gateway": invalid IP address: x'],
    [
      "1.0.0",
      '{"routes":[{"dst":"::/0"},{"dst":"::/0","gw":"fe80::1%eth0"}]}',
      '"routes[1].gw": invalid IP address: fe80::1%eth0',
    ],
    ["1.0.0", '{"routes":[{"gw":"10.1.0.1"}]}', '"routes[0].dst": invalid CIDR address: '],
    ["1.0.0", '{"interfaces":{}}', '"interfaces" must be a list, got {}'],
    ["1.0.0", '{"ips":[{"interface":"0"}]}', '"ips[0].interface" must be an integer, got "0"'],
    ["0.2.0", '{"ip4":{"ip":""}}', '"ip": invalid CIDR address: '],
    ["0.2.0", '{"ip4":"10.1.0.5/24"}', '"ip4" must be an object, got "10.1.0.5/24"'],
    ["0.2.0", '{"cniVersion":2}', '"cniVersion" must be a string, got 2'],
  ])("%s %s: %s", (version, text, message) => {
    expect(fault(text, version)).toBe(message);
  });
});

test("host bits are kept, an empty gateway is none, an explicit 0 is kept", () => {
  expect(
    parse(
      { IPs: [{ address: "10.1.0.5/24", gateway: "", Interface: 0 }], routes: [{ dst: "10.9.9.9/8", table: 0 }] },
      "1.1.0",
    ),
  ).toEqual({
    interfaces: [],
    ips: [{ address: prefix("10.1.0.5/24"), interface: 0 }],
    routes: [{ dst: prefix("10.9.9.9/8"), table: 0 }],
    dns: {},
  });
});
