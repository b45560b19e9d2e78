// The demo's second half, run inside the private node: attaches two pods as kube-flannel would have it, sends traffic,
// CHECKs, deletes, and looks at what is left. It uses the built executables for everything Weft does, and this
// process's own system calls (lib/host/node.ts) only to stand inside a pod and to look around.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { once } from "node:events";
import { execa } from "execa";
import { stockConflist } from "../conflists/conflists.ts";
import { formatPrefix } from "../lib/ip/prefix.ts";
import { sys } from "../lib/host/node.ts";
import { hostOver } from "../lib/host/open.ts";
import { openRoute } from "../lib/netlink/route/open.ts";

const CLONE_NEWNET = 0x40000000;
const bin = process.argv[2] ?? "";
const host = hostOver(sys);
const network = "cbr0";
const stores = {
  addresses: "/var/lib/cni/networks/cbr0",
  saved: "/var/lib/cni/flannel",
  results: "/var/lib/cni/results",
};
/** What kube-flannel installs, and a version that has CHECK. */
const [stock, checkable] = ["0.3.1", "1.0.0"];
const confDir = (version: string) => `/run/demo/net.d-${version}`;

const started = performance.now();
let stepStarted = started;
function step(text: string): void {
  const now = performance.now();
  console.log(`${(now - stepStarted).toFixed(1).padStart(7)} ms  ${text}`);
  stepStarted = performance.now();
}
const say = (text: string) => console.log(`${" ".repeat(12)}${text}`);

/** flanneld's and kube-flannel's two files. */
function writeNodeFiles(): void {
  mkdirSync("/run/flannel", { recursive: true });
  writeFileSync(
    "/run/flannel/subnet.env",
    "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n",
  );
  for (const cniVersion of [stock, checkable]) {
    mkdirSync(confDir(cniVersion), { recursive: true });
    const list = JSON.stringify(stockConflist(cniVersion), null, 2);
    writeFileSync(`${confDir(cniVersion)}/10-flannel.conflist`, list);
  }
}

async function makePod(name: string): Promise<string> {
  mkdirSync("/run/netns", { recursive: true });
  const path = `/run/netns/${name}`;
  writeFileSync(path, "");
  await execa("unshare", [`--net=${path}`, "true"]);
  return path;
}

async function weft(verb: string, netns: string, version = stock): Promise<string> {
  const env = { CNI_PATH: bin, NETCONFPATH: confDir(version) };
  return (await execa(`${bin}/weft`, [verb, network, netns], { env, extendEnv: false })).stdout;
}

/** Runs `body` with this thread inside a pod: sockets made meanwhile belong to the pod for good. */
async function standingIn<T>(netnsPath: string, body: () => Promise<T>): Promise<T> {
  const home = host.ownNetns();
  const pod = host.openNetns(netnsPath);
  sys.setns(pod.fd, CLONE_NEWNET);
  try {
    return await body();
  } finally {
    sys.setns(home.fd, CLONE_NEWNET);
    pod.close();
  }
}

/** Listens inside one place, connects from another, and says what the listener saw. */
async function talk(from: string, listenIn: string | undefined, address: string): Promise<string> {
  const server = createServer((socket) => socket.end(`hello ${socket.remoteAddress}`));
  const listen = async () => once(server.listen(7000, address), "listening");
  await (listenIn === undefined ? listen() : standingIn(listenIn, listen));
  const started = performance.now();
  const client = await standingIn(from, async () => {
    const socket = connect(7000, address);
    await once(socket, "connect");
    return socket;
  });
  let answer = "";
  client.setEncoding("utf8").on("data", (text: string) => {
    answer += text;
  });
  await once(client, "end");
  server.close();
  return `"${answer}" in ${(performance.now() - started).toFixed(1)} ms`;
}

function showTopology(pods: readonly string[]): void {
  const route = openRoute(host);
  const bridge = route.link.get("cni0");
  if (bridge === undefined) return;
  say(
    `cni0  mtu ${bridge.mtu}  ${route.addr
      .list(bridge.ifIndex)
      .map((addr) => formatPrefix(addr.prefix))
      .join(" ")}`,
  );
  for (const path of pods) {
    const netns = host.openNetns(path);
    const pod = openRoute(host, netns);
    const eth0 = pod.link.get("eth0");
    const port = eth0?.peerIfIndex === undefined ? undefined : route.link.get(eth0.peerIfIndex);
    if (eth0 !== undefined && port !== undefined) {
      const addrs = pod.addr.list(eth0.ifIndex).filter((addr) => addr.prefix.ip.family === 4);
      say(
        ` ├─ ${port.name} ── eth0 in ${path.split("/").pop()}  mtu ${eth0.mtu}  ${addrs.map((addr) => formatPrefix(addr.prefix)).join(" ")}`,
      );
    }
    pod.close();
    netns.close();
  }
  route.close();
}

function leftOvers(): string[] {
  const route = openRoute(host);
  const ports = route.link
    .list()
    .filter((link) => link.kind === "veth")
    .map((link) => link.name);
  route.close();
  const reservations = readdirSync(stores.addresses).filter((name) => /^[0-9a-f]+[.:]/.test(name));
  return [...ports, ...reservations, ...readdirSync(stores.saved), ...readdirSync(stores.results)];
}

function addressOf(result: string): string {
  const ips = JSON.parse(result).ips as { address: string }[];
  return ips[0]?.address.split("/")[0] ?? "";
}

console.log(`A node of our own: its network and mount namespaces end with this demo. CNI_PATH is ${bin}`);
writeNodeFiles();
step("written: /run/flannel/subnet.env, as flanneld has it, and kube-flannel's network list (conflists/0.3.1)");
const pods = [await makePod("pod-a"), await makePod("pod-b")] as const;
step("made: two empty network namespaces, pod-a and pod-b");
const addresses: string[] = [];
for (const pod of pods) {
  const address = addressOf(await weft("add", pod));
  step(`weft add ${network} ${pod}: ${address}`);
  addresses.push(address);
}
showTopology(pods);
step("the node as the kernel shows it");
say(`pod-a → pod-b   ${await talk(pods[0], pods[1], addresses[1] ?? "")}`);
say(`pod-a → gateway ${await talk(pods[0], undefined, "10.244.1.1")}`);
step("TCP, pod to pod and pod to gateway");
for (const pod of pods) {
  await weft("check", pod, checkable);
  step(
    `weft check ${network} ${pod}: all is as ADD left it (a copy of the list says ${checkable}; ${stock} has no CHECK)`,
  );
}
for (const pod of pods) {
  await weft("del", pod);
  step(`weft del ${network} ${pod}`);
}
const left = leftOvers();
step(
  left.length === 0
    ? "nothing is left: no veth, no address, no saved configuration, no cached result"
    : `LEFT BEHIND: ${left.join(", ")}`,
);
console.log(`${(performance.now() - started).toFixed(1).padStart(7)} ms  in all`);
process.exitCode = left.length === 0 ? 0 : 1;
