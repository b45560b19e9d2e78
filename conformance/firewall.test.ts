// firewall beside Go's: after each verb the filter table is the same, either checks and takes away what the other made, and
// a crowd of both leaves no rule of a container and no shared rule twice.
import { expect, test } from "vitest";
import { engine } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { failures, Fleet, range, type FleetCall, type FleetOutcome } from "./fleet.ts";
import type { Implementation } from "./scenario.ts";

type Conf = Record<string, unknown>;
const kinds = ["nft", "legacy"] as const;
type Kind = (typeof kinds)[number];

/** Behind a bridge that gave each pod an address of these families. */
const firewall =
  (more: Conf = {}, families = "46") =>
  (pod: number): Conf => ({
    cniVersion: "1.0.0",
    name: "net",
    type: "firewall",
    backend: "iptables",
    ...more,
    prevResult: {
      cniVersion: "1.0.0",
      interfaces: [{ name: "br9" }, { name: `veth${pod}` }, { name: "eth0", sandbox: `/run/netns/pod${pod}` }],
      ips: [
        ...(families.includes("4") ? [{ address: `10.9.0.${pod + 2}/24`, interface: 2 }] : []),
        ...(families.includes("6") ? [{ address: `fd00:9::${pod + 2}/64`, interface: 2 }] : []),
      ],
    },
  });

async function call(
  fleet: Fleet,
  kind: Kind,
  verb: string,
  by: FleetCall["by"],
  config: (pod: number) => Conf,
  more: Partial<FleetCall> = {},
): Promise<FleetOutcome[]> {
  const env = { PATH: `/run/${kind}:/usr/sbin:/usr/bin:/sbin:/bin` };
  return await fleet.call({ program: "firewall", verb, by, pods: fleet.pods, config, env, ...more });
}

async function open(count: number): Promise<Fleet> {
  const fleet = await Fleet.open(count);
  // While it is there, its policy stays as Go's plugin leaves it.
  await fleet.cell.shell("ip link add br9 type bridge");
  for (const kind of kinds) {
    const links = ["iptables", "ip6tables"].map((name) => `ln -s /usr/sbin/${name}-${kind} /run/${kind}/${name}`);
    await fleet.cell.shell(`mkdir /run/${kind}\n${links.join("\n")}`);
  }
  return fleet;
}

/** The filter tables of both families, without times and counters. */
async function rules({ cell }: Fleet, kind: Kind): Promise<string[]> {
  const text = await cell.shell(
    `for save in iptables-${kind}-save ip6tables-${kind}-save; do echo "$save"; $save -t filter; done`,
  );
  return text
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.replace(/ \[\d+:\d+\]$/, ""));
}

describeWith(["cell", "ip", "go", "nft", "iptables", "legacy iptables"], "firewall beside Go's", () => {
  const shapes: readonly { shape: string; conf: Conf; families?: string }[] = [
    { shape: "both families", conf: {} },
    { shape: "IPv4 alone", conf: {}, families: "4" },
    { shape: "IPv6 alone", conf: {}, families: "6" },
    { shape: "an operator's own chain", conf: { iptablesAdminChainName: "OPS" } },
    { shape: "same-bridge", conf: { ingressPolicy: "same-bridge" } },
    { shape: "isolated", conf: { ingressPolicy: "isolated" } },
    { shape: "open, in so many words", conf: { ingressPolicy: "open" } },
    { shape: "a backend nobody knows", conf: { backend: "iptabels" } },
  ];
  const cases = kinds.flatMap((kind) => shapes.map((shape) => ({ kind, ...shape })));

  test.for(cases)("iptables-$kind, $shape: the same rules after each verb", async ({ kind, conf, families }) => {
    const config = firewall(conf, families);
    const seen: Record<Implementation, unknown[]> = { ours: [], go: [] };
    for (const by of ["ours", "go"] as const) {
      await using fleet = await open(2);
      const look = async () => seen[by].push(await rules(fleet, kind));
      const added = await call(fleet, kind, "ADD", by, config);
      expect(failures(added)).toEqual([]);
      seen[by].push(added.map(({ stdout }) => JSON.parse(stdout) as unknown));
      await look();
      for (const judge of ["ours", "go"] as const)
        expect(failures(await call(fleet, kind, "CHECK", judge, config))).toEqual([]);
      await look();
      for (const pod of [...fleet.pods, 0]) {
        expect(failures(await call(fleet, kind, "DEL", by, config, { pods: [pod] }))).toEqual([]);
        await look();
      }
    }
    expect(seen.ours).toEqual(seen.go);
    expect(JSON.stringify(seen.ours[1])).toContain("RELATED,ESTABLISHED");
  });

  test.for(kinds)("iptables-%s: what one made, the other takes away", async (kind) => {
    const config = firewall({ ingressPolicy: "isolated" });
    await using fleet = await open(3);
    for (const by of ["go", "ours"] as const) {
      await call(fleet, kind, "ADD", by, config, { pods: [0] });
      await call(fleet, kind, "DEL", by, config, { pods: [0] });
    }
    const before = await rules(fleet, kind);
    for (const [adds, dels] of [
      ["go", "ours"],
      ["ours", "go"],
    ] as const) {
      expect(failures(await call(fleet, kind, "ADD", adds, config))).toEqual([]);
      expect(await rules(fleet, kind)).not.toEqual(before);
      expect(failures(await call(fleet, kind, "DEL", dels, config))).toEqual([]);
      expect(await rules(fleet, kind)).toEqual(before);
    }
    // Go forgot what ours had noted: that keeps nobody from the address.
    expect(failures(await call(fleet, kind, "ADD", "ours", firewall({ name: "other" })))).toEqual([]);
    expect(failures(await call(fleet, kind, "DEL", "ours", firewall({ name: "other" })))).toEqual([]);
    expect(await rules(fleet, kind)).toEqual(before);
  });

  test.for(kinds)("iptables-%s: without a result Go leaves its rules, ours takes them away", async (kind) => {
    const config = firewall();
    const bare = (): Conf => ({ cniVersion: "1.0.0", name: "net", type: "firewall" });
    await using fleet = await open(1);
    await call(fleet, kind, "ADD", "ours", config);
    await call(fleet, kind, "DEL", "ours", config);
    const before = await rules(fleet, kind);
    await call(fleet, kind, "ADD", "ours", config);
    expect(failures(await call(fleet, kind, "DEL", "go", bare))).toEqual([]);
    expect(await rules(fleet, kind)).not.toEqual(before);
    expect(failures(await call(fleet, kind, "DEL", "ours", bare))).toEqual([]);
    expect(await rules(fleet, kind)).toEqual(before);
  });

  test.for(kinds)("iptables-%s: rules of others stay as they are, to the byte and in their order", async (kind) => {
    await using fleet = await open(2);
    const others = ["", "6"].map(
      (six) => `ip${six}tables-${kind}-restore <<'END'
*filter
:DOCKER-USER - [0:0]
:KUBE-FORWARD - [0:0]
:CNI-FORWARD-OTHER - [0:0]
-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD
-A FORWARD -j DOCKER-USER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER-USER -j RETURN
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -m limit --limit 5/min -j ACCEPT
-A CNI-FORWARD-OTHER ! -i br9 -p tcp -m multiport --dports 1,2,3 -j DROP
COMMIT
END`,
    );
    await fleet.cell.shell(`${others.join("\n")}
      printf 'table inet other {\n chain c {\n type filter hook forward priority 5;\n counter accept comment "c0"\n }\n}\n' | nft -f -`);
    const theirs = async () => {
      const lines = [...(await rules(fleet, kind)), await fleet.cell.shell("nft -s list table inet other")];
      return lines.filter((line) => !/CNI-(FORWARD|ADMIN|ISOLATION-STAGE-[12])( |$)/.test(line));
    };
    const before = await theirs();
    const config = firewall({ ingressPolicy: "isolated", cniVersion: "1.1.0" });
    const gc = (): Conf => ({ ...firewall({ cniVersion: "1.1.0" })(0), "cni.dev/valid-attachments": [] });
    for (const by of ["ours", "go"] as const)
      for (const [verb, conf] of [
        ["ADD", config],
        ["ADD", config],
        ["CHECK", config],
        ["DEL", config],
        ["GC", gc],
      ] as const) {
        expect(failures(await call(fleet, kind, verb, by, conf))).toEqual([]);
        expect(await theirs(), `${verb} by ${by}`).toEqual(before);
      }
    expect((await rules(fleet, kind)).join("\n")).not.toMatch(/-[ds] (10\.9|fd00)/);
  });

  test("a node of firewalld's is refused until the backend is named", async () => {
    await using fleet = await open(1);
    const { cell } = fleet;
    const answer = async (verb: string, conf: Conf = {}) => {
      const [only] = await call(fleet, "nft", verb, "ours", firewall({ backend: "", cniVersion: "1.1.0", ...conf }));
      const { code, details } = only?.exit === 0 ? {} : (JSON.parse(only?.stdout ?? "") as Conf);
      return [code, details];
    };
    const content = [undefined, undefined];
    expect(await answer("STATUS")).toEqual(content);
    const signs: readonly [make: string, unmake: string, sign: string][] = [
      ["echo 1 >/run/firewalld.pid", "rm /run/firewalld.pid", "/run/firewalld.pid names process 1; "],
      ...["", "systemd/"].map((hierarchy): [string, string, string] => {
        const path = `/sys/fs/cgroup/${hierarchy}system.slice/firewalld.service`;
        return [`mkdir -p ${path}`, `rmdir ${path}`, `its service runs: there is ${path}; `];
      }),
      ["nft add table inet firewalld", "nft delete table inet firewalld", "nf_tables has a table inet firewalld; "],
    ];
    await cell.shell("mount -t tmpfs cgroup /sys/fs/cgroup");
    for (const [make, unmake, sign] of signs) {
      await cell.shell(make);
      expect(await answer("STATUS")).toEqual([50, expect.stringContaining(sign)]);
      expect(await answer("ADD")).toEqual([2, expect.stringContaining(sign)]);
      expect(await answer("ADD", { backend: "iptables" })).toEqual(content);
      // What is there goes, whatever the node has become since.
      expect(await answer("DEL")).toEqual(content);
      await cell.shell(unmake);
    }
    // A number that was left behind.
    await cell.shell("echo 4194304 >/run/firewalld.pid");
    expect(await answer("STATUS")).toEqual(content);
  });

  test.for(kinds)("iptables-%s: a crowd on a node without rules, then one of both kinds", async (kind) => {
    const config = firewall({ ingressPolicy: "same-bridge" });
    const parallel = engine === "node" ? 8 : 50;
    await using fleet = await open(50);
    expect(failures(await call(fleet, kind, "ADD", "ours", config, { parallel }))).toEqual([]);
    const all = await rules(fleet, kind);
    const added = all.filter((line) => line.startsWith("-A"));
    // Each family has its own: the same line once or, where it is of neither, twice.
    for (const line of added) expect(added.filter((each) => each === line).length, line).toBeLessThanOrEqual(2);
    expect(added.filter((line) => /^-A CNI-FORWARD .* ACCEPT$/.test(line))).toHaveLength(50 * 4);
    expect(failures(await call(fleet, kind, "DEL", "ours", config, { parallel }))).toEqual([]);
    const before = await rules(fleet, kind);
    expect(failures(await call(fleet, kind, "ADD", "ours", config, { parallel }))).toEqual([]);
    expect(failures(await call(fleet, kind, "DEL", "ours", config, { parallel }))).toEqual([]);
    expect(await rules(fleet, kind)).toEqual(before);
    expect(before.join("\n")).not.toMatch(/CNI-FORWARD .* ACCEPT/);
    const by = (pod: number) => (pod % 2 === 0 ? "go" : "ours");
    const pods = range(0, 20);
    expect(failures(await call(fleet, kind, "ADD", by, config, { pods, parallel: 8 }))).toEqual([]);
    expect(failures(await call(fleet, kind, "CHECK", "ours", config, { pods, parallel: 8 }))).toEqual([]);
    const other = (pod: number) => (pod % 2 === 0 ? "ours" : "go");
    expect(failures(await call(fleet, kind, "DEL", other, config, { pods, parallel: 8 }))).toEqual([]);
    expect(await rules(fleet, kind)).toEqual(before);
  });
});
