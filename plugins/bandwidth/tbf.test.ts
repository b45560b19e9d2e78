import { describe, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { parseConfig } from "../../lib/cni/config.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import { readBandwidthConf } from "./conf.ts";
import { cappedBurst, tbfOf, ticksPerMicrosecond } from "./tbf.ts";

const megabit = 1_000_000;
/** What Kubernetes' runtimes give where nobody asked for a burst. */
const usualBurst = 2 ** 31 - 1;
const ticks = 15.625;

describe("the numbers of a bucket", () => {
  // By the Go plugin's CHECK on x86_64, which compares them exactly.
  test.each<[name: string, rate: number, burst: number, tbf: { rate: number; limit: number; buffer: number }]>([
    ["1 Mbit/s, 1 Mbit", megabit, megabit, { rate: 125_000, limit: 128_125, buffer: 15_625_000 }],
    ["a byte", 8, 8, { rate: 1, limit: 1, buffer: 15_625_000 }],
    ["bits that are no bytes", 8_007, 12_007, { rate: 1_000, limit: 1_525, buffer: 23_437_500 }],
    [
      "a burst whose ticks do not fit",
      megabit,
      usualBurst,
      { rate: 125_000, limit: 268_438_580, buffer: 3_489_660_803 },
    ],
    [
      "a burst whose microseconds do not fit",
      80_000,
      usualBurst,
      { rate: 10_000, limit: 268_435_705, buffer: 3_892_312_549 },
    ],
    ["more than 32 bits of bytes a second", 80e9, megabit, { rate: 10_000_000_000, limit: 250_125_000, buffer: 187 }],
    [
      "a limit that does not fit",
      1.6e12,
      8 * 0xffff_fffe,
      { rate: 200_000_000_000, limit: 705_032_702, buffer: 335_531 },
    ],
  ])("%s", (_, rate, burst, tbf) => {
    expect(tbfOf({ rate, burst }, 25, ticks)).toEqual(tbf);
  });

  test("a latency gives a limit", () => {
    expect(tbfOf({ rate: megabit, burst: megabit }, 100, ticks).limit).toBe(125_000 + 12_500);
  });

  test("a burst is capped at an eighth of a second, or at ten packets", () => {
    expect(cappedBurst({ rate: 8 * megabit, burst: usualBurst }, 1500)).toBe(megabit);
    expect(cappedBurst({ rate: 80_000, burst: usualBurst }, 1500)).toBe(120_000);
    expect(cappedBurst({ rate: 8 * megabit, burst: 4_000 }, 1500)).toBe(4_000);
  });
});

describe("the clock", () => {
  const clock = (text: string) => ticksPerMicrosecond(testHost({ over: { readFile: () => text } }).host);
  test.each([
    ["000003e8 00000040 000f4240 3b9aca00\n", 15.625],
    ["000003e8 000003e8 000f4240 3b9aca00\n", 1],
    ["000003e8 00000040 3b9aca00 3b9aca00\n", 1000],
  ])("%j ticks %d times in a microsecond", (text, rate) => {
    expect(clock(text)).toBe(rate);
  });

  test.each([[""], ["x y z"], ["000003e8 00000000 000f4240 3b9aca00"], ["00000000 00000040 000f4240 3b9aca00"]])(
    "%j is no clock",
    async (text) => {
      const { message, details } = await refusalOf(() => clock(text));
      expect([message, details]).toEqual([
        `/proc/net/psched says "${text}"`,
        "this kernel has no packet scheduler: CONFIG_NET_SCHED",
      ]);
    },
  );
});

describe("the configuration", () => {
  const read = (conf: object, verb: Verb = "ADD") => readBandwidthConf(parseConfig(JSON.stringify(conf)), verb);
  const both = { ingressRate: 8_000, ingressBurst: 9_000, egressRate: 10_000, egressBurst: 11_000 };
  const limits = { ingress: { rate: 8_000, burst: 9_000 }, egress: { rate: 10_000, burst: 11_000 } };
  const none = { ingress: undefined, egress: undefined };

  test.each<[what: string, conf: object, expected: object]>([
    ["nothing", {}, none],
    ["zeros", { ingressRate: 0, egressBurst: 0 }, none],
    ["its own", both, limits],
    ["its own, in other letters", { IngressRATE: 8_000, ingressburst: 9_000 }, { ...none, ingress: limits.ingress }],
    ["the runtime's", { runtimeConfig: { bandwidth: both } }, limits],
    ["one of its own instead of the runtime's", { ingressRate: 0, runtimeConfig: { bandwidth: both } }, none],
    ["null of its own", { ingressRate: null, runtimeConfig: { bandwidth: both } }, limits],
    ["null of the runtime's", { runtimeConfig: { bandwidth: null } }, none],
    ["more than 32 bits", { egressRate: 80e9, egressBurst: 8 }, { ...none, egress: { rate: 80e9, burst: 8 } }],
  ])("%s", (_, conf, expected) => {
    expect(read(conf)).toEqual({ ...expected, latencyMs: 25, capBurst: false });
  });

  test.each<[conf: object, message: string]>([
    [{ ingressRate: 5_000 }, 'if rate is set, burst must also be set: "ingressRate" is 5000, "ingressBurst" is 0'],
    [{ egressBurst: 5_000 }, 'if burst is set, rate must also be set: "egressRate" is 0, "egressBurst" is 5000'],
    [
      { egressRate: 8, egressBurst: 8 * 0xffff_ffff },
      'burst cannot be more than 4GB: "egressRate" is 8, "egressBurst" is 34359738360',
    ],
    [{ egressRate: 7, egressBurst: 8 }, 'less than a byte cannot be measured: "egressRate" is 7, "egressBurst" is 8'],
    [{ egressRate: 8, egressBurst: 7 }, 'less than a byte cannot be measured: "egressRate" is 8, "egressBurst" is 7'],
    [{ egressRate: -1 }, '"egressRate" must be >= 0, got -1'],
    [{ latency: 0 }, '"latency" must be >= 1, got 0'],
    [{ egressRate: "8" }, 'failed to load netconf: "egressRate" must be an integer, got "8"'],
    [
      { runtimeConfig: { bandwidth: { ingressBurst: 1.5 } } },
      'failed to load netconf: "runtimeConfig.bandwidth.ingressBurst" must be an integer, got 1.5',
    ],
  ])("%j is refused, but not by DEL and GC", async (conf, message) => {
    for (const verb of ["ADD", "CHECK", "STATUS"] as const)
      expect(await refusalOf(() => read(conf, verb))).toMatchObject({ code: 7, message });
    for (const verb of ["DEL", "GC"] as const) expect(read(conf, verb)).toMatchObject(none);
  });
});
