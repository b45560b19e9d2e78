// node build/rehearsal/record.mjs
//
// Records anew what the kernel answers to the calls that a build rehearses (recorded.json). Wanted when the calls have come to
// ask something else: the build says so, and build/image.test.ts fails.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readVersion, root, unshareFlags } from "../bootstrap.mjs";
import { bundle, linkBlank } from "../embedded.mjs";
import { homeTarget } from "../engine.mjs";
import { writeValidators } from "../schemas.mjs";

/** Where the executable is, on the node that is made for it. */
const bin = "/run/bin";
/** Where the executable writes what it was answered, one JSON array a line. */
const recordFd = 3;
const work = join(root, "dist/embedded/recording");

/** Replaces the module "host" by one that hands on and writes down. */
const recordingHost = {
  name: "recording host",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^host$/ }, ({ namespace }) =>
      namespace === "recording" ? { path: "host", external: true } : { path: "host", namespace: "recording" },
    );
    onLoad({ filter: /.*/, namespace: "recording" }, () => {
      const declared = readFileSync(join(root, "lib/host/native.d.ts"), "utf8");
      const names = Array.from(declared.matchAll(/export const (\w+):/g), ([, name]) => name);
      return {
        contents: `
          import * as native from "host";
          export const onError = native.onError;
          const keep = (...entry) => native.write(${recordFd}, JSON.stringify(entry) + "\\n");
          const plain = (value) => (value instanceof Uint8Array ? { bytes: value.toBase64() } : value);
          const recorded = (name) => (...args) => {
            try {
              const value = native[name](...args);
              keep(name, plain(value));
              return value;
            } catch (error) {
              keep(name, null, [error.syscall, error.errno, error.path]);
              throw error;
            }
          };
          ${names.map((name) => `export const ${name} = recorded("${name}");`).join("\n")}`,
      };
    });
  },
};

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

/** A node in the namespaces of this process: state of its own, two pods' netns, and the executable under its names. */
const makeNode = `set -e
  mount -t tmpfs tmpfs /run
  mount -t tmpfs tmpfs /var/lib
  mkdir -p /run/flannel /run/netns /var/lib/cni ${bin}
  printf 'FLANNEL_NETWORK=10.244.0.0/16\\nFLANNEL_SUBNET=10.244.1.1/24\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=true\\n' > /run/flannel/subnet.env
  ip link set lo up
  ip netns add first
  ip netns add pod
  cp "$0" ${bin}/weft
  for name in flannel bridge host-local loopback portmap; do ln ${bin}/weft ${bin}/$name; done`;

/** Makes the calls, and what is recorded of each. */
function makeCalls(executable) {
  const { status } = spawnSync("sh", ["-c", makeNode, executable], { stdio: "inherit" });
  if (status !== 0) throw new Error("no node could be made in these namespaces");
  const recorded = {};
  const call = (plugin, verb, conf, { pod = "pod", ifname = "eth0" } = {}) => {
    const [path, confFile] = [join(work, "answers"), join(work, "conf")];
    writeFileSync(confFile, JSON.stringify(conf));
    const files = [openSync(confFile, "r"), openSync(path, "w")];
    const env = {
      PATH: process.env.PATH,
      CNI_COMMAND: verb,
      CNI_CONTAINERID: createHash("sha256").update(pod).digest("hex"),
      CNI_NETNS: `/run/netns/${pod}`,
      CNI_IFNAME: ifname,
      CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0",
      CNI_PATH: bin,
    };
    const options = { env, stdio: [files[0], "pipe", "inherit", files[1]], encoding: "utf8" };
    const { status, stdout } = spawnSync(join(bin, plugin), [], options);
    for (const file of files) closeSync(file);
    if (status !== 0) throw new Error(`${plugin} ${verb}: ${stdout}`);
    recorded[`${plugin} ${verb}`] = readFileSync(path, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line));
    return verb === "ADD" ? JSON.parse(stdout) : undefined;
  };
  // The bridge is there when a pod comes, and a port is mapped, but for the first.
  const first = call("flannel", "ADD", flannelConf, { pod: "first" });
  call("portmap", "ADD", portmapConf(first, 8081), { pod: "first" });
  for (const name of Object.keys(recorded)) delete recorded[name];
  call("bridge", "VERSION", loopbackConf);
  call("loopback", "ADD", loopbackConf, { ifname: "lo" });
  call("flannel", "STATUS", { ...flannelConf, cniVersion: "1.1.0" });
  const prevResult = call("flannel", "ADD", flannelConf);
  call("portmap", "ADD", portmapConf(prevResult));
  call("flannel", "CHECK", { ...flannelConf, prevResult });
  call("portmap", "DEL", portmapConf(prevResult));
  call("flannel", "DEL", { ...flannelConf, prevResult });
  call("loopback", "DEL", loopbackConf, { ifname: "lo" });
  return recorded;
}

/** One answer a line, so that a change shows. */
function print(recorded) {
  const calls = Object.entries(recorded).map(
    ([name, answers]) =>
      `${JSON.stringify(name)}: [\n${answers.map((answer) => JSON.stringify(answer)).join(",\n")}\n]`,
  );
  return `{\n${calls.join(",\n")}\n}\n`;
}

const [executable] = process.argv.slice(2);
if (executable !== undefined) {
  writeFileSync(join(work, "recorded.json"), print(makeCalls(executable)));
} else {
  await writeValidators();
  mkdirSync(work, { recursive: true });
  const facts = { version: readVersion(), buildId: "recording", target: homeTarget };
  const blank = await linkBlank(await bundle(facts, join(work, "js"), [recordingHost]), homeTarget);
  const self = fileURLToPath(import.meta.url);
  const { status } = spawnSync("unshare", [...unshareFlags(), process.execPath, self, blank], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
  copyFileSync(join(work, "recorded.json"), join(root, "build/rehearsal/recorded.json"));
}
