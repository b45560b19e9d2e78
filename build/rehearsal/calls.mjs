// The calls for which the executable is laid out, and the node on which they are made. What the kernel answers to them is
// recorded for the heap image (record.mjs), and what they touch is listed for the linker (bench/trace.mjs).
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";

/** Where the executable is, on the node that is made for it. */
export const bin = "/run/bin";

const network = "cbr0";
const flannelConf = {
  cniVersion: "1.0.0",
  name: network,
  type: "flannel",
  delegate: { hairpinMode: true, isDefaultGateway: true },
};
const loopbackConf = { cniVersion: "1.0.0", name: "lo", type: "loopback" };
const portmapConf = (prevResult, hostPort = 8080) => ({
  cniVersion: "1.0.0",
  name: network,
  type: "portmap",
  backend: "nftables",
  capabilities: { portMappings: true },
  runtimeConfig: { portMappings: [{ hostPort, containerPort: 80, protocol: "tcp" }] },
  prevResult,
});

const nodeScript = `set -e
  mount -t tmpfs tmpfs /run
  mount -t tmpfs tmpfs /var/lib
  mkdir -p /run/flannel /run/netns /var/lib/cni ${bin}
  printf 'FLANNEL_NETWORK=10.244.0.0/16\\nFLANNEL_SUBNET=10.244.1.1/24\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=true\\n' > /run/flannel/subnet.env
  ip link set lo up
  ip netns add first
  ip netns add pod
  cp "$0" ${bin}/weft
  for name in flannel bridge host-local loopback portmap; do ln ${bin}/weft ${bin}/$name; done`;

/** A node in the namespaces of this process: state of its own, two pods' netns, and the executable under its names. */
export function makeNode(executable) {
  const { status } = spawnSync("sh", ["-c", nodeScript, executable], { stdio: "inherit" });
  if (status !== 0) throw new Error("no node could be made in these namespaces");
}

/**
 * Makes the calls, in the order in which they count. `run` runs the executable by a plugin's name, with this environment and
 * this text on stdin; of what it returns, `kept` is for who makes the calls. Returns pairs: a call's name, what was kept of it.
 */
export async function makeCalls(run) {
  const made = [];
  const call = async (plugin, verb, conf, { pod = "pod", ifname = "eth0" } = {}) => {
    const env = {
      PATH: process.env.PATH,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: createHash("sha256").update(pod).digest("hex"),
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_IFNAME: ifname,
      CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0",
      CNI_PATH: bin,
    };
    const { status, stdout, kept } = await run(plugin, env, JSON.stringify(conf));
    if (status !== 0) throw new Error(`${plugin} ${verb}: exit status ${status}: ${stdout}`);
    made.push([`${plugin} ${verb}`, kept]);
    return verb === "ADD" ? JSON.parse(stdout) : undefined;
  };
  // The bridge is there when a pod comes, and a port is mapped, but for the first.
  const first = await call("flannel", "ADD", flannelConf, { pod: "first" });
  await call("portmap", "ADD", portmapConf(first, 8081), { pod: "first" });
  made.length = 0;
  await call("bridge", "VERSION", loopbackConf);
  await call("loopback", "ADD", loopbackConf, { ifname: "lo" });
  await call("flannel", "STATUS", { ...flannelConf, cniVersion: "1.1.0" });
  const prevResult = await call("flannel", "ADD", flannelConf);
  await call("portmap", "ADD", portmapConf(prevResult));
  await call("flannel", "CHECK", { ...flannelConf, prevResult });
  await call("portmap", "DEL", portmapConf(prevResult));
  await call("flannel", "DEL", { ...flannelConf, prevResult });
  await call("loopback", "DEL", loopbackConf, { ifname: "lo" });
  return made;
}
