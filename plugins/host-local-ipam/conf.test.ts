import { describe, expect, test } from "vitest";
import { parseConfig } from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import { formatIp } from "../../lib/ip/ip.ts";
import { testHost } from "../../testing/host.ts";
import { conf, type HostLocalConf } from "./conf.ts";
import { formatSet } from "./ranges.ts";

interface Given {
  readonly ipam?: unknown;
  readonly [key: string]: unknown;
}

function read(given: Given | string, { verb = "ADD" as Verb, args = "" } = {}): HostLocalConf & { said: string } {
  const host = testHost({});
  const text = typeof given === "string" ? given : JSON.stringify({ cniVersion: "1.0.0", name: "net", ...given });
  return { ...conf(parseConfig(text), verb, args, host.host), said: host.stderr() };
}
function refused(given: Given, options: { verb?: Verb; args?: string } = {}): CniError {
  try {
    read(given, options);
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
  throw new Error("the configuration was taken");
}
const sets = (given: Given): string[] => read(given).rangeSets.map(formatSet);

describe("range sets", () => {
  test("the runtime's come first, then the old form, then ranges: that numbers them", () => {
    expect(
      sets({
        ipam: { subnet: "10.2.0.0/30", ranges: [[{ subnet: "10.3.0.0/30" }], [{ subnet: "fd00::/126" }]] },
        runtimeConfig: { ipRanges: [[{ subnet: "10.0.0.0/30" }], [{ subnet: "10.1.0.0/30" }]] },
      }),
    ).toEqual(["10.0.0.1-10.0.0.2", "10.1.0.1-10.1.0.2", "10.2.0.1-10.2.0.2", "10.3.0.1-10.3.0.2", "fd00::1-fd00::3"]);
  });

  test("the old form is one only with its subnet", () => {
    const rest = { rangeStart: "10.2.0.9", rangeEnd: "10.2.0.10", gateway: "10.2.0.9" };
    expect(sets({ ipam: { ...rest, ranges: [[{ subnet: "10.3.0.0/30" }]] } })).toEqual(["10.3.0.1-10.3.0.2"]);
    expect(sets({ ipam: { ...rest, subnet: "10.2.0.0/24" } })).toEqual(["10.2.0.9-10.2.0.10"]);
  });

  test.each<[string, Given, string]>([
    ["no ipam", {}, "IPAM config missing 'ipam' key"],
    ["null for ipam", { ipam: null }, "IPAM config missing 'ipam' key"],
    ["none", { ipam: {} }, "no IP ranges specified"],
    ["an empty list", { ipam: { ranges: [] } }, "no IP ranges specified"],
    ["an empty set", { ipam: { ranges: [[{ subnet: "10.0.0.0/24" }], []] } }, "invalid range set 1: empty range set"],
    ["no subnet in a range", { ipam: { ranges: [[{}]] } }, "invalid range set 0: IP <nil> not v4 nor v6"],
    [
      "a subnet too small",
      { ipam: { subnet: "192.0.2.0/31" } },
      "invalid range set 0: Network 192.0.2.0/31 too small to allocate from",
    ],
    [
      "an IPv4 subnet written as IPv6",
      { ipam: { subnet: "::ffff:10.9.0.0/120" } },
      "invalid range set 0: IPNet IP and Mask version mismatch",
    ],
    ["a subnet that is none", { ipam: { subnet: "10.9.0.0" } }, '"ipam.subnet": invalid CIDR address: 10.9.0.0'],
    [
      "sets that overlap",
      { ipam: { subnet: "10.0.0.0/24", ranges: [[{ subnet: "10.0.0.128/25" }]] } },
      "range set 0 overlaps with 1",
    ],
    [
      "two of a family before 0.3.0",
      { cniVersion: "0.2.0", ipam: { ranges: [[{ subnet: "10.0.0.0/24" }], [{ subnet: "10.1.0.0/24" }]] } },
      "CNI version 0.2.0 does not support more than 1 address per family",
    ],
    [
      "two of a family without a version",
      { cniVersion: "", ipam: { ranges: [[{ subnet: "fd00::/64" }], [{ subnet: "fd01::/64" }]] } },
      "CNI version 0.1.0 does not support more than 1 address per family",
    ],
  ])("%s", (_, given, message) => {
    const error = refused(given);
    expect([error.code, error.message]).toEqual([7, message]);
    expect(error.details).not.toBe("");
  });

  test("one of each family is for every version; two of one from 0.3.0 on", () => {
    const dual = { ranges: [[{ subnet: "10.0.0.0/24" }], [{ subnet: "fd00::/64" }]] };
    const two = { ranges: [[{ subnet: "10.0.0.0/24" }], [{ subnet: "10.1.0.0/24" }]] };
    expect(sets({ cniVersion: "0.1.0", ipam: dual })).toHaveLength(2);
    expect(sets({ cniVersion: "0.3.0", ipam: two })).toHaveLength(2);
  });
});

describe("requested addresses", () => {
  const ipam = { subnet: "10.0.0.0/24" };
  const requested = (more: object, args = "") => read({ ipam, ...more }, { args }).requested.map(formatIp);

  test("all three sources are added together, the same one once", () => {
    const more = {
      args: { cni: { ips: ["10.0.0.6", "10.0.0.5/24"] } },
      runtimeConfig: { ips: ["10.0.0.7/16", "10.0.0.6"] },
    };
    expect(requested(more, "IP=10.0.0.5")).toEqual(["10.0.0.5", "10.0.0.6", "10.0.0.7"]);
  });

  test("one address under two names counts once", () => {
    expect(requested({ runtimeConfig: { ips: ["FD00::05", "fd00::5", "::ffff:10.0.0.5", "10.0.0.5"] } })).toEqual([
      "fd00::5",
      "10.0.0.5",
    ]);
  });

  test("kubelet's arguments are passed over", () => {
    expect(requested({}, "IgnoreUnknown=1;K8S_POD_NAME=a;IP=10.0.0.9")).toEqual(["10.0.0.9"]);
    expect(requested({}, "IP=")).toEqual([]);
  });

  test.each(["10.0.0", "10.0.0.05", "", "fe80::1%eth0", "10.0.0.5/33", "10.0.0.5/", "10.0.0.5/8/8", "fd00::5/129"])(
    "%j is none",
    (text) => {
      const error = refused({ ipam, runtimeConfig: { ips: [text] } });
      expect([error.code, error.message]).toEqual([7, `cannot understand ip: ${text}`]);
    },
  );
});

describe("the store's place", () => {
  const ipam = { subnet: "10.0.0.0/24" };
  test("is the network's name under dataDir, or where Go's is", () => {
    expect(read({ ipam }).directory).toBe("/var/lib/cni/networks/net");
    expect(read({ ipam: { ...ipam, dataDir: "" } }).directory).toBe("/var/lib/cni/networks/net");
    expect(read({ ipam: { ...ipam, dataDir: "/run/ipam" } }).directory).toBe("/run/ipam/net");
  });

  describe.each(["DEL", "GC"] as const)("%s needs nothing else", (verb) => {
    test.each<[string, unknown]>([
      ["no ipam", undefined],
      ["no ranges", { dataDir: "/run/ipam" }],
      ["ranges that cannot be", { dataDir: "/run/ipam", ranges: [[{ subnet: "192.0.2.7/24" }]] }],
      ["ranges of the wrong type", { dataDir: "/run/ipam", ranges: 7 }],
      ["a route that cannot be", { dataDir: "/run/ipam", routes: [{ dst: "x" }] }],
    ])("%s", (_, ipam) => {
      const { directory, rangeSets, said } = read({ ipam }, { verb });
      expect(directory).toBe(ipam === undefined ? "/var/lib/cni/networks/net" : "/run/ipam/net");
      expect(rangeSets).toEqual([]);
      expect(said).toBe("");
    });

    test("an ipam that is none is said, and the usual place is looked at", () => {
      const { directory, said } = read({ ipam: "host-local" }, { verb });
      expect(directory).toBe("/var/lib/cni/networks/net");
      expect(said).toMatch(/going on in spite of the configuration: .*"ipam" must be an object/);
    });
  });

  test.each(["ADD", "CHECK", "STATUS"] as const)("%s is refused for the same", (verb) => {
    expect(refused({ ipam: { ranges: [[{ subnet: "192.0.2.7/24" }]] } }, { verb }).code).toBe(7);
  });
});

test("routes are taken whole", () => {
  const routes = [{ dst: "10.8.0.0/16", gw: "10.0.0.9", mtu: 1400, priority: 7 }, { dst: "::/0" }];
  const given = read({ ipam: { subnet: "10.0.0.0/24", routes } }).routes;
  expect(given).toMatchObject([{ mtu: 1400, priority: 7 }, {}]);
  expect(given.map(({ gw }) => gw && formatIp(gw))).toEqual(["10.0.0.9", undefined]);
});
