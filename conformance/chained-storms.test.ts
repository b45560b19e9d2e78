// Plugins behind bridge, many pods at once: tuned and shaped, ours alone and beside Go's; then all of them go, half with
// their netns gone already.
import { expect, test } from "vitest";
import { engine } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { failures, Fleet, range, type FleetCall, type FleetOutcome } from "./fleet.ts";

const pods = range(0, 60);
const half = pods.length / 2;
/** So many processes of the Node engine would need more memory than a small machine has. */
const parallel = engine === "node" ? 16 : pods.length;

const list = { cniVersion: "1.0.0", name: "cbr0" };
const bridge = {
  ...list,
  type: "bridge",
  bridge: "cni0",
  isGateway: true,
  ipam: { type: "host-local", subnet: "10.244.1.0/24" },
};
const tuning = { ...list, type: "tuning", mtu: 1400, txQLen: 100, sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } };
const bandwidth = {
  ...list,
  type: "bandwidth",
  ingressRate: 80_000_000,
  ingressBurst: 8_000_000,
  egressRate: 80_000_000,
  egressBurst: 8_000_000,
};

const crowds: readonly { name: string; by: (pod: number) => "ours" | "go" }[] = [
  { name: "ours alone", by: () => "ours" },
  { name: "ours and Go's side by side", by: (pod) => (pod % 2 === 0 ? "ours" : "go") },
];

describeWith(["cell", "ip", "tc", "ping", "go", "ifb links"], `storms behind bridge, ${parallel} calls at once`, () => {
  test.for(crowds)("$name", async ({ by }) => {
    await using fleet = await Fleet.open(pods.length);
    const { cell } = fleet;
    const call = (verb: string, program: string, config: FleetCall["config"] = () => ({}), who: FleetCall["by"] = by) =>
      fleet.call({ verb, program, by: who, pods, config, parallel });
    const behind = (conf: object, before: readonly FleetOutcome[]) => (pod: number) => ({
      ...conf,
      prevResult: JSON.parse(before[pod]?.stdout ?? ""),
    });

    const made = await call("ADD", "bridge", () => bridge, "ours");
    expect(failures(made)).toEqual([]);
    const tuned = await call("ADD", "tuning", behind(tuning, made));
    expect(failures(tuned)).toEqual([]);
    const shaped = await call("ADD", "bandwidth", behind(bandwidth, tuned));
    expect(failures(shaped)).toEqual([]);

    // Each has a link of its own, which only its own redirects to; whoever made it, both CHECK it.
    const ifbs = (await fleet.ip("link show type ifb")).map(({ ifname }) => String(ifname));
    expect(new Set(ifbs).size).toBe(pods.length);
    const targets = await cell.shell(
      "for dev in $(tc qdisc | sed -n 's/^qdisc ingress .* dev \\([^ ]*\\) .*/\\1/p'); do tc filter show dev $dev ingress | sed -n 's/.*Redirect to device \\([^)]*\\)).*/\\1/p' | head -1; done",
    );
    expect(targets.trim().split("\n").sort()).toEqual([...ifbs].sort());
    for (const who of ["ours", "go"] as const) {
      expect(failures(await call("CHECK", "tuning", behind(tuning, shaped), who))).toEqual([]);
      expect(failures(await call("CHECK", "bandwidth", behind(bandwidth, shaped), who))).toEqual([]);
    }
    // bridge is content with what later plugins made of its links.
    expect(failures(await call("CHECK", "bridge", behind(bridge, shaped), "ours"))).toEqual([]);
    await cell.shell("ping -c 1 -W 20 -q 10.244.1.1", `pod${pods.at(-1)}`);

    await fleet.end(pods.slice(half));
    // The other's, of every attachment.
    const other = (pod: number) => (by(pod) === "ours" && by(pod + 1) === "go" ? "go" : "ours");
    expect(failures(await call("DEL", "bandwidth", () => bandwidth, other))).toEqual([]);
    expect(failures(await call("DEL", "tuning", () => tuning, other))).toEqual([]);
    for (const [program, conf] of [
      ["bandwidth", bandwidth],
      ["tuning", tuning],
      ["bridge", bridge],
    ] as const)
      expect(failures(await call("DEL", program, () => conf, "ours"))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
    expect(await cell.shell("ls -A /run/cni/tuning")).toBe("");
  });
});
