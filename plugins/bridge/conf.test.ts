import { describe, expect, test } from "vitest";
import { parseConfig } from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import { readBridgeConf } from "./conf.ts";

const said: string[] = [];
const log = (line: string) => void said.push(line);
const read = (conf: object | string, verb: Verb = "ADD", args = "") =>
  readBridgeConf(parseConfig(typeof conf === "string" ? conf : JSON.stringify(conf)), verb, args, { log });

function refusal(conf: object | string, verb: Verb = "ADD", args = ""): CniError {
  try {
    read(conf, verb, args);
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
  throw new Error(`${JSON.stringify(conf)} was accepted`);
}

test("what nothing says", () => {
  expect(read({})).toEqual({
    bridge: "cni0",
    isGateway: false,
    isDefaultGateway: false,
    forceAddress: false,
    ipMasq: false,
    ipMasqBackend: undefined,
    macSpoofCheck: false,
    mtu: undefined,
    hairpin: false,
    isolated: false,
    promisc: false,
    vlan: undefined,
    trunk: [],
    vlanFiltering: false,
    preserveDefaultVlan: false,
    dad: false,
    acceptRa: false,
    containerUp: true,
    ipam: undefined,
    dns: undefined,
    mac: undefined,
  });
});

test("keys match in any case, null is absent, the last of several counts", () => {
  const conf = read('{"ISGATEWAY":true,"mtu":null,"BRIDGE":"br1","bridge":"br2","HairpinMode":true}');
  expect(conf).toMatchObject({ isGateway: true, mtu: undefined, bridge: "br2", hairpin: true });
});

test("isDefaultGateway implies isGateway; an empty ipam type is none; a negative MTU is the kernel's", () => {
  expect(read({ isDefaultGateway: true, ipam: { type: "" }, mtu: -1 })).toMatchObject({
    isGateway: true,
    ipam: undefined,
    mtu: undefined,
  });
});

test.each([
  [{ dns: {} }, undefined],
  [{ dns: { domain: "" } }, undefined],
  [{ dns: { nameservers: [] } }, { nameservers: [] }],
  [{ dns: { domain: "x" } }, { domain: "x" }],
])("dns of %j is %j", (conf, dns) => {
  expect(read(conf).dns).toEqual(dns);
});

describe("VLANs", () => {
  test.each([
    [[], []],
    [[{ id: 7 }], [[7, 7]]],
    [
      [{ minID: 10, maxID: 20, id: 5 }],
      [
        [5, 5],
        [10, 20],
      ],
    ],
    [[{ id: 21 }, { minID: 10, maxID: 20 }, { minID: 15, maxID: 30 }, { id: 10 }], [[10, 30]]],
    [[{ minID: 1, maxID: 4094 }, { id: 9 }], [[1, 4094]]],
  ])("trunk %j is %j", (vlanTrunk, ranges) => {
    const conf = read({ vlanTrunk });
    expect(conf.trunk.map(({ first, last }) => [first, last])).toEqual(ranges);
    expect(conf.vlanFiltering).toBe(true);
  });

  test.each([
    [{ vlan: -1 }, "invalid VLAN ID -1 (must be between 0 and 4094)"],
    [{ vlan: 4095 }, "invalid VLAN ID 4095 (must be between 0 and 4094)"],
    [{ vlanTrunk: [{ id: 0 }] }, "incorrect trunk id parameter"],
    [{ vlanTrunk: [{ id: 4095 }] }, "incorrect trunk id parameter"],
    [{ vlanTrunk: [{ minID: 0, maxID: 5 }] }, "incorrect trunk minID parameter"],
    [{ vlanTrunk: [{ minID: 1, maxID: 4095 }] }, "incorrect trunk maxID parameter"],
    [{ vlanTrunk: [{ minID: 9, maxID: 5 }] }, "minID is greater than maxID in trunk parameter"],
    [{ vlanTrunk: [{ minID: 9 }] }, "minID and maxID should be configured simultaneously, maxID is missing"],
    [{ vlanTrunk: [{ maxID: 9 }] }, "minID and maxID should be configured simultaneously, minID is missing"],
  ])("%j: %s", (conf, text) => {
    const { code, message } = refusal(conf);
    expect(message).toContain(text);
    expect(code).toBe(7);
    expect(refusal(conf, "STATUS").message).toBe(message);
    // A fault like this must not keep an attachment alive.
    expect(() => read(conf, "DEL")).not.toThrow();
  });
});

describe("MAC", () => {
  const [a, b, c] = ["02:00:00:00:00:0a", "02:00:00:00:00:0b", "02:00:00:00:00:0c"];
  test.each([
    [{ runtimeConfig: { mac: a }, args: { cni: { mac: b } } }, `MAC=${c}`, a],
    [{ args: { cni: { mac: b } } }, `MAC=${c}`, b],
    [{ runtimeConfig: { mac: "" } }, `IgnoreUnknown=1;K8S_POD_NAME=x;MAC=${c}`, c],
    [{ runtimeConfig: { mac: "02-00-00-00-00-0A" } }, "", a],
    [{ runtimeConfig: { mac: "0200.0000.000a" } }, "", a],
    [{}, "IgnoreUnknown=true;mac=x", undefined],
  ])("of %j and CNI_ARGS %j is %s", (conf, args, mac) => {
    expect(read(conf, "ADD", args).mac).toBe(mac);
  });

  test.each([
    [{ runtimeConfig: { mac: "rubbish" } }, "", "address rubbish: invalid MAC address"],
    [{}, "MAC=02:00:00:00:00", "address 02:00:00:00:00: invalid MAC address"],
    [{}, "MAC=a;", 'ARGS: invalid pair ""'],
    [{}, "mac=x", 'ARGS: unknown args ["mac=x"]'],
  ])("%j and %j: %s", (conf, args, text) => {
    expect(refusal(conf, "ADD", args).message).toContain(text);
    expect(() => read(conf, "DEL", args)).not.toThrow();
  });
});

describe("refused before anything is touched", () => {
  const ipam = { type: "host-local" };
  test.each<[object, number, string, Verb[]]>([
    [
      { ipam, disableContainerInterface: true },
      7,
      "cannot use IPAM when DisableContainerInterface flag is set",
      ["ADD", "STATUS"],
    ],
    [
      { hairpinMode: true, promiscMode: true },
      7,
      "cannot set hairpin mode and promiscuous mode at the same time",
      ["ADD", "STATUS"],
    ],
    [{ ipam, ipMasq: true, ipMasqBackend: "ipset" }, 7, 'unknown ipmasq backend "ipset"', ["ADD", "CHECK", "STATUS"]],
    [{ ipam, ipMasq: true, ipMasqBackend: "" }, 7, 'unknown ipmasq backend ""', ["ADD", "CHECK", "STATUS"]],
    [{ bridge: "" }, 7, 'failed to create bridge ""', ["ADD", "CHECK", "STATUS"]],
    [{ bridge: "../../etc" }, 7, "contains / or :", ["ADD", "CHECK", "STATUS"]],
    [{ bridge: "sixteen-bytes-xx" }, 7, "too long", ["ADD", "CHECK", "STATUS"]],
    [
      { bridge: "fifteen-bytes-x", vlan: 5, isGateway: true },
      7,
      'no link can be named "fifteen-bytes-x.5"',
      ["ADD", "CHECK", "STATUS"],
    ],
  ])("%j: code %i, %s", (conf, code, text, verbs) => {
    for (const verb of ["ADD", "CHECK", "STATUS"] as const) {
      if (!verbs.includes(verb)) {
        expect(() => read(conf, verb)).not.toThrow();
        continue;
      }
      const error = refusal(conf, verb);
      expect(error.message).toContain(text);
      expect(error.code).toBe(code);
      expect(error.details).not.toBe("");
    }
    expect(() => read(conf, "DEL")).not.toThrow();
    expect(() => read(conf, "GC")).not.toThrow();
  });

  test("ipMasq without IPAM has nothing to masquerade", () => {
    expect(read({ ipMasq: true }).ipMasq).toBe(false);
  });

  test("a backend that is not used may be any", () => {
    expect(read({ ipam, ipMasqBackend: "ipset" }).ipMasqBackend).toBeUndefined();
    expect(read({ ipam, ipMasq: true, ipMasqBackend: "nftables" }).ipMasqBackend).toBe("nftables");
  });
});

test("a value of the wrong type is a fault, and for DEL and GC as absent, with a word about it", () => {
  const conf = { bridge: "br9", mtu: "1450", vlan: {}, vlanTrunk: [5], ipam: { type: "host-local" }, args: { cni: 1 } };
  for (const verb of ["ADD", "CHECK", "STATUS"] as const) {
    const { code, message } = refusal(conf, verb);
    expect([code, message]).toEqual([
      7,
      expect.stringContaining('failed to load netconf: "mtu" must be an integer, got "1450"'),
    ]);
  }
  for (const verb of ["DEL", "GC"] as const) {
    said.length = 0;
    expect(read(conf, verb)).toMatchObject({ bridge: "br9", mtu: undefined, vlan: undefined, ipam: "host-local" });
    expect(said.map((line) => line.replace(/^bridge: going on in spite of the configuration: /, ""))).toEqual([
      '"mtu" must be an integer, got "1450"',
      '"vlan" must be an integer, got {}',
      '"vlanTrunk[0]" must be an object, got 5',
      '"args.cni" must be an object, got 1',
    ]);
  }
  expect(read({ bridge: 5, ipam: "host-local" }, "DEL")).toMatchObject({ bridge: "cni0", ipam: undefined });
});
