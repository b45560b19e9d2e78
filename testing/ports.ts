// A node with two containers on a bridge and somebody outside, all of whom answer: "a" is 10.1.0.5 and fd00:1::5, "b" is
// 10.1.0.6 and fd00:1::6, the node is 192.0.2.1 and 2001:db8::1 to "outside". portmap runs there, and what comes of it is
// read with nft, iptables-save, and by asking.
import { execa } from "execa";
import { resultText } from "../lib/cni/result-text.ts";
import type { Result } from "../lib/cni/result.ts";
import { portmap } from "../plugins/portmap/index.ts";
import { carriesPackets } from "./carrier.ts";
import { makeNode, type TestNode } from "./node.ts";
import { makeRuntime, type Call, type Runtime } from "./runtime.ts";

export const addresses = { a: ["10.1.0.5", "fd00:1::5"], b: ["10.1.0.6", "fd00:1::6"] } as const;
type Pod = keyof typeof addresses;

/** Answers on TCP port 80 and UDP port 53 with its name and whom it sees. */
const server = `
const [, name] = process.argv;
const said = (address) => name + " sees " + address.replace(/^::ffff:/, "");
require("net").createServer((socket) => socket.end(said(socket.remoteAddress))).listen(80, "::");
const udp = require("dgram").createSocket("udp6");
udp.on("message", (_, from) => udp.send(said(from.address), from.port, from.address)).bind(53, "::", () => console.log("up"));
`;

/** Asks once, and says "no answer" when the time is up. */
const client = `
const [, protocol, address, port, waitMs, from] = process.argv;
const done = (text) => { process.stdout.write(text); process.exit(0); };
setTimeout(() => done("no answer"), Number(waitMs));
if (protocol === "tcp") {
  const socket = require("net").connect({ host: address, port: Number(port) });
  socket.on("data", (data) => done(String(data))).on("error", () => done("no answer"));
} else {
  const socket = require("dgram").createSocket(address.includes(":") ? "udp6" : "udp4");
  socket.on("message", (data) => done(String(data))).on("error", () => done("no answer"));
  const send = () => socket.send("?", Number(port), address);
  if (from === "") send(); else socket.bind(Number(from), send);
}
`;

export interface Asked {
  readonly fromPort?: number;
  /** How long an answer is waited for: unless told, as long as one may take on a machine that has other things to do. */
  readonly waitMs?: number;
}

/** Of whom no answer is expected. */
export const silent: Asked = { waitMs: 1000 };

export interface PortNode {
  readonly node: TestNode;
  readonly runtime: Runtime;
  readonly pods: Readonly<Record<Pod | "outside", string>>;
  /** ADD for a container; its result before has the addresses of `pod`. */
  add(conf: object, more?: Partial<Call> & { readonly pod?: Pod; readonly ips?: readonly string[] }): Promise<Result>;
  /** A configuration with what came before in it. */
  after(conf: object, pod?: Pod, ips?: readonly string[]): object;
  /** Who answers, and whom he sees: "a sees 10.1.0.1". */
  ask(where: Pod | "outside" | "node", protocol: "tcp" | "udp", to: string, more?: Asked): Promise<string>;
  /** A shell command in the node. */
  shell(script: string, netns?: string): Promise<string>;
  close(): Promise<void>;
}

const netnsName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

export async function makePortNode(): Promise<PortNode> {
  const node = await makeNode();
  const pods = {
    a: await node.container("a"),
    b: await node.container("b"),
    outside: await node.container("outside"),
  };
  const shell = (script: string, netns?: string) =>
    node.run(...((netns === undefined ? [] : ["ip", "netns", "exec", netnsName(netns)]) as []), "sh", "-ec", script);
  // Nobody waits here for an address to be found free.
  const noDad = "sysctl -qw net.ipv6.conf.default.accept_dad=0";
  for (const netns of Object.values(pods)) await shell(noDad, netns);
  const pair = (name: string, netns: string, ips: readonly string[], gateways: readonly string[]) => `
    ip link add ${name} type veth peer name eth0 netns ${netnsName(netns)}
    ip link set ${name} up
    ip -n ${netnsName(netns)} link set lo up
    ip -n ${netnsName(netns)} link set eth0 up
    ${ips.map((ip) => `ip -n ${netnsName(netns)} addr add ${ip} dev eth0 nodad`).join("\n")}
    ${gateways.map((gw) => `ip -n ${netnsName(netns)} route add default via ${gw}`).join("\n")}`;
  const behind = (name: Pod) =>
    `${pair(`veth-${name}`, pods[name], [`${addresses[name][0]}/24`, `${addresses[name][1]}/64`], ["10.1.0.1", "fd00:1::1"])}
    ip link set veth-${name} master br0
    bridge link set dev veth-${name} hairpin on`;
  await shell(`${noDad}
    ip link add br0 type bridge
    ip link set br0 up
    ip addr add 10.1.0.1/24 dev br0
    ip addr add fd00:1::1/64 dev br0 nodad
    ${behind("a")}
    ${behind("b")}
    ${pair("up0", pods.outside, ["192.0.2.2/24", "2001:db8::2/64"], ["192.0.2.1", "2001:db8::1"])}
    ip addr add 192.0.2.1/24 dev up0
    ip addr add 2001:db8::1/64 dev up0 nodad
    sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
    ${["veth-a", "veth-b", "up0"].map(carriesPackets).join("\n")}`);
  const runtime = makeRuntime(node, portmap);
  const servers: { kill(): boolean }[] = [];
  for (const name of ["a", "b"] as const) {
    const child = execa("ip", ["netns", "exec", netnsName(pods[name]), process.execPath, "-e", server, name], {
      buffer: false,
      reject: false,
    });
    await new Promise((resolve) => child.stdout.once("data", resolve));
    servers.push(child);
  }

  const after = (conf: object, pod: Pod = "a", ips: readonly string[] = [`${addresses[pod][0]}/24`]) => ({
    ...conf,
    prevResult: {
      cniVersion: "1.0.0",
      interfaces: [{ name: "br0" }, { name: "eth0", sandbox: pods[pod] }],
      ips: ips.map((address) => ({ address, interface: 1 })),
    },
  });
  return {
    node,
    runtime,
    pods,
    after,
    async add(conf, { pod = "a", ips, ...more } = {}) {
      const call = { verb: "ADD", netns: pods[pod], conf: after(conf, pod, ips), ...more };
      const result = await runtime.call(call);
      if (result === undefined) throw new Error("ADD has no result");
      resultText(result, "1.0.0");
      return result;
    },
    async ask(where, protocol, to, { fromPort, waitMs = 20_000 } = {}) {
      const at = to.lastIndexOf(":");
      const [host, port] = [to.slice(0, at).replace(/^\[|\]$/g, ""), to.slice(at + 1)];
      const inside = where === "node" ? [] : ["ip", "netns", "exec", netnsName(pods[where])];
      const [command = "", ...args] = [
        ...inside,
        process.execPath,
        "-e",
        client,
        protocol,
        host,
        port,
        `${waitMs}`,
        `${fromPort ?? ""}`,
      ];
      return (await execa(command, args)).stdout;
    },
    shell,
    async close() {
      for (const child of servers) child.kill();
      runtime.close();
      await node.close();
    },
  };
}
