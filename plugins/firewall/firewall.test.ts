// firewall in every backend, over the real kernel. iptables-save and nft judge.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EIO, everyFault } from "../../testing/faults.ts";
import { iptables, pathWith, saved, type Variant } from "../../testing/iptables.ts";
import { describeWith } from "../../testing/needs.ts";
import { nft } from "../../testing/nft.ts";
import { makeNode, type TestNode } from "../../testing/node.ts";
import { makeRuntime, type Call, type Runtime } from "../../testing/runtime.ts";
import type { CniError } from "../../lib/cni/error.ts";
import type { Sys } from "../../lib/host/sys.ts";
import { openNft } from "../../lib/netlink/nft/open.ts";
import { firewall } from "./index.ts";
import { quietSpawn } from "../../testing/host.ts";

const records = "/run/cni/firewall";
const dual = ["10.1.0.5/24", "fd00:1::5/64"];

/** A configuration behind a bridge that gave these addresses. */
const after = (conf: object = {}, ips: readonly string[] = dual) => ({
  cniVersion: "1.1.0",
  ...conf,
  prevResult: {
    cniVersion: "1.1.0",
    interfaces: [{ name: "cni0" }, { name: "veth0" }, { name: "eth0", sandbox: "/none" }],
    ips: ips.map((address) => ({ address, interface: 2 })),
  },
});
const gcConf = (...ids: string[]) => ({
  cniVersion: "1.1.0",
  "cni.dev/valid-attachments": ids.map((containerID) => ({ containerID, ifname: "eth0" })),
});
const comment = (text: string) => `-m comment --comment "${text}"`;
const accepts = (prefix: string) => [
  `-A CNI-FORWARD -d ${prefix} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
  `-A CNI-FORWARD -s ${prefix} -j ACCEPT`,
];
const way = (admin = "CNI-ADMIN") => [
  `-A FORWARD ${comment("CNI firewall plugin rules")} -j CNI-FORWARD`,
  `-A CNI-FORWARD ${comment("CNI firewall plugin admin overrides")} -j ${admin}`,
];
const both = comment("CNI firewall plugin rules (ingressPolicy: same-bridge|isolated)");
const own = (policy: string) => comment(`CNI firewall plugin rules (ingressPolicy: ${policy})`);
const isolation = (policy: "same-bridge" | "isolated") => [
  ...(policy === "isolated" ? [`-A CNI-ISOLATION-STAGE-1 -i cni0 -o cni0 ${own(policy)} -j DROP`] : []),
  `-A CNI-ISOLATION-STAGE-1 -i cni0 ! -o cni0 ${own(policy)} -j CNI-ISOLATION-STAGE-2`,
  `-A CNI-ISOLATION-STAGE-1 ${both} -j RETURN`,
  `-A CNI-ISOLATION-STAGE-2 -o cni0 ${both} -j DROP`,
  `-A CNI-ISOLATION-STAGE-2 ${both} -j RETURN`,
];

let node: TestNode;
let runtime: Runtime;
let path: ReturnType<typeof pathWith>;
async function open(variant: Variant | "none"): Promise<void> {
  node = await makeNode();
  await node.run("ip", "link", "add", "cni0", "type", "bridge");
  runtime = makeRuntime(node, firewall);
  path = pathWith(variant);
  rmSync(records, { recursive: true, force: true });
}
async function close(): Promise<void> {
  path.remove();
  runtime.close();
  await node.close();
}
const call = (verb: string, conf: object, more: Partial<Call> = {}) =>
  runtime.call({ verb, conf, netns: "/none", searchPath: path.path, ...more });
const refusal = (verb: string, conf: object): Promise<CniError> =>
  runtime.refusal({ verb, conf, netns: "/none", searchPath: path.path });
/** The netns of a container that has its link; its path. */
async function pod(): Promise<string> {
  const netns = await node.container("pod");
  await node.run("ip", "-n", netns.replace("/run/netns/", ""), "link", "add", "eth0", "type", "bridge");
  return netns;
}
/** Calls of which it is known what they started. */
function spawning(): { started: string[]; over: Pick<Sys, "spawn"> } {
  const started: string[] = [];
  return {
    started,
    over: {
      spawn(file, argv, ...rest) {
        started.push(argv.join(" "));
        return quietSpawn(file, argv, ...rest);
      },
    },
  };
}
const noted = () => (existsSync(records) ? readdirSync(records).sort() : []);

for (const variant of ["nft", "legacy"] as const)
  describeWith(["cell", "ip", "nft", "iptables", "legacy iptables"], `firewall over iptables-${variant}`, () => {
    beforeEach(() => open(variant));
    afterEach(close);

    const rules = async (family: 4 | 6 = 4) =>
      (await saved(variant, family, "filter")).filter((line) => line.startsWith("-A"));
    const passing = async () =>
      [...(await rules(4)), ...(await rules(6))].filter((line) => / -[ds] /.test(line) && line.endsWith("ACCEPT"));

    test("ADD makes Go's chains and rules in the families of its addresses, and passes the result on", async () => {
      const { started, over } = spawning();
      const result = await call("ADD", after(), { over });
      // None where iptables keeps its rules in nf_tables; else whether it works, then two looks and one write a family.
      expect(started).toHaveLength(variant === "nft" ? 0 : 7);
      expect(result?.ips.map(({ address }) => address.length)).toEqual([24, 64]);
      expect(await rules()).toEqual([...way(), ...accepts("10.1.0.5/32")]);
      expect(await rules(6)).toEqual([...way(), ...accepts("fd00:1::5/128")]);
      expect(noted()).toEqual(["10.1.0.5", "fd00:1::5"]);
    });

    test("IPv4 alone needs no ip6tables", async () => {
      rmSync(`${path.path}/ip6tables`);
      await call("ADD", after({}, ["10.1.0.5/24"]));
      expect(await rules()).toEqual([...way(), ...accepts("10.1.0.5/32")]);
      const { message } = await refusal("ADD", after());
      expect(message).toMatch(/^could not initialize iptables protocol 1: .*"ip6tables"/);
    });

    test("a second container shares the way, a repeated ADD adds nothing", async () => {
      await call("ADD", after({}, ["10.1.0.5/24"]));
      await call("ADD", after({}, ["10.1.0.6/24"]), { containerId: "c1" });
      await call("ADD", after({}, ["10.1.0.6/24"]), { containerId: "c1" });
      expect(await rules()).toEqual([...way(), ...accepts("10.1.0.5/32"), ...accepts("10.1.0.6/32")]);
    });

    test("an operator's chain and rules stay where they are, ours come first", async () => {
      await iptables(variant, "restore --noflush", {
        input: "*filter\n:OPS - [0:0]\n-A FORWARD -j OPS\n-A OPS -s 192.0.2.1/32 -j DROP\nCOMMIT\n",
      });
      await call("ADD", after({ iptablesAdminChainName: "OPS" }, ["10.1.0.5/24"]));
      expect(await rules()).toEqual([
        way()[0],
        "-A FORWARD -j OPS",
        way("OPS")[1],
        ...accepts("10.1.0.5/32"),
        "-A OPS -s 192.0.2.1/32 -j DROP",
      ]);
    });

    test.each(["same-bridge", "isolated"] as const)("ingressPolicy %s, as Go writes it", async (ingressPolicy) => {
      await call("ADD", after({ ingressPolicy }, ["10.1.0.5/24"]));
      await call("ADD", after({ ingressPolicy }, ["10.1.0.6/24"]), { containerId: "c1" });
      expect(await rules()).toEqual([
        `-A FORWARD ${both} -j CNI-ISOLATION-STAGE-1`,
        ...way(),
        ...accepts("10.1.0.5/32"),
        ...accepts("10.1.0.6/32"),
        ...isolation(ingressPolicy),
      ]);
    });

    test("a policy is about the bridge, wherever in the result it stands", async () => {
      const conf = after({ ingressPolicy: "isolated" }, ["10.1.0.5/24"]);
      const [bridge, ...others] = conf.prevResult.interfaces;
      const interfaces = [{ name: "lo" }, ...others, bridge];
      await call("ADD", { ...conf, prevResult: { ...conf.prevResult, interfaces } });
      await call("CHECK", conf);
    });

    type Broken = readonly [what: string, command: string, message: string];
    const broken: readonly Broken[] = [
      ["the way from the hook", "-D FORWARD 2", `-A FORWARD ${comment("CNI firewall plugin rules")}`],
      [
        "the way to an operator's rules",
        "-D CNI-FORWARD 1",
        `-A CNI-FORWARD ${comment("CNI firewall plugin admin overrides")}`,
      ],
      ["answers", "-D CNI-FORWARD 2", `-A CNI-FORWARD -d 10.1.0.5/32`],
      ["what it sends", "-D CNI-FORWARD 3", `-A CNI-FORWARD -s 10.1.0.5/32`],
      ["the way to the policy", "-D FORWARD 1", `-A FORWARD ${both}`],
      ["the own bridge", "-D CNI-ISOLATION-STAGE-1 1", "-A CNI-ISOLATION-STAGE-1 -i cni0 -o cni0"],
      ["other bridges", "-D CNI-ISOLATION-STAGE-1 2", "-A CNI-ISOLATION-STAGE-1 -i cni0 ! -o cni0"],
      ["the way back", "-D CNI-ISOLATION-STAGE-1 3", `-A CNI-ISOLATION-STAGE-1 ${both} -j RETURN`],
      ["the refusal", "-D CNI-ISOLATION-STAGE-2 1", `-A CNI-ISOLATION-STAGE-2 -o cni0`],
      ["the second way back", "-D CNI-ISOLATION-STAGE-2 2", `-A CNI-ISOLATION-STAGE-2 ${both} -j RETURN`],
    ];
    test.each(broken)("CHECK names %s, and makes nothing", async (_, command, message) => {
      const conf = after({ ingressPolicy: "isolated" }, ["10.1.0.5/24"]);
      await call("ADD", conf);
      await call("CHECK", conf);
      await iptables(variant, `- ${command}`);
      const before = await rules();
      const error = await refusal("CHECK", conf);
      expect(error.message).toContain(`missing rule: iptables -t filter: ${message}`);
      expect(error.message.split("; ")).toHaveLength(1);
      expect(await rules()).toEqual(before);
    });

    test("CHECK, DEL and GC start nothing where iptables keeps its rules in nf_tables, nor where there are none", async () => {
      const { started, over } = spawning();
      for (const [verb, conf] of [
        ["DEL", after()],
        ["GC", gcConf()],
      ] as const)
        await call(verb, conf, { over });
      await runtime.refusal({ verb: "CHECK", conf: after({ backend: "iptables" }), searchPath: path.path, over });
      expect(started).toEqual([]);
      // Nobody has brought the older tables into being by a question.
      expect(readFileSync("/proc/self/net/ip_tables_names", "utf8")).toBe("");
      if (variant === "legacy") return;
      await call("ADD", after());
      for (const [verb, conf] of [
        ["CHECK", after()],
        ["DEL", after()],
        ["GC", gcConf()],
      ] as const)
        await call(verb, conf, { over });
      expect(started).toEqual([]);
    });

    test("DEL finds an attachment whose network has another name by now", async () => {
      await call("ADD", after({ name: "before" }));
      await call("DEL", { cniVersion: "1.1.0", name: "after" });
      expect([await passing(), noted()]).toEqual([[], []]);
    });

    test("CHECK tells of another attachment that has the address by now", async () => {
      await call("ADD", after({}, ["10.1.0.5/24"]), { containerId: "old" });
      await call("ADD", after({}, ["10.1.0.5/24"]), { containerId: "new" });
      await call("CHECK", after({}, ["10.1.0.5/24"]), { containerId: "new" });
      const error = await runtime.refusal({
        verb: "CHECK",
        conf: after({}, ["10.1.0.5/24"]),
        containerId: "old",
        searchPath: path.path,
      });
      expect(error.message).toBe('10.1.0.5 passes for "eth0" of container "new"');
    });

    test.each(["DEL", "GC"])("%s takes the policy of a bridge that is gone, and of no other", async (verb) => {
      const conf = after({ ingressPolicy: "isolated" });
      await call("ADD", conf);
      await call(verb, verb === "GC" ? gcConf() : conf);
      const whole = [`-A FORWARD ${both} -j CNI-ISOLATION-STAGE-1`, ...way(), ...isolation("isolated")];
      expect([await rules(4), await rules(6)]).toEqual([whole, whole]);
      await node.run("ip", "link", "del", "cni0");
      await iptables(variant, "- -A CNI-ISOLATION-STAGE-1 -i gone0 -m comment --comment theirs -j RETURN");
      await call(verb, verb === "GC" ? gcConf() : conf);
      const left = whole.filter((line) => !line.includes("cni0"));
      expect(await rules(6)).toEqual(left);
      expect((await rules(4)).filter((line) => !line.includes("theirs"))).toEqual(left);
      expect(await rules(4)).toHaveLength(left.length + 1);
    });

    test("DEL, with a result or by what is noted, again, and before any ADD", async () => {
      await call("DEL", after());
      expect(await rules()).toEqual([]);
      for (const conf of [after(), { cniVersion: "1.1.0" }, after({ backend: 7, ingressPolicy: "junk" })]) {
        await call("ADD", after());
        await call("DEL", conf);
        await call("DEL", conf);
        expect([await rules(), await rules(6), noted()]).toEqual([way(), way(), []]);
      }
    });

    test("DEL leaves the rules of whoever has the address by now", async () => {
      const netns = await pod();
      await call("ADD", after(), { containerId: "old" });
      await call("ADD", after(), { containerId: "new", netns });
      await call("DEL", after(), { containerId: "old" });
      expect(await passing()).toHaveLength(4);
      await call("DEL", after(), { containerId: "new" });
      expect(await passing()).toEqual([]);
    });

    test.each(["DEL", "GC"])(
      "%s on a read-only /run takes the rules, and tells of the note that stays",
      async (verb) => {
        mkdirSync(records, { recursive: true });
        await node.run("mount", "-t", "tmpfs", "firewall", records);
        try {
          await call("ADD", after());
          await node.run("mount", "-o", "remount,ro", records);
          await call(verb, verb === "GC" ? gcConf() : after());
          expect([await passing(), noted()]).toEqual([[], ["10.1.0.5", "fd00:1::5"]]);
          expect(runtime.stderr()).toContain("read-only file system");
          await call(verb, verb === "GC" ? gcConf() : after());
        } finally {
          await node.run("umount", records);
        }
      },
    );

    test.each(["link", "netns"])("a note of somebody whose %s is gone keeps no rule", async (what) => {
      const netns = await pod();
      await call("ADD", after(), { containerId: "noted", netns });
      await call("DEL", after(), { containerId: "by-go" });
      expect(await passing()).toHaveLength(4);
      const name = netns.replace("/run/netns/", "");
      await node.run("ip", ...(what === "link" ? ["-n", name, "link", "del", "eth0"] : ["netns", "del", name]));
      await call("DEL", after(), { containerId: "by-go" });
      expect([await passing(), noted()]).toEqual([[], []]);
    });

    test("DEL without iptables is done, where nothing can be", async () => {
      rmSync(`${path.path}/iptables`);
      rmSync(`${path.path}/ip6tables`);
      await call("DEL", after());
    });

    test("GC takes what is not valid of its network, and no more", async () => {
      await call("ADD", after({}, ["10.1.0.5/24"]));
      await call("ADD", after({}, ["10.1.0.6/24"]), { containerId: "c1" });
      await call("ADD", after({ name: "other" }, ["10.1.0.7/24"]), { containerId: "c2" });
      await call("GC", gcConf("c1"));
      await call("GC", gcConf("c1"));
      expect(await rules()).toEqual([...way(), ...accepts("10.1.0.6/32"), ...accepts("10.1.0.7/32")]);
      expect(noted()).toEqual(["10.1.0.6", "10.1.0.7"]);
    });

    test("GC takes no address that a valid attachment of another plugin's may have", async () => {
      await call("ADD", after({}, ["10.1.0.5/24"]));
      const before = await passing();
      await call("GC", gcConf("by-go"));
      expect(await passing()).toEqual(before);
      expect(runtime.stderr()).toContain("rules of 1 addresses stay, which may be those of by-go");
      await call("GC", gcConf());
      expect(await passing()).toEqual([]);
    });

    test("every system call of ADD, DEL and GC refused, or the last one", async () => {
      const one = after({}, variant === "nft" ? dual : ["10.1.0.5/24"]);
      const common = { netns: "/none", searchPath: path.path };
      const gone = async () => expect([await passing(), noted()]).toEqual([[], []]);
      for (const fault of [EIO, "killed"] as const) {
        const judge = async (error: unknown) => {
          if (error !== undefined && fault === EIO) await gone();
          await call("DEL", one);
          await gone();
        };
        await everyFault({ runtime, call: async () => ({ verb: "ADD", conf: one, ...common }), fault, judge });
        await call("DEL", one);
        for (const conf of [
          { verb: "DEL", conf: one },
          { verb: "GC", conf: gcConf() },
        ]) {
          const added = async () => {
            await call("ADD", one);
            return { ...conf, ...common };
          };
          const removed = async (error: unknown) => {
            if (error === undefined) await gone();
            await call("GC", gcConf());
            await gone();
          };
          await everyFault({ runtime, call: added, fault, judge: removed });
        }
      }
    });
  });

describeWith(["cell", "ip", "nft", "iptables"], "firewall's rules in nf_tables", () => {
  beforeEach(() => open("nft"));
  afterEach(close);

  test("are those that iptables itself would write, to the byte", async () => {
    await call("ADD", after({ ingressPolicy: "isolated" }));
    const socket = openNft(node.host());
    const chains = ["FORWARD", "CNI-FORWARD", ...["1", "2"].map((stage) => `CNI-ISOLATION-STAGE-${stage}`)];
    const expressions = () =>
      (["ip", "ip6"] as const).flatMap((family) =>
        chains.map((chain) => socket.rule.list({ family, table: "filter", chain }).map(({ exprs }) => exprs)),
      );
    const ours = expressions();
    for (const family of [4, 6] as const)
      await iptables("nft", "restore", { family, input: `${(await saved("nft", family, "filter")).join("\n")}\n` });
    const theirs = expressions();
    socket.close();
    expect(ours.map((rules) => rules.length)).toEqual([2, 3, 3, 2, 2, 3, 3, 2]);
    expect(ours).toEqual(theirs);
  });
});

describeWith(["cell", "ip", "nft"], "firewall over nftables", () => {
  beforeEach(() => open("none"));
  afterEach(close);
  const backend = "nftables";
  const table = () => nft("list table inet cni_firewall");
  /** Each address in the sets, with its comment. */
  const passing = async () =>
    [...(await table()).matchAll(/[\da-f]*[.:][\da-f.:]+ comment "[^"]+"/g)].map(([element]) => element);

  test("a node without iptables has a table of ours, and its rules say whose they are", async () => {
    await call("ADD", after({ ingressPolicy: "isolated" }));
    const text = await table();
    for (const line of [
      "type filter hook forward priority filter; policy accept;",
      "jump CNI-ISOLATION-STAGE-1\n\t\tjump CNI-ADMIN\n\t\tip daddr @pods4 ct state established,related accept",
      'iifname "cni0" oifname "cni0" drop comment',
      'iifname "cni0" oifname != "cni0" jump CNI-ISOLATION-STAGE-2 comment',
      'oifname "cni0" drop comment',
      "ip saddr @pods4 accept",
      "ip6 daddr @pods6 ct state established,related accept",
      "ip6 saddr @pods6 accept",
      "elements = { 10.1.0.5 comment",
      "elements = { fd00:1::5 comment",
      "net: net, if: eth0, id: c0",
    ])
      expect(text).toContain(line);
    await call("CHECK", after({ ingressPolicy: "isolated" }));
    expect(await passing()).toHaveLength(2);
  });

  test("CHECK names what is missing; ADD adds it and nothing twice", async () => {
    const conf = after({ backend, ingressPolicy: "same-bridge" });
    await call("ADD", conf);
    const whole = await table();
    for (const [kind, name] of [
      ["set", "pods4"],
      ["set", "pods6"],
      ["chain", "CNI-ISOLATION-STAGE-1"],
      ["chain", "CNI-ISOLATION-STAGE-2"],
      ["chain", "forward"],
    ] as const) {
      await nft(`flush ${kind} inet cni_firewall ${name}`);
      expect((await refusal("CHECK", conf)).message).toContain(`missing rule: inet cni_firewall ${name}: `);
      await call("ADD", conf);
      await call("ADD", conf);
      expect(await table()).toBe(whole);
    }
  });

  test("DEL by what is noted, and GC", async () => {
    await call("ADD", after({ backend }));
    await call("ADD", after({ backend }, ["10.1.0.6/24"]), { containerId: "c1" });
    await call("ADD", after({ backend, name: "other" }, ["10.1.0.7/24"]), { containerId: "c2" });
    await call("DEL", { cniVersion: "1.1.0" });
    await call("DEL", { cniVersion: "1.1.0" });
    expect(await passing()).toEqual([
      expect.stringMatching(/^10\.1\.0\.6 .* id: c1"$/),
      expect.stringMatching(/^10\.1\.0\.7 .* id: c2"$/),
    ]);
    await call("GC", gcConf());
    expect(await passing()).toEqual([expect.stringMatching(/^10\.1\.0\.7 /)]);
  });

  test("an address says whose it is now; a late DEL of whose it was leaves it", async () => {
    await call("ADD", after({ backend }), { containerId: "old" });
    await call("ADD", after({ backend }), { containerId: "new", netns: await pod() });
    expect((await passing()).join()).toMatch(/id: new.*id: new/);
    await call("DEL", after({ backend }), { containerId: "old" });
    expect(await passing()).toHaveLength(2);
    expect((await refusal("CHECK", after({ backend }))).message).toBe(
      '10.1.0.5 passes for "eth0" of container "new"; fd00:1::5 passes for "eth0" of container "new"',
    );
  });

  test("policies of bridges that are gone go", async () => {
    const conf = after({ backend, ingressPolicy: "isolated" });
    await call("ADD", conf);
    await call("DEL", conf);
    expect((await table()).match(/"cni0"/g)).toHaveLength(5);
    await node.run("ip", "link", "del", "cni0");
    await call("DEL", conf);
    expect(await table()).not.toContain("cni0");
  });

  test("a chain of another's that drops is told of", async () => {
    await nft("add table ip other; add chain ip other f { type filter hook forward priority 5; policy drop; }");
    await call("ADD", after({ backend }));
    const told = "firewall: what nft chain ip other f does not accept it drops, whatever inet cni_firewall accepts\n";
    expect(runtime.stderr()).toBe(told);
    await call("STATUS", { cniVersion: "1.1.0", backend });
    expect(runtime.stderr()).toBe(told);
    // Without a rule it is certain to drop them, where it sees them.
    expect((await refusal("CHECK", after({ backend }))).message).toBe(
      "nft chain ip other f drops whatever is forwarded",
    );
    await call("ADD", after({ backend }, ["fd00:1::6/64"]), { containerId: "c1" });
    await call("CHECK", after({ backend }, ["fd00:1::6/64"]), { containerId: "c1" });
    await nft("add rule ip other f ip saddr 10.1.0.0/24 accept");
    await call("CHECK", after({ backend }));
  });

  test("every system call of every verb refused, or the last one", async () => {
    const conf = after({ backend, ingressPolicy: "isolated" }, ["10.1.0.5/24"]);
    const common = { netns: "/none", searchPath: path.path };
    const there = async () => (existsSync(records) ? [noted(), await passing()] : [[], []]);
    const gone = async () => expect(await there()).toEqual([[], []]);
    await call("ADD", conf);
    await call("DEL", conf);
    for (const fault of [EIO, "killed"] as const) {
      await everyFault({
        runtime,
        call: async () => ({ verb: "ADD", conf, ...common }),
        fault,
        judge: async (error) => {
          if (error !== undefined && fault === EIO) await gone();
          await call("DEL", { cniVersion: "1.1.0" });
          await gone();
        },
      });
      for (const other of [
        { verb: "DEL", conf: { cniVersion: "1.1.0" } },
        { verb: "GC", conf: gcConf() },
      ])
        await everyFault({
          runtime,
          call: async () => {
            await call("ADD", conf);
            return { ...other, ...common };
          },
          fault,
          judge: async (error) => {
            if (error === undefined) await gone();
            await call("GC", gcConf());
            await gone();
          },
        });
      await call("ADD", conf);
      const before = await there();
      for (const verb of ["CHECK", "STATUS"])
        await everyFault({
          runtime,
          call: async () => ({ verb, conf, ...common }),
          fault,
          least: 3,
          judge: async () => expect(await there()).toEqual(before),
        });
      await call("DEL", conf);
    }
  });
});

describeWith(["cell", "ip", "nft", "iptables"], "firewall refuses", () => {
  beforeEach(() => open("nft"));
  afterEach(close);

  test.each<[object, number, string]>([
    [{ cniVersion: "1.1.0" }, 7, "missing prevResult from earlier plugin"],
    [after({ ingressPolicy: "closed" }), 7, 'unknown ingress policy: "closed"'],
    [after({ backend: "firewalld" }), 2, 'unsupported field "backend": "firewalld"'],
    [after({ iptablesAdminChainName: "a b" }), 7, '"iptablesAdminChainName" "a b" is no name of a chain'],
    [after({ iptablesAdminChainName: "-j" }), 7, '"iptablesAdminChainName" "-j" is no name of a chain'],
    ...["FORWARD", "INPUT", "OUTPUT", "DROP", "CNI-FORWARD", "CNI-ISOLATION-STAGE-2", "forward"].map(
      (name): [object, number, string] => [
        after({ iptablesAdminChainName: name }),
        7,
        `"iptablesAdminChainName" "${name}" is taken`,
      ],
    ),
    [after({ backend: 1 }), 7, '"backend" must be a string, got 1'],
    [
      {
        ...after({ ingressPolicy: "isolated" }),
        prevResult: { cniVersion: "1.1.0", ips: [{ address: "10.1.0.5/24" }] },
      },
      7,
      'interface needs to be set for ingress policy "isolated"',
    ],
    ...[
      [{ name: "lo" }, { name: "eth0", sandbox: "/none" }],
      [{ name: "cni0", sandbox: "/none" }],
      [{ name: "" }, { name: "no-bridge-is-called-so" }, { name: "absent" }],
    ].map((interfaces): [object, number, string] => [
      {
        ...after({ ingressPolicy: "isolated" }),
        prevResult: { cniVersion: "1.1.0", interfaces, ips: [{ address: "10.1.0.5/24" }] },
      },
      7,
      `"ingressPolicy" "isolated" keeps bridges apart, and no link of the result on the node is a bridge: ${
        interfaces.flatMap((each) => ("sandbox" in each ? [] : [JSON.stringify(each.name)])).join(", ") || "none"
      }`,
    ]),
  ])("%j: %i, %s", async (conf, code, text) => {
    const error = await refusal("ADD", conf);
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(text)]);
    expect(noted()).toEqual([]);
  });

  test("a node of firewalld's, unless the backend is named", async () => {
    await nft("add table inet firewalld");
    expect((await refusal("ADD", after())).message).toContain("firewalld keeps the rules of this node");
    expect(await refusal("STATUS", { cniVersion: "1.1.0" })).toMatchObject({ code: 50 });
    await call("ADD", after({ backend: "iptables" }));
  });

  test("STATUS is content with what the node has, and 50 where it has nothing", async () => {
    await call("STATUS", { cniVersion: "1.1.0" });
    await call("STATUS", { cniVersion: "1.1.0", backend: "nftables" });
    for (const name of ["iptables", "nft"]) rmSync(`${path.path}/${name}`);
    expect(await refusal("STATUS", { cniVersion: "1.1.0", backend: "iptables" })).toMatchObject({ code: 50 });
  });

  test("an address that is noted in no form of ours is nobody's", async () => {
    mkdirSync(records, { recursive: true });
    writeFileSync(`${records}/junk`, "x");
    await call("ADD", after());
    await call("DEL", after());
    await call("GC", gcConf());
    expect(noted()).toEqual(["junk"]);
  });
});
