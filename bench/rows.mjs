// What is measured. A scenario is what each lane does in one round; its timed steps are rows of the table.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { portmapScenarios } from "./portmap-rows.mjs";
import { call, look, path, rulesShown, subnet } from "./steps.mjs";

/** How kube-flannel's conflist and subnet.env configure a pod, raised from 0.3.1 so that CHECK exists. */
const flannelConf = (state) => ({
  cniVersion: "0.4.0",
  name: "cbr0",
  type: "flannel",
  delegate: { hairpinMode: true, isDefaultGateway: true },
  dataDir: join(state, "flannel"),
  ipam: { dataDir: join(state, "networks") },
});

/** What flannel would hand to bridge, at the version Go's flannel no longer speaks. */
const bridgeConf = (state) => ({
  cniVersion: "1.0.0",
  name: "cbr0",
  type: "bridge",
  hairpinMode: true,
  isDefaultGateway: true,
  isGateway: true,
  ipMasq: false,
  mtu: 1450,
  ipam: {
    type: "host-local",
    dataDir: join(state, "networks"),
    ranges: [[{ subnet }]],
    routes: [{ dst: "10.244.0.0/16" }],
  },
});

const hostLocalConf = (state, range) => ({
  cniVersion: "1.0.0",
  name: "cbr0",
  type: "bridge",
  ipam: { type: "host-local", dataDir: join(state, "networks"), ranges: [[{ subnet: range }]] },
});

/** Every address a /24 or /16 gives out, gateway and ends left out. */
function addressesOf(range) {
  const [a, b, c] = range.split(".");
  const size = range.endsWith("/16") ? 65536 : 256;
  const all = Array.from({ length: size }, (_, at) => `${a}.${b}.${size === 256 ? c : at >> 8}.${at & 255}`);
  return all.slice(2, -1);
}

/** Fills a lane's store as a long-lived node has it: the held addresses lie scattered over the range. */
function fillStore(state, range, held) {
  const store = join(state, "networks/cbr0");
  mkdirSync(store, { recursive: true });
  mkdirSync(join(state, "flannel"));
  const free = addressesOf(range);
  for (let at = 0; at < held; at++) {
    const ip = free[Math.floor((at * free.length) / held)];
    const id = (at + 1).toString(16).padStart(64, "f");
    writeFileSync(join(store, ip), `${id}\r\neth0`, { mode: 0o600 });
  }
  if (held > 0) writeFileSync(join(store, "last_reserved_ip.0"), free[0], { mode: 0o600 });
}

const attached = 'nsenter --net="$NETNS" grep -q "10.244.1." /proc/net/fib_trie && grep -rq "$ID" "$STATE"';
const detached = '! nsenter --net="$NETNS" grep -q eth0 /proc/net/dev && ! grep -rq "$ID" "$STATE"';
const reserved = 'grep -rq "$ID" "$STATE"';
const released = '! grep -rq "$ID" "$STATE"';
// The broadcast route is there only while lo is up; the address stays.
const loUp = 'nsenter --net="$NETNS" grep -q 127.255.255.255 /proc/net/fib_trie';

/** The same, which masquerades by itself. */
const masqueradeConf = (ipMasqBackend) => (state) => ({ ...bridgeConf(state), ipMasq: true, ipMasqBackend });

/** An attachment that comes and goes, and leaves the tables and chains that all share: the floor makes none of them. */
async function makeShared(plugin, conf, exe) {
  const state = "/run/state/first";
  const pod = { CNI_CONTAINERID: "first", CNI_NETNS: "/run/netns/p100", CNI_IFNAME: "eth1" };
  for (const verb of ["ADD", "DEL"]) {
    const { exe: file, env } = call(verb, { verb, plugin, exe, state });
    await execa(file, { env: { ...env, ...pod }, extendEnv: false, input: JSON.stringify(conf(state)) });
  }
}

/** ADD, perhaps CHECK (`check` goes after its title), DEL of an attachment; the floor has no CHECK. */
function chain(id, { plugin, conf, title, rounds, place, count = 1, check, floor }) {
  const many = count === 1 ? "" : `${count} parallel `;
  const rows = [
    { step: "ADD", title: `${many}${plugin} ADD ${title}` },
    ...(check === undefined ? [] : [{ step: "CHECK", title: `${plugin} CHECK ${title}${check}` }]),
    { step: "DEL", title: `${many}${plugin} DEL ${title}` },
  ];
  return {
    id,
    rounds,
    rows,
    count,
    prepare: (lane) => fillStore(lane.state(place, id), subnet, 1),
    setUp: floor && ((exe) => makeShared(plugin, conf, exe)),
    steps(lane) {
      const state = lane.state(place, id);
      const stdin = lane.file(id, conf(state));
      const common = { plugin, exe: lane.exe, stdin, state, count, floor };
      const every = count === 1 ? 10 : 2;
      const ruled = floor === undefined ? "true" : `${rulesShown[floor.FLOOR_BACKEND]} | grep -q "$ID"`;
      return [
        call("ADD", { ...common, verb: "ADD" }),
        look("ADD", `${attached} && ${ruled}`, { state, every, count }),
        ...(check !== undefined && !lane.isFloor ? [call("CHECK", { ...common, verb: "CHECK", previous: true })] : []),
        call("DEL", { ...common, verb: "DEL" }),
        look("DEL", floor === undefined ? detached : `${detached} && ! ${ruled}`, { state, every, count }),
      ];
    },
  };
}

function hostLocal(held, range, rounds) {
  const id = `host-local-${held}`;
  const title = `${held.toLocaleString("en")} held in a ${range.slice(-3)}`;
  return {
    id,
    rounds,
    count: 1,
    rows: ["ADD", "DEL"].map((step) => ({ step, title: `host-local ${step}, ${title}` })),
    prepare: (lane) => fillStore(lane.state("tmpfs", id), range, held),
    steps(lane) {
      const state = lane.state("tmpfs", id);
      const stdin = lane.file(id, hostLocalConf(state, range));
      const common = { plugin: "host-local", exe: lane.exe, stdin, state, range };
      return [
        call("ADD", { ...common, verb: "ADD" }),
        look("ADD", reserved, { state, every: 10 }),
        call("DEL", { ...common, verb: "DEL" }),
        look("DEL", released, { state, every: 10 }),
      ];
    },
  };
}

const plugins = ["flannel", "bridge", "host-local", "loopback"];

const versions = {
  id: "version",
  rounds: 400,
  count: 1,
  rows: plugins.map((plugin) => ({ step: plugin, title: `${plugin} VERSION` })),
  prepare() {},
  steps(lane) {
    const stdin = lane.file("version", { cniVersion: "1.0.0" });
    return plugins.map((plugin) => {
      const { env, ...rest } = call(plugin, { verb: "VERSION", plugin, exe: lane.exe, stdin, state: "" });
      return { ...rest, env: { CNI_COMMAND: env.CNI_COMMAND, CNI_PATH: env.CNI_PATH, PATH: path } };
    });
  },
};

/**
 * What a runtime asks every few seconds for ever. Go's flannel has no STATUS (nor 1.1.0), so Go's bridge, which asks its
 * host-local, stands for the chain there; of a floor there is nothing to speak of.
 */
const status = {
  id: "status",
  rounds: 300,
  count: 1,
  rows: [{ step: "STATUS", title: "flannel STATUS chain, 1.1.0 (Go: bridge)" }],
  prepare: (lane) => fillStore(lane.state("tmpfs", "status"), subnet, 1),
  steps(lane) {
    if (lane.isFloor) return [];
    const state = lane.state("tmpfs", "status");
    const [plugin, conf] = lane.name === "go" ? ["bridge", bridgeConf(state)] : ["flannel", flannelConf(state)];
    const stdin = lane.file("status", { ...conf, cniVersion: "1.1.0" });
    return [call("STATUS", { verb: "STATUS", plugin, exe: lane.exe, stdin, state })];
  },
};

/** At the version containerd gives it, whatever the pod's own network says. */
const loopback = {
  id: "loopback",
  rounds: 400,
  count: 1,
  rows: ["ADD", "DEL"].map((step) => ({ step, title: `loopback ${step}` })),
  prepare() {},
  steps(lane) {
    const stdin = lane.file("loopback", { cniVersion: "0.3.1", name: "cni-loopback", type: "loopback" });
    const common = { plugin: "loopback", exe: lane.exe, stdin, state: "/run" };
    return [
      call("ADD", { ...common, verb: "ADD" }),
      look("ADD", loUp, { state: "/run", every: 10 }),
      call("DEL", { ...common, verb: "DEL" }),
      look("DEL", `! ${loUp}`, { state: "/run", every: 10 }),
    ];
  },
};

/** All scenarios. `disk` names the file system that is the disk of this run. */
export function scenarios(disk) {
  const flannel = { plugin: "flannel", conf: flannelConf };
  return [
    versions,
    status,
    loopback,
    chain("flannel-tmpfs", {
      ...flannel,
      title: "chain, tmpfs",
      rounds: 240,
      place: "tmpfs",
      check: " (Go: checks nothing)",
    }),
    chain("flannel-disk", { ...flannel, title: `chain, ${disk}`, rounds: 240, place: "disk" }),
    chain("bridge", {
      plugin: "bridge",
      conf: bridgeConf,
      title: "chain, 1.0.0",
      rounds: 120,
      place: "tmpfs",
      check: "",
    }),
    ...["nftables", "iptables"].map((backend) =>
      chain(`masquerade-${backend}`, {
        plugin: "bridge",
        conf: masqueradeConf(backend),
        title: `with ipMasq, ${backend}`,
        rounds: 80,
        place: "tmpfs",
        check: " (Go: not the rules)",
        floor: { FLOOR_BACKEND: backend },
      }),
    ),
    ...portmapScenarios(),
    hostLocal(0, subnet, 200),
    hostLocal(100, subnet, 200),
    hostLocal(250, subnet, 200),
    hostLocal(1000, "10.99.0.0/16", 100),
    hostLocal(10000, "10.99.0.0/16", 40),
    chain("parallel-20", { ...flannel, title: "chains", rounds: 40, place: "tmpfs", count: 20 }),
    chain("parallel-100", { ...flannel, title: "chains", rounds: 16, place: "tmpfs", count: 100 }),
  ];
}
