// What configurations say, and what is refused; conditions in nft's words; which addresses ports lead to.
import { describe, expect, test } from "vitest";
import { parseConfig } from "../../lib/cni/config.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import { formatPrefix } from "../../lib/ip/prefix.ts";
import { matchText } from "../../lib/netlink/nft/match.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { prefix } from "../../testing/runtime.ts";
import { containerAddresses } from "./address.ts";
import { nftConditions } from "./conditions.ts";
import { readPortmapConf } from "./conf.ts";
import { mappingText } from "./mapping.ts";
import { entryComment, ownerIn } from "./names.ts";

const read = (conf: object, verb: Verb = "ADD") => readPortmapConf(parseConfig(JSON.stringify(conf)), verb);
const mapped = (...portMappings: object[]) => ({ runtimeConfig: { portMappings } });
const web = { hostPort: 8080, containerPort: 80, protocol: "tcp" };

describe("mappings", () => {
  test.each([
    [{ ...web }, "tcp 8080"],
    [{ ...web, protocol: "SCTP" }, "sctp 8080"],
    [{ hostPort: 1, containerPort: 2 }, "tcp 1"],
    [{ ...web, hostIP: "192.0.2.1" }, "tcp 192.0.2.1:8080"],
    [{ ...web, hostIP: "2001:DB8::1" }, "tcp [2001:db8::1]:8080"],
    [{ ...web, hostIP: "0.0.0.0" }, "tcp 8080"],
  ])("%j", (given, text) => {
    expect(read(mapped(given)).mappings.map(mappingText)).toEqual([text]);
  });

  test("an unspecified host address says the family all the same", () => {
    const families = ["0.0.0.0", "::", ""].map((hostIP) => read(mapped({ ...web, hostIP })).mappings[0]?.family);
    expect(families).toEqual([4, 6, undefined]);
  });

  test.each([
    [{ ...web, hostPort: 0 }, "Invalid host port number: 0"],
    [{ ...web, hostPort: 65536 }, "Invalid host port number: 65536"],
    [{ ...web, containerPort: -1 }, "Invalid container port number: -1"],
    [{ protocol: "tcp", containerPort: 80 }, "Invalid host port number: 0"],
    [{ ...web, protocol: "icmp" }, '"runtimeConfig.portMappings[0].protocol" "icmp" has no ports'],
    [{ ...web, hostIP: "10.0.0" }, '"runtimeConfig.portMappings[0].hostIP" "10.0.0" is no IP address'],
    [
      { ...web, hostPort: "80" },
      'failed to load netconf: "runtimeConfig.portMappings[0].hostPort" must be an integer, got "80"',
    ],
  ])("%j is refused, and keeps no DEL from its work", async (given, message) => {
    const refused = await refusalOf(() => read(mapped(given)));
    expect([refused.code, refused.message]).toEqual([7, message]);
    expect(read(mapped(given), "DEL").snat).toBe(true);
  });

  test("a DEL knows the mappings it can read", () => {
    const conf = { ...mapped(web, { ...web, protocol: "x" }), snat: "yes", backend: 7, conditionsV4: {} };
    expect(read(conf, "DEL").mappings.map(mappingText)).toEqual(["tcp 8080"]);
  });
});

describe("options", () => {
  test("as they are unless told", () => {
    expect(read({})).toMatchObject({ snat: true, masqAll: false, mark: 0x2000, backend: undefined, conflict: "warn" });
    expect(read({ markMasqBit: 31 }).mark).toBe(0x80000000);
  });

  test.each([
    [{ backend: "ipvs" }, 'unrecognized backend "ipvs"'],
    [{ markMasqBit: 32 }, "MasqMarkBit must be between 0 and 31"],
    [{ markMasqBit: 1, externalSetMarkChain: "X" }, "Cannot specify externalSetMarkChain and markMasqBit"],
    [
      { externalSetMarkChain: "X".repeat(29) },
      `"externalSetMarkChain" "${"X".repeat(29)}" is longer than iptables' chains can be`,
    ],
    [
      { backend: "nftables", externalSetMarkChain: "X", conditionsV6: ["!", "-s", "::1"] },
      "nftables backend was requested but configuration contains iptables-specific options [externalSetMarkChain conditionsV6]",
    ],
    [
      { backend: "iptables", conditionsV4: ["ip saddr 10.0.0.0/8"] },
      "iptables backend was requested but configuration contains nftables-specific options [conditionsV4]",
    ],
  ])("%j is refused", async (conf, message) => {
    expect((await refusalOf(() => read(conf))).message).toBe(message);
  });

  test.each([
    [{ backend: "ipvs" }, '"backend" must be one of iptables, nftables, got "ipvs"'],
    [{ markMasqBit: 32 }, '"markMasqBit" must be <= 31, got 32'],
    [mapped(web, { ...web, hostPort: 70000 }), '"runtimeConfig.portMappings[1].hostPort" must be <= 65535, got 70000'],
  ])("%j: where Go's words do not, the details name the field and the value", async (conf, details) => {
    const hint = "correct this value in the network configuration";
    expect((await refusalOf(() => read(conf))).details).toBe(`${details}; ${hint}`);
  });
});

describe("conditions in nft's words", () => {
  const rules = (words: string, family: 4 | 6 = 4) =>
    nftConditions(words === "" ? [] : words.split("|"), family).map((matches) => matches.map(matchText).join(" "));

  test.each<[string, string[]]>([
    ["", [""]],
    ["ip|saddr|10.0.0.0/8", ["ip saddr 10.0.0.0/8"]],
    ["ip saddr == 10.0.0.1", ["ip saddr 10.0.0.1"]],
    ['iifname "eth0" ip daddr != 192.0.2.7/24', ['iifname "eth0" ip daddr != 192.0.2.0/24']],
    ["meta iifname|{ a, b }|mark 0x10", ['iifname "a" meta mark 0x00000010', 'iifname "b" meta mark 0x00000010']],
    ["iifname != {a,b}", ['iifname != "a" iifname != "b"']],
    ["meta mark & 0xf0 == 32", ["meta mark & 0x000000f0 == 0x00000020"]],
    ["fib daddr type != broadcast", ["fib daddr type != broadcast"]],
  ])("%s", (words, expected) => {
    expect(rules(words)).toEqual(expected);
  });

  test("of the other family", () => {
    expect(rules("ip6 saddr { fd00::/8, ::1 }", 6)).toEqual(["ip6 saddr fd00::/8", "ip6 saddr ::1"]);
  });

  test.each([
    ["ip6 saddr ::1", 'at "ip6 saddr"'],
    ["ip saddr fd00::1", 'at "fd00::1"'],
    ["ip saddr 10.0.0.1-10.0.0.9", 'at "10.0.0.1-10.0.0.9"'],
    ["ip saddr @set", 'at "@set"'],
    ["ip saddr", "at its end"],
    ["ip saddr { 10.0.0.1", "at its end"],
    ["tcp sport 80", 'at "tcp"'],
    ["iifname eth*", 'at "eth*"'],
    ["iifname sixteenletters16", 'at "sixteenletters16"'],
    ["drop", 'at "drop"'],
    ["ip saddr 10.0.0.1; drop", 'at "10.0.0.1;"'],
    ["meta skuid 0", 'at "meta skuid"'],
    ["mark 0x100000000", 'at "0x100000000"'],
  ])("%s is refused, with what is understood", async (words, where) => {
    const refused = await refusalOf(() => rules(words));
    expect([refused.code, refused.message]).toEqual([7, `cannot read "conditionsV4" ${where}`]);
    expect(refused.details).toContain("understood are `ip saddr`");
  });
});

test("ports lead to the first address of each family that may be the container's", () => {
  const result: Result = {
    interfaces: [
      { name: "br0" },
      { name: "eth0" },
      { name: "eth0", sandbox: "/run/netns/x" },
      { name: "net1", sandbox: "x" },
    ],
    ips: [
      { address: prefix("10.0.0.1/24"), interface: 0 },
      { address: prefix("10.0.0.2/24"), interface: 1 },
      { address: prefix("10.0.0.3/24"), interface: 3 },
      { address: prefix("10.0.0.4/24"), interface: 2 },
      { address: prefix("10.0.0.5/24") },
      { address: prefix("fd00::5/64"), interface: 9 },
    ],
    routes: [],
    dns: {},
  };
  const { 4: v4, 6: v6 } = containerAddresses(result, "eth0");
  expect([v4, v6].map((each) => each && formatPrefix(each))).toEqual(["10.0.0.4/24", "fd00::5/64"]);
});

test("the comment of iptables' rules says whose they are, unless it had to be cut", () => {
  expect(ownerIn(entryComment("net", "c0"))).toEqual({ network: "net", containerId: "c0" });
  const long = entryComment("net", "c".repeat(300));
  expect([long.length, long.slice(-4)]).toEqual([255, "c..."]);
  expect([ownerIn(long), ownerIn("not ours")]).toEqual([undefined, undefined]);
});
