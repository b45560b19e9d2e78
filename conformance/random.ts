// Configurations nobody wrote down: valid ones and others, and what a runtime might do with them. What is left out is what
// the tests of each plugin name as a difference.
import fc from "fast-check";
import { allVersions, call, hostLocal } from "./configs.ts";
import { withResult, type Call, type Scenario } from "./scenario.ts";

type Conf = Record<string, unknown>;

/** Says no, in whatever words. */
const anyError = { says: /./ } as const;
const version = fc.constantFrom(...allVersions);
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
/** Of everything that may be there, this. */
const pick = (from: Record<string, fc.Arbitrary<unknown>>) => fc.record(from, { requiredKeys: [] });

/** Blocks of eight addresses; the same one twice overlaps. */
const blocks = [
  { at: (offset: number) => `10.9.0.${8 + offset}`, length: 29 },
  { at: (offset: number) => `10.9.0.${16 + offset}`, length: 29 },
  { at: (offset: number) => `10.9.0.${24 + offset}`, length: 29 },
  { at: (offset: number) => `fd00:9::${(8 + offset).toString(16)}`, length: 125 },
  { at: (offset: number) => `fd00:9::${(16 + offset).toString(16)}`, length: 125 },
];

const inside = fc.integer({ min: 1, max: 6 });
/** -1 and 8 are outside; an IPv4 range that starts at 7, the broadcast address, is a difference. */
const around = fc.integer({ min: -1, max: 8 });
const address = fc.tuple(fc.constantFrom(...blocks), inside).map(([block, offset]) => block.at(offset));
const range = fc
  .record({
    block: fc.constantFrom(...blocks),
    start: optional(fc.oneof({ weight: 4, arbitrary: inside }, { weight: 1, arbitrary: fc.constantFrom(-1, 0, 8) })),
    end: optional(fc.oneof({ weight: 4, arbitrary: inside }, { weight: 1, arbitrary: around })),
    gateway: optional(around),
    hostBits: fc.integer({ min: 0, max: 15 }),
  })
  .map(({ block, start, end, gateway, hostBits }) => ({
    subnet: `${block.at(hostBits === 1 ? 1 : 0)}/${hostBits === 2 ? block.length + 2 : block.length}`,
    rangeStart: start === undefined ? undefined : block.at(start),
    rangeEnd: end === undefined ? undefined : block.at(end),
    gateway: gateway === undefined ? undefined : block.at(gateway),
  }));

const route = fc.constantFrom<Conf>(
  { dst: "10.0.0.0/8" },
  { dst: "10.1.2.3/16", gw: "10.9.0.9" },
  { dst: "0.0.0.0/0", gw: "10.9.0.10", mtu: 1400, priority: 7 },
  { dst: "FD00::/16", gw: "fd00:9::A", table: 100, scope: 0 },
  { dst: "::/0" },
);

const hostLocalStep = fc.record({
  verb: fc.constantFrom("ADD", "ADD", "ADD", "DEL", "CHECK"),
  container: fc.constantFrom("a", "b", "c", "d"),
  ifName: fc.constantFrom("eth0", "eth0", "net1"),
  asked: fc.option(fc.record({ address, how: fc.constantFrom("CNI_ARGS", "args", "runtimeConfig") }), {
    nil: undefined,
    freq: 3,
  }),
});

/** host-local: ranges, and containers that come, go, come again, and ask for addresses. */
export const hostLocalScenario: fc.Arbitrary<Scenario> = fc
  .record({
    cniVersion: version,
    ranges: fc.array(fc.array(range, { minLength: 1, maxLength: 2 }), { minLength: 1, maxLength: 2 }),
    routes: fc.array(route, { maxLength: 2 }),
    steps: fc.array(hostLocalStep, { minLength: 3, maxLength: 9 }),
  })
  .map(({ cniVersion, ranges, routes, steps }) => {
    const conf = hostLocal({ ranges, routes }, { cniVersion });
    return {
      name: "random",
      steps: steps.map(({ verb, container, ifName, asked }): Call => {
        const given = verb === "ADD" ? asked : undefined;
        const keys =
          given?.how === "args"
            ? { args: { cni: { ips: [given.address] } } }
            : given?.how === "runtimeConfig"
              ? { runtimeConfig: { ips: [given.address] } }
              : {};
        const args = given?.how === "CNI_ARGS" ? { CNI_ARGS: `IgnoreUnknown=1;IP=${given.address}` } : {};
        const env = { CNI_CONTAINERID: container, CNI_IFNAME: ifName, ...args };
        return call(verb, "host-local", { ...conf, ...keys }, { env, ...anyError });
      }),
    };
  });

const v4 = [{ subnet: "10.9.0.0/24" }];
const v6 = [{ subnet: "fd00:9::/64" }];
const from = [{ subnet: "10.8.0.0/16", rangeStart: "10.8.3.0" }];
/** Two of IPv4 on one bridge are a difference. */
const rangeSets = fc.constantFrom([v4], [v6], [from], [v4, v6], [v6, from]);
const bridgeRoute = fc.constantFrom<Conf>(
  { dst: "10.0.0.0/8" },
  { dst: "192.0.2.0/24", priority: 50 },
  { dst: "fd00::/16" },
  { dst: "203.0.113.7/32", scope: 0 },
);
const flag = fc.boolean();
const bridgeKeys = pick({
  isGateway: flag,
  isDefaultGateway: flag,
  forceAddress: flag,
  hairpinMode: flag,
  portIsolation: flag,
  mtu: fc.constantFrom(0, 1280, 1400, 1500, 9000, -1),
  runtimeConfig: pick({ mac: fc.constantFrom("", "c2:11:22:33:44:57", "C2-11-22-33-44-58") }),
  args: fc.constantFrom<Conf>({}, { cni: { mac: "c211.2233.4459" } }),
  dns: fc.constantFrom<Conf | null>(null, {}, { domain: "d" }, { nameservers: ["192.0.2.1"], search: [] }),
  unknown: fc.json(),
});
const ipam = fc
  .record({
    ranges: rangeSets,
    routes: fc.uniqueArray(bridgeRoute, { maxLength: 2, selector: (each) => JSON.stringify(each) }),
  })
  .map((given) => ({ type: "host-local", ...given }));

/** A value of another type than the key's, or out of its bounds. */
const fault = fc.oneof(
  fc
    .tuple(
      fc.constantFrom("bridge", "isGateway", "hairpinMode", "mtu", "vlan", "vlanTrunk", "ipam", "dns", "args"),
      fc.constantFrom<unknown>(1.5, [1], { a: 1 }),
    )
    // An object is right for three of them, a list for none but the trunk's, where a number in it is wrong.
    .filter(
      ([key, value]) => Array.isArray(value) || typeof value === "number" || !["ipam", "dns", "args"].includes(key),
    )
    .map(([key, value]): Conf => ({ [key]: value })),
  fc.constantFrom<Conf>(
    { vlan: 4095 },
    { hairpinMode: true, promiscMode: true },
    { disableContainerInterface: true },
    { runtimeConfig: { mac: "c2:11:22" } },
    { ipam: { type: "host-local" } },
    { ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/31" }]] } },
    { vlanTrunk: [{ minID: 9, maxID: 5 }] },
  ),
);

/** bridge: two containers on one bridge and their ends, or a configuration that must be refused. */
export const bridgeScenario: fc.Arbitrary<Scenario> = fc
  .record({
    cniVersion: version,
    keys: bridgeKeys,
    ipam: fc.option(ipam, { nil: undefined, freq: 5 }),
    fault: fc.option(fault, { nil: undefined, freq: 3 }),
  })
  .map(({ cniVersion, keys, ipam: addresses, fault: wrong }): Scenario => {
    // Layer 2 alone has no result in the first two versions, and Go's CHECK of it fails.
    const layer2 = addresses === undefined;
    const base = { name: "net", type: "bridge", bridge: "br9", ipam: addresses };
    const conf: Conf = { cniVersion: layer2 && /^0\.[12]/.test(cniVersion) ? "0.3.1" : cniVersion, ...base, ...keys };
    const second = { pod: "other", env: { CNI_CONTAINERID: "f00d" } } as const;
    const run = (verb: string) => call(verb, "bridge", conf, anyError);
    // Two pods of one MAC have one link-local address, and chance says which of them finds out.
    const macless = { ...conf, runtimeConfig: undefined, args: undefined };
    const runSecond = (verb: string) => call(verb, "bridge", macless, { ...anyError, ...second });
    const steps =
      wrong === undefined
        ? [
            run("ADD"),
            // Before a second port comes: Go's bridge may then take its MAC, and Go's CHECK finds fault with that.
            ...(layer2 ? [] : [call("CHECK", "bridge", withResult(conf, 0), anyError)]),
            runSecond("ADD"),
            run("DEL"),
            run("DEL"),
            runSecond("DEL"),
          ]
        : [
            call(
              "ADD",
              "bridge",
              { ...conf, ipam: addresses ?? { type: "host-local", ranges: [v4] }, ...wrong },
              anyError,
            ),
          ];
    return { name: "random", look: "node", pods: ["pod", "other"], steps };
  });
