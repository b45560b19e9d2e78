// portmap's rows: by the number of ports, by backend, and on a node whose packet filter holds a thousand pods' rules.
import { createHash } from "node:crypto";
import { execa } from "execa";
import { call, look, rulesShown } from "./steps.mjs";

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

const heldPods = 1000;

/** Runs a verb for each of the pods that had rules before, or have them all the time. */
async function forPods(count, verb, backend, exe) {
  for (let at = 0; at < count; at++) {
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
    async setUp(exe) {
      if (without) return;
      // One pod leaves what all share: a node in use has it, and the floor makes none of it.
      await forPods(held ? heldPods : 1, "ADD", backend, exe("portmap"));
      if (!held) await forPods(1, "DEL", backend, exe("portmap"));
    },
    tearDown: held ? (exe) => forPods(heldPods, "DEL", backend, exe("portmap")) : undefined,
    steps(lane) {
      const stdin = lane.file(id, confOf(backend, ports, "10.244.1.77"));
      const floor = { FLOOR_BACKEND: backend, FLOOR_PORTS: String(count) };
      const common = { plugin: "portmap", exe: lane.exe, stdin, state: "/run", floor };
      const has = without ? "true" : `${rulesShown[backend]} | grep -q "$ID"`;
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
