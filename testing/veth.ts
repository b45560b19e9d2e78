// An attachment that another plugin made, as a chained plugin meets it: a veth pair between a container and the node.
import { carriesPackets } from "./carrier.ts";
import { makeNode, type TestNode } from "./node.ts";
import { makeRuntime, type Call, type Runtime } from "./runtime.ts";
import type { AnyPlugin } from "../lib/cni/plugin.ts";
import { resultText } from "../lib/cni/result-text.ts";
import type { Result } from "../lib/cni/result.ts";

type Json = Record<string, unknown>;

/** One link as `ip -j -d link` tells it. */
export interface SeenLink {
  readonly ifname: string;
  readonly ifindex: number;
  readonly address: string;
  readonly mtu: number;
  readonly txqlen: number;
  readonly flags: readonly string[];
  readonly ifalias?: string;
  readonly linkinfo?: { readonly info_kind: string };
}

export interface VethNode {
  readonly node: TestNode;
  readonly netns: string;
  readonly runtime: Runtime;
  /** What the plugin before printed, in version 1.1.0. */
  readonly prevResult: Json;
  /** ADD behind that plugin. */
  add(conf: object, more?: Partial<Call>): Promise<Result>;
  /** CHECK with what ADD printed. */
  check(conf: object, result: Result, more?: Partial<Call>): Promise<void>;
  del(conf: object, more?: Partial<Call>): Promise<void>;
  /** undefined where there is no such link. */
  link(name: string, netns?: string): Promise<SeenLink | undefined>;
  /** Runs a command in the container; its standard output. */
  inPod(...command: string[]): Promise<string>;
  close(): Promise<void>;
}

export const podMac = "0a:58:0a:01:00:05";
export const address = { pod: "10.1.0.5", node: "10.1.0.1" };

/** A container with `eth0`, up and with an address, whose other end on the node is `host0`. */
export async function makeVethNode(plugin: AnyPlugin): Promise<VethNode> {
  const node = await makeNode();
  const netns = await node.container("pod");
  const runtime = makeRuntime(node, plugin);
  const label = netns.replace("/run/netns/", "");
  const inPod = (...command: string[]) => node.run("ip", "netns", "exec", label, ...command);
  const peer = ["name", "eth0", "netns", label, "address", podMac];
  await node.run("ip", "link", "add", "host0", "address", "fe:00:00:00:00:01", "type", "veth", "peer", ...peer);
  await node.run("ip", "addr", "add", `${address.node}/24`, "dev", "host0");
  await node.run("ip", "link", "set", "host0", "up");
  await inPod("ip", "addr", "add", `${address.pod}/24`, "dev", "eth0");
  await inPod("ip", "link", "set", "eth0", "up");
  await inPod("ip", "link", "set", "lo", "up");
  await node.run("sh", "-c", carriesPackets("host0"));
  await inPod("sh", "-c", carriesPackets("eth0"));
  const prevResult = {
    cniVersion: "1.1.0",
    interfaces: [
      { name: "host0", mac: "fe:00:00:00:00:01", mtu: 1500 },
      { name: "eth0", mac: podMac, mtu: 1500, sandbox: netns },
    ],
    ips: [{ address: `${address.pod}/24`, interface: 1 }],
  };

  const self: VethNode = {
    node,
    netns,
    runtime,
    prevResult,
    inPod,
    async add(conf, more = {}) {
      const result = await runtime.call({
        verb: "ADD",
        netns,
        ...more,
        conf: { cniVersion: "1.1.0", prevResult, ...conf },
      });
      if (result === undefined) throw new Error("ADD had no result");
      return result;
    },
    async check(conf, result, more = {}) {
      await runtime.call({ verb: "CHECK", netns, ...more, conf: checked(conf, result) });
    },
    async del(conf, more = {}) {
      await runtime.call({ verb: "DEL", netns, ...more, conf: { cniVersion: "1.1.0", ...conf } });
    },
    async link(name, inside) {
      const links = (await node.ip("link show", inside)) as unknown as SeenLink[];
      return links.find(({ ifname }) => ifname === name);
    },
    async close() {
      runtime.close();
      await node.close();
    },
  };
  return self;
}

/** CHECK's configuration after an ADD. */
export const checked = (conf: object, result: Result): object => ({
  cniVersion: "1.1.0",
  ...conf,
  prevResult: JSON.parse(resultText(result, "1.1.0")),
});
