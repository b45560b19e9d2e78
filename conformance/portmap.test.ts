// portmap beside the Go plugin: after each call the rules are those that Go's has made, whoever made what came before, so
// that either may take over from the other; and neither touches what is somebody else's.
import { expect, test } from "vitest";
import { engine, ours, reference } from "../testing/binaries.ts";
import { pathWith } from "../testing/iptables.ts";
import { describeWith } from "../testing/needs.ts";
import { Cell, type Outcome } from "./cell.ts";

type By = "go" | "ours";
type Backend = "nftables" | "iptables-nft" | "iptables-legacy";

const needs = ["cell", "ip", "nft", "iptables", "legacy iptables", "go"] as const;
const backends: readonly Backend[] = ["nftables", "iptables-nft", "iptables-legacy"];
const web = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
const dual = ["10.1.0.5/24", "fd00:1::5/64"];

interface Case {
  readonly conf: object;
  readonly ips?: readonly string[];
  readonly only?: readonly Backend[];
}
const many = Array.from({ length: 33 }, (_, at) => ({ ...web, hostPort: 9000 + at, containerPort: 7000 + at }));
const iptables: readonly Backend[] = ["iptables-nft", "iptables-legacy"];

const cases: Readonly<Record<string, Case>> = {
  "one port": { conf: { runtimeConfig: { portMappings: [web] } } },
  "both families, several protocols, host addresses": {
    conf: {
      runtimeConfig: {
        portMappings: [
          web,
          { hostPort: 5353, containerPort: 53, protocol: "udp", hostIP: "192.0.2.1" },
          { hostPort: 9000, containerPort: 9, protocol: "sctp", hostIP: "2001:db8::1" },
          { ...web, hostPort: 8081, hostIP: "0.0.0.0" },
          { ...web, hostPort: 8082, hostIP: "::" },
        ],
      },
    },
    ips: dual,
    // ip6tables-legacy 1.8.9 takes any rule of a protocol for the one it is asked for, so that Go's makes but the first.
    only: ["nftables", "iptables-nft"],
  },
  "IPv6 alone": { conf: { runtimeConfig: { portMappings: [web] } }, ips: ["fd00:1::5/64"] },
  "a host address of the other family": {
    conf: { runtimeConfig: { portMappings: [{ ...web, hostIP: "2001:db8::1" }] } },
  },
  "33 ports": { conf: { runtimeConfig: { portMappings: many } } },
  "no snat": { conf: { snat: false, runtimeConfig: { portMappings: [web] } }, ips: dual },
  masqAll: { conf: { masqAll: true, runtimeConfig: { portMappings: [web] } }, ips: dual, only: iptables },
  "another mark": { conf: { markMasqBit: 5, runtimeConfig: { portMappings: [web] } }, ips: dual, only: iptables },
  "somebody else's chain": {
    conf: { externalSetMarkChain: "FOREIGN", runtimeConfig: { portMappings: [web] } },
    ips: dual,
    only: iptables,
  },
  conditions: {
    conf: { conditionsV4: ["!", "-s", "10.9.0.0/16", "-i", "up0"], runtimeConfig: { portMappings: [web] } },
    only: iptables,
  },
  "no mappings": { conf: { runtimeConfig: { portMappings: [] } }, ips: dual },
};

/** What other programs have on a node. */
const foreign = `
iptables -t nat -N FOREIGN; ip6tables -t nat -N FOREIGN
iptables -t nat -A FOREIGN -j MARK --set-xmark 0x4000/0x4000
iptables -t nat -A POSTROUTING -s 10.1.0.0/24 -m comment --comment "not ours" -j MASQUERADE
iptables -t nat -A PREROUTING -p tcp --dport 1 -j RETURN
iptables -A FORWARD -s 10.1.0.0/24 -j ACCEPT
printf 'table inet other {\n chain c {\n type filter hook input priority 5;\n tcp dport 8080 counter accept comment "c0"\n }\n}\n' | nft -f -`;

class Node {
  readonly cell: Cell;
  readonly #backend: Backend;
  readonly #path: string;

  constructor(cell: Cell, backend: Backend, path: string) {
    this.cell = cell;
    this.#backend = backend;
    this.#path = path;
  }

  async call(by: By, verb: string, { conf, ips = ["10.1.0.5/24"] }: Case, id: string): Promise<Outcome> {
    // The second container has addresses and ports of its own.
    const mine = (text: string) =>
      id === "c0"
        ? text
        : text
            .replaceAll("10.1.0.5", "10.1.0.6")
            .replace(/("hostPort":)(\d+)/g, (_, key, port) => `${key}${Number(port) + 1000}`);
    const prevResult = {
      cniVersion: "1.0.0",
      interfaces: [{ name: "eth0", sandbox: "/run/netns/pod" }],
      ips: ips.map((address) => ({ address, interface: 0 })),
    };
    const backend = this.#backend === "nftables" ? "nftables" : "iptables";
    const config = { cniVersion: "1.0.0", name: "net", type: "portmap", backend, ...conf, prevResult };
    return await this.cell.run(`${by === "go" ? reference : ours}/portmap`, [], {
      env: {
        PATH: this.#path,
        CNI_COMMAND: verb,
        CNI_CONTAINERID: id,
        CNI_NETNS: "/run/netns/pod",
        CNI_IFNAME: "eth0",
        CNI_PATH: "/none",
      },
      stdin: mine(JSON.stringify(config)),
    });
  }

  /** Everything that keeps packets, without counters and times, and the setting of the bridge. */
  async state(): Promise<string> {
    const saves = [
      "iptables-nft-save",
      "ip6tables-nft-save",
      "iptables-legacy-save -t nat",
      "ip6tables-legacy-save -t nat",
    ];
    // What iptables has in nf_tables it shows itself: nft cannot tell a rule in its older form from one in its newer.
    const script = `${saves.map((save) => `echo "== ${save}"; ${save} 2>/dev/null | grep -v '^#' || true`).join("\n")}
      echo "== nft"; for t in "ip cni_hostport" "ip6 cni_hostport" "inet other"; do nft -s list table $t 2>/dev/null || true; done
      cat /proc/sys/net/ipv4/conf/br0/route_localnet`;
    return (await this.cell.shell(script)).replace(/ \[\d+:\d+\]/g, "");
  }
}

/** Runs steps on a node of their own; what each said and left behind. */
async function play(
  backend: Backend,
  each: Case,
  steps: readonly (readonly [by: By, verb: string, id: string])[],
): Promise<{ outcome: Outcome; state: string }[]> {
  await using cell = await Cell.open();
  const path = pathWith(backend === "iptables-legacy" ? "legacy" : "nft");
  await cell.addPod("pod");
  await cell.shell(`export PATH=${path.path}:$PATH
    ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0; ip addr add fd00:1::1/64 dev br0 nodad
    ${foreign}`);
  const node = new Node(cell, backend, `${path.path}:/usr/sbin:/usr/bin:/sbin:/bin`);
  const nothing: Outcome = { exit: 0, stdout: "", stderr: "" };
  const played = [{ outcome: nothing, state: await node.state() }];
  for (const [by, verb, id] of steps) {
    const outcome = await node.call(by, verb, each, id);
    played.push({ outcome, state: await node.state() });
  }
  path.remove();
  return played;
}

const verbs = [
  ["ADD", "c0"],
  ["CHECK", "c0"],
  ["ADD", "c1"],
  ["DEL", "c0"],
  ["CHECK", "c1"],
  ["DEL", "c0"],
  ["DEL", "c1"],
  ["DEL", "c9"],
] as const;
/** Who makes the call of each place. */
const turns: Readonly<Record<string, (verb: string, at: number) => By>> = {
  "ours alone": () => "ours",
  "Go's, taken over by ours": (verb) => (verb === "ADD" ? "go" : "ours"),
  "ours, rolled back to Go's": (verb) => (verb === "ADD" ? "ours" : "go"),
  "in turn": (_, at) => (at % 2 === 0 ? "ours" : "go"),
};

/** Each call of the last waits for two processes of iptables in each family, one call after the other. */
const crowds: readonly (readonly [Backend, number])[] = [
  ["nftables", 200],
  ["iptables-nft", 200],
  ["iptables-legacy", 100],
];

describeWith(needs, "portmap, many calls at once", () => {
  test.for(crowds)("%s, %i: each is served, and nothing is left", async ([backend, most]) => {
    const crowd = Array.from({ length: engine === "node" ? 12 : most }, (_, at) => at);
    await using cell = await Cell.open();
    const path = pathWith(backend === "iptables-legacy" ? "legacy" : "nft");
    await cell.addPod("pod");
    await cell.shell(`export PATH=${path.path}:$PATH
      ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.1.1/24 dev br0; ${foreign}`);
    const node = new Node(cell, backend, `${path.path}:/usr/sbin:/usr/bin:/sbin:/bin`);
    const oneOf = (at: number): Case => {
      const [hostPort, address] = [10_000 + at, at + 10];
      const portMappings = [
        { ...web, hostPort },
        { hostPort, containerPort: 53, protocol: "udp" },
      ];
      return { conf: { runtimeConfig: { portMappings } }, ips: [`10.1.1.${address}/24`, `fd00:1::${address}/64`] };
    };
    // A lock that falls free is anybody's who waits for it: on a busy machine some of so many wait in vain for the half minute
    // that they have, and are told to try again later (code 11), which a runtime does. Nobody is told so before.
    const served = async (verb: string, at: number): Promise<Outcome> => {
      for (;;) {
        const since = performance.now();
        const outcome = await node.call("ours", verb, oneOf(at), `pod${at}`);
        const inVain = /"code": 11,/.test(outcome.stdout) && performance.now() - since >= 30_000;
        if (outcome.exit === 0 || !inVain) return outcome;
      }
    };
    const all = async (verb: string) => {
      const done = await Promise.all(crowd.map((at) => served(verb, at)));
      return done.filter(({ exit }) => exit !== 0).map(({ stdout }) => stdout);
    };
    // The shared chains are made by whoever comes first, and stay.
    expect(await all("ADD")).toEqual([]);
    const state = await node.state();
    for (const at of crowd) expect(state).toContain(`10.1.1.${at + 10}:53`);
    expect(state.match(/-j CNI-HOSTPORT-DNAT|fib daddr type local/g)).toHaveLength(4);
    expect(await all("DEL")).toEqual([]);
    const empty = await node.state();
    expect(empty).not.toMatch(/CNI-DN|pod\d/);
    for (const verb of ["ADD", "DEL"]) expect((await node.call("ours", verb, oneOf(0), "pod0")).exit).toBe(0);
    expect(await node.state()).toBe(empty);
    path.remove();
  });
});

describeWith(needs, "portmap, thousands of ports", () => {
  test.for([
    ["nftables", 10_000],
    ["iptables-nft", 5_000],
  ] as const)("%s, %i: made, left as they are, found, and taken away", async ([backend, count]) => {
    await using cell = await Cell.open();
    const path = pathWith("nft");
    await cell.addPod("pod");
    await cell.shell("ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0");
    const node = new Node(cell, backend, `${path.path}:/usr/sbin:/usr/bin:/sbin:/bin`);
    const portMappings = Array.from({ length: count }, (_, at) => ({
      hostPort: 10_000 + at,
      containerPort: 10_000 + at,
      protocol: "udp",
    }));
    const mapped = async () => Number(await cell.shell("nft list ruleset | grep -c 10.1.0.5:1 || true"));
    for (const verb of ["ADD", "ADD", "CHECK", "DEL"]) {
      const { exit, stdout } = await node.call("ours", verb, { conf: { runtimeConfig: { portMappings } } }, "c0");
      expect([verb, exit, exit === 0 ? "" : stdout]).toEqual([verb, 0, ""]);
      expect(await mapped()).toBe(verb === "DEL" ? 0 : count);
    }
    path.remove();
  });
});

describeWith(needs, "portmap, ours beside the Go plugin", () => {
  for (const backend of backends) {
    const suitable = Object.entries(cases).filter(([, { only = backends }]) => only.includes(backend));
    test.for(suitable)(`${backend}: %s`, async ([, each]) => {
      const go = await play(
        backend,
        each,
        verbs.map(([verb, id]) => ["go", verb, id]),
      );
      expect(go.map(({ outcome }) => outcome.exit)).toEqual(go.map(() => 0));
      const all = Object.entries(turns).map(async ([turn, by]) => {
        const mine = await play(
          backend,
          each,
          verbs.map(([verb, id], at) => [by(verb, at), verb, id]),
        );
        for (const [at, { outcome, state }] of mine.entries()) {
          const step = `${turn}: ${at === 0 ? "before" : verbs[at - 1]?.join(" ")}`;
          expect([outcome.exit, outcome.stdout], step).toEqual([0, go[at]?.outcome.stdout]);
          expect(state, step).toBe(go[at]?.state);
        }
      });
      await Promise.all(all);
    });
  }
});
