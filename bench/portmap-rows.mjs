// portmap's rows: by the number of ports, by backend, and on a node whose packet filter holds a thousand pods' rules.
import { createHash } from "node:crypto";
import { execa } from "execa";
import { call, look } from "./steps.mjs";

/** One pod's list entry and what the plugins before gave it. */
const confOf = (backend, ports, address) => ({
  cniVersion: "1.0.0",
  name: "cbr0",
  type: "portmap",
  backend,
  snat: true,
  runtimeConfig: {
    portMappings: ports.map((hostPort) => ({ hostPort, containerPort: 80, protocol: "tcp" })),
  },
  prevResult: {
    cniVersion: "1.0.0",
    interfaces: [{ name: "eth0", mac: "02:00:00:00:00:01", sandbox: "/run/netns/p0" }],
    ips: [{ interface: 0, address: `${address}/24`, gateway: "10.244.1.1" }],
  },
});

const shown = { nftables: "nft list ruleset", iptables: "iptables-save -t nat" };
const heldPods = 1000;

/** Runs a verb for each of the pods whose rules are there all the time. */
async function forHeldPods(verb, backend, exe) {
  for (let at = 0; at < heldPods; at++) {
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: createHash("sha256").update(`held ${at}`).digest("hex"),
      CNI_NETNS: "/run/netns/p0",
      CNI_IFNAME: "eth0",
      CNI_PATH: "/nowhere",
      PATH: process.env.PATH,
    };
    const conf = confOf(backend, [20000 + at], `10.244.${2 + (at >> 7)}.${2 + (at & 127)}`);
    await execa(exe, { env, extendEnv: false, input: JSON.stringify(conf) });
  }
}

function scenario({ backend, count, rounds, held }) {
  const id = `portmap-${count}-${backend}${held ? "-held" : ""}`;
  const ports = Array.from({ length: count }, (_, at) => 8000 + at);
  const without = count === 0;
  const title = without
    ? "without mappings"
    : `${count} port${count === 1 ? "" : "s"}, ${backend}${held ? `, ${heldPods.toLocaleString("en")} pods' rules held` : ""}`;
  return {
    id,
    rounds,
    count: 1,
    rows: ["ADD", "DEL"].map((step) => ({ step, title: `portmap ${step}, ${title}` })),
    prepare() {},
    setUp: held ? (exe) => forHeldPods("ADD", backend, exe("portmap")) : undefined,
    tearDown: held ? (exe) => forHeldPods("DEL", backend, exe("portmap")) : undefined,
    steps(lane) {
      if (lane.isFloor) return [];
      const stdin = lane.file(id, confOf(backend, ports, "10.244.1.77"));
      const common = { plugin: "portmap", exe: lane.exe, stdin, state: "/run" };
      const has = without ? "true" : `${shown[backend]} | grep -q "$ID"`;
      return [
        call("ADD", { ...common, verb: "ADD" }),
        look("ADD", has, { state: "/run", every: 10 }),
        call("DEL", { ...common, verb: "DEL" }),
        look("DEL", without ? "true" : `! ${has}`, { state: "/run", every: 10 }),
      ];
    },
  };
}

/** Go starts a process or several for each of iptables' rules, which is why it gets few rounds of many ports. */
export const portmapScenarios = () => [
  scenario({ backend: "iptables", count: 0, rounds: 200 }),
  ...["nftables", "iptables"].flatMap((backend) => [
    scenario({ backend, count: 1, rounds: 80 }),
    scenario({ backend, count: 10, rounds: 40 }),
    scenario({ backend, count: 200, rounds: 12 }),
    scenario({ backend, count: 1, rounds: 40, held: true }),
  ]),
];
