// What a call touches: each address of the executable that it runs, reads or writes, as valgrind sees it. Runs in a cell of
// its own (bench/order.mjs makes it); its one argument is the directory of the executables. Prints JSON: a pair for each
// call, its name and the addresses.
import { spawn } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { execa } from "execa";

const bin = process.argv[2];
const delegates = "/run/bin";
/** Above this there is only what no linker places: libc's heap, what is mapped, the stack. */
const end = 0x1000000;

const subnetEnv = {
  FLANNEL_NETWORK: "10.244.0.0/16",
  FLANNEL_SUBNET: "10.244.1.1/24",
  FLANNEL_MTU: "1450",
  FLANNEL_IPMASQ: "true",
};
const loopback = { cniVersion: "1.0.0", name: "lo", type: "loopback" };
const flannel = {
  cniVersion: "1.1.0",
  name: "cbr0",
  type: "flannel",
  delegate: { hairpinMode: true, isDefaultGateway: true },
  dataDir: "/run/state",
  ipam: { dataDir: "/run/networks" },
};
const portmap = {
  cniVersion: "1.1.0",
  name: "cbr0",
  type: "portmap",
  backend: "nftables",
  runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
};

/** In the order in which they count. */
const calls = [
  ["VERSION", loopback],
  ["ADD", loopback],
  ["STATUS", flannel],
  ["ADD", flannel],
  ["CHECK", flannel],
  ["ADD", portmap],
  ["DEL", portmap],
  ["DEL", flannel],
  ["DEL", loopback],
];

async function setUpNode() {
  for (const path of ["/run/netns", "/run/flannel", delegates]) mkdirSync(path);
  const lines = Object.entries(subnetEnv).map((pair) => `${pair.join("=")}\n`);
  writeFileSync("/run/flannel/subnet.env", lines.join(""));
  await execa("ip", ["netns", "add", "pod"]);
  // Under valgrind /proc/self/exe is valgrind's, and a delegate that is this same file is called in the process.
  const { stdout: valgrind } = await execa("valgrind", ["-q", "--tool=lackey", "sh", "-c", "readlink /proc/$$/exe; :"]);
  for (const name of ["bridge", "host-local"]) symlinkSync(valgrind, `${delegates}/${name}`);
}

/** Runs one call. Returns its answer and the addresses, each once. */
async function trace(verb, conf) {
  const options = ["-q", "--tool=lackey", "--basic-counts=no", "--trace-mem=yes", "--log-fd=3"];
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: "c0ffee",
    CNI_NETNS: "/run/netns/pod",
    CNI_IFNAME: conf.type === "loopback" ? "lo" : "eth0",
    CNI_PATH: delegates,
    PATH: process.env.PATH,
  };
  const child = spawn("valgrind", [...options, `${bin}/${conf.type}`], { env, stdio: ["pipe", "pipe", 2, "pipe"] });
  child.stdin.end(JSON.stringify(conf));
  let answer = "";
  child.stdout.on("data", (text) => {
    answer += text;
  });
  const closed = new Promise((resolve) => child.on("close", resolve));
  const seen = new Set();
  // "I  00401000,3": the kind of access, the address, how many bytes.
  for await (const line of createInterface({ input: child.stdio[3] })) seen.add(line.slice(3, line.indexOf(",")));
  const status = await closed;
  if (status !== 0) throw new Error(`${conf.type} ${verb}: exit status ${status}: ${answer}`);
  const addresses = [...seen].map((text) => Number.parseInt(text, 16)).filter((address) => address < end);
  return { answer, addresses: addresses.sort((a, b) => a - b) };
}

await setUpNode();
const traced = [];
let prevResult;
for (const [verb, conf] of calls) {
  if (verb !== "VERSION" && conf === portmap) conf.prevResult = prevResult;
  const { answer, addresses } = await trace(verb, verb === "CHECK" ? { ...conf, prevResult } : conf);
  if (verb === "ADD" && conf === flannel) prevResult = JSON.parse(answer);
  traced.push([`${conf.type} ${verb}`, addresses]);
}
console.log(JSON.stringify(traced));
