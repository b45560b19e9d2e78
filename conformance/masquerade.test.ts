// ipMasq and macspoofchk beside Go's: after each verb the packet filter is the same, whoever made an attachment the other
// checks it and takes it away, and crowds leave the rules of others as they were.
import { expect, test } from "vitest";
import { engine } from "../testing/binaries.ts";
import { foreignNft, foreignSaved } from "../testing/iptables.ts";
import { describeWith } from "../testing/needs.ts";
import { dualSubnet, kubeFlannel } from "./configs.ts";
import { failures, Fleet, type FleetCall, type FleetOutcome } from "./fleet.ts";
import type { Implementation } from "./scenario.ts";

type Conf = Record<string, unknown>;
/** Where `iptables` leads, and which backend is asked for. */
interface Backend {
  readonly name: string;
  readonly iptables: "nft" | "legacy";
  readonly conf: Conf;
}
const backends: readonly Backend[] = [
  { name: "nftables", iptables: "nft", conf: { ipMasqBackend: "nftables" } },
  { name: "iptables in nf_tables", iptables: "nft", conf: { ipMasqBackend: "iptables" } },
  { name: "iptables of the older kind", iptables: "legacy", conf: { ipMasqBackend: "iptables" } },
  { name: "the backend that is chosen", iptables: "nft", conf: {} },
];
const v4 = [{ subnet: "10.9.0.0/24" }];
const v6 = [{ subnet: "fd00:9::/64" }];
const masquerading = (ranges: Conf[][], more: Conf = {}): Conf => ({
  cniVersion: "1.0.0",
  name: "cbr0",
  type: "bridge",
  isDefaultGateway: true,
  ipMasq: true,
  ipam: { type: "host-local", ranges },
  ...more,
});

/** The call of a fleet's pods by one of the two. */
async function call(
  fleet: Fleet,
  { iptables }: Backend,
  verb: string,
  by: FleetCall["by"],
  conf: (pod: number) => Conf,
  more: Partial<FleetCall> = {},
): Promise<FleetOutcome[]> {
  const env = { PATH: `/run/${iptables}:/usr/sbin:/usr/bin:/sbin:/bin` };
  return await fleet.call({ program: "bridge", verb, by, pods: fleet.pods, config: conf, env, ...more });
}

async function open(count: number, foreign = false): Promise<Fleet> {
  const fleet = await Fleet.open(count);
  for (const kind of ["nft", "legacy"]) {
    const links = ["iptables", "ip6tables"].map((name) => `ln -s /usr/sbin/${name}-${kind} /run/${kind}/${name}`);
    await fleet.cell.shell(`mkdir /run/${kind}\n${links.join("\n")}`);
    if (!foreign) continue;
    for (const [family, name] of [
      [4, "iptables"],
      [6, "ip6tables"],
    ] as const) {
      fleet.cell.write("/run/rules", foreignSaved(family));
      await fleet.cell.shell(`${name}-${kind}-restore </run/rules`);
    }
  }
  if (!foreign) return fleet;
  fleet.cell.write("/run/rules", foreignNft);
  await fleet.cell.shell("nft -f /run/rules");
  return fleet;
}

/** All that iptables of both kinds and nft say, as text: times, counters and handles left out, drawn names named. */
async function ruleset({ cell }: Fleet): Promise<string[]> {
  const text = await cell.shell(`
    for save in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do echo "$save"; $save -t nat; done
    nft -j list ruleset
    nft list table inet cni_plugins_masquerade 2>/dev/null || true`);
  const drawn = new Map<string, string>();
  return (
    text
      .split("\n")
      .filter((line) => !line.startsWith("#"))
      .flatMap((line) => (line.startsWith("{") ? (JSON.parse(line) as { nftables: unknown[] }).nftables : [line]))
      .map((each) => (typeof each === "string" ? each : JSON.stringify(each)))
      // A table without chains is what Go leaves of its questions to iptables.
      .filter((line) => !/^{"table":.*"name":"nat"/.test(line))
      .map((line) =>
        line
          .replace(/"handle": ?\d+,? ?|"(packets|bytes)": ?\d+,? ?/g, "")
          .replace(/\[\d+:\d+\]/, "")
          .replace(/\bveth[0-9a-f]{8}\b|\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b/g, (name) => {
            if (!drawn.has(name)) drawn.set(name, `<drawn ${drawn.size}>`);
            return drawn.get(name) ?? "";
          }),
      )
  );
}

const withPrevious = (conf: Conf, added: readonly FleetOutcome[]) => (pod: number) => ({
  ...conf,
  prevResult: JSON.parse(added.find((each) => each.pod === pod)?.stdout ?? "null") as unknown,
});

const needs = ["cell", "ip", "go", "nft", "iptables", "legacy iptables"] as const;

describeWith(needs, "ipMasq and macspoofchk beside Go's", () => {
  const shapes: readonly { shape: string; pods: number; ranges: Conf[][]; more: Conf }[] = [
    { shape: "IPv4", pods: 2, ranges: [v4], more: {} },
    { shape: "IPv6", pods: 2, ranges: [v6], more: {} },
    { shape: "both families, and macspoofchk", pods: 2, ranges: [v4, v6], more: { macspoofchk: true } },
    // Without a gateway Go's bridge changes its MAC with the second port, which fails its CHECK. Its DEL fails with two
    // addresses of a family in iptables: the second still jumps to the chain that goes with the first.
    { shape: "two subnets", pods: 1, ranges: [v4, [{ subnet: "10.10.0.0/24" }]], more: { isDefaultGateway: false } },
  ];
  const cases = backends.flatMap((backend) => shapes.map((shape) => ({ ...backend, ...shape })));

  test.for(cases)("$name, $shape: the same rules after each verb", async (backend) => {
    const conf = masquerading(backend.ranges, { ...backend.conf, ...backend.more });
    const seen: Record<Implementation, string[][]> = { ours: [], go: [] };
    for (const by of ["ours", "go"] as const) {
      await using fleet = await open(backend.pods);
      const look = async () => seen[by].push(await ruleset(fleet));
      const added = await call(fleet, backend, "ADD", by, () => conf);
      expect(failures(added)).toEqual([]);
      await look();
      for (const judge of ["ours", "go"] as const)
        expect(failures(await call(fleet, backend, "CHECK", judge, withPrevious(conf, added)))).toEqual([]);
      if (backend.shape === "two subnets" && backend.name !== "nftables") continue;
      for (const pod of fleet.pods) {
        const given = withPrevious(conf, added);
        expect(failures(await call(fleet, backend, "DEL", by, given, { pods: [pod] }))).toEqual([]);
        await look();
      }
    }
    expect(seen.ours).toEqual(seen.go);
    expect(seen.ours[0]?.join("\n")).toMatch(/MASQUERADE|masquerade/);
  });

  test.for(backends)("$name: what one made, the other takes away", async (backend) => {
    const conf = masquerading([v4, v6], { ...backend.conf, macspoofchk: true });
    await using fleet = await open(1, true);
    await call(fleet, backend, "ADD", "go", () => conf);
    await call(fleet, backend, "DEL", "go", () => conf);
    const before = await ruleset(fleet);
    for (const [adds, dels] of [
      ["go", "ours"],
      ["ours", "go"],
      ["ours", "ours"],
    ] as const) {
      const added = await call(fleet, backend, "ADD", adds, () => conf);
      expect(failures(added)).toEqual([]);
      expect(await ruleset(fleet)).not.toEqual(before);
      expect(failures(await call(fleet, backend, "DEL", dels, () => conf))).toEqual([]);
      expect(await ruleset(fleet)).toEqual(before);
    }
  });

  test.for(backends)("$name: what Go leaves where the netns is gone, ours takes away", async (backend) => {
    const conf = masquerading([v4, v6], { ...backend.conf, macspoofchk: true });
    await using fleet = await open(1, true);
    await call(fleet, backend, "ADD", "go", () => conf);
    await call(fleet, backend, "DEL", "go", () => conf);
    const before = await ruleset(fleet);
    expect(failures(await call(fleet, backend, "ADD", "go", () => conf))).toEqual([]);
    await fleet.end(fleet.pods);
    expect(failures(await call(fleet, backend, "DEL", "go", () => conf))).toEqual([]);
    expect(await ruleset(fleet)).not.toEqual(before);
    // Whatever the configuration says by now.
    const plain = { ...conf, ipMasq: false, macspoofchk: false };
    expect(failures(await call(fleet, backend, "DEL", "ours", () => plain))).toEqual([]);
    expect(await ruleset(fleet)).toEqual(before);
  });

  test("flannel: where flanneld does not masquerade, bridge does, as Go's chain does", async () => {
    const seen: Record<Implementation, string[][]> = { ours: [], go: [] };
    const [backend] = backends;
    if (backend === undefined) throw new Error("no backend");
    for (const by of ["ours", "go"] as const) {
      await using fleet = await open(2);
      await fleet.cell.shell(`${dualSubnet.shell}; sed -i s,IPMASQ=true,IPMASQ=false, /run/flannel/subnet.env`);
      for (const verb of ["ADD", "DEL"]) {
        const program = { program: "flannel" };
        expect(failures(await call(fleet, backend, verb, by, () => kubeFlannel("0.3.1"), program))).toEqual([]);
        seen[by].push(await ruleset(fleet));
      }
    }
    expect(seen.ours).toEqual(seen.go);
    expect(seen.ours[0]?.join("\n")).toContain("MASQUERADE");
  });
});

describeWith(needs, "crowds with ipMasq", () => {
  const parallel = engine === "node" ? 12 : 100;
  test.for(backends.slice(0, 3))(
    "$name: 100 ADDs and 100 DELs at once leave others' rules as they were",
    async (backend) => {
      const conf = masquerading([v4, v6], { ...backend.conf, macspoofchk: true });
      await using fleet = await open(100, true);
      await call(fleet, backend, "ADD", "ours", () => conf, { pods: [0] });
      await call(fleet, backend, "DEL", "ours", () => conf, { pods: [0] });
      const before = await ruleset(fleet);
      expect(failures(await call(fleet, backend, "ADD", "ours", () => conf, { parallel }))).toEqual([]);
      const held = await ruleset(fleet);
      // Every foreign line stands as it stood, in its order.
      const kept = held.filter((line) => before.includes(line));
      expect(before.filter((line) => !held.includes(line))).toEqual([]);
      expect(kept.length).toBeGreaterThan(40);
      expect(failures(await call(fleet, backend, "DEL", "ours", () => conf, { parallel }))).toEqual([]);
      expect(await ruleset(fleet)).toEqual(before);
    },
  );
});
