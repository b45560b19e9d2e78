// A node, the bridge plugin on it, and an IPAM plugin of the test's own; what has come of it is read with iproute2.
import { bridge } from "../plugins/bridge/index.ts";
import { resultText } from "../lib/cni/result-text.ts";
import type { Result, ResultRoute } from "../lib/cni/result.ts";
import { makeNode, type TestNode } from "./node.ts";
import { answer, makeRuntime, TestIpam, type Call, type Runtime } from "./runtime.ts";

type Json = Record<string, unknown>;

/** One link as `ip -j -d addr` tells it. */
export interface SeenLink {
  readonly ifindex: number;
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly address: string;
  readonly mtu: number;
  readonly operstate: string;
  readonly master?: string;
  readonly ifalias?: string;
  readonly txqlen?: number;
  readonly linkinfo?: { readonly info_kind: string; readonly info_slave_data?: Json };
  readonly addr_info: readonly SeenAddr[];
}
export interface SeenAddr {
  readonly family: "inet" | "inet6";
  readonly local: string;
  readonly prefixlen: number;
  readonly broadcast?: string;
  readonly scope: string;
  readonly tentative?: boolean;
}

export interface BridgeNode {
  readonly node: TestNode;
  readonly ipam: TestIpam;
  readonly runtime: Runtime;
  /** ADD; IPAM answers with the addresses and routes given here. */
  add(
    more: Partial<Call> & { readonly ips?: readonly string[]; readonly routes?: readonly (string | ResultRoute)[] },
  ): Promise<Result>;
  del(more?: Partial<Call>): Promise<void>;
  check(result: Result, more: Partial<Call>): Promise<void>;
  /** undefined where there is no such link. */
  link(name: string, netns?: string): Promise<SeenLink | undefined>;
  /** The node's veths, by name. */
  veths(): Promise<string[]>;
  /** Global addresses, as "10.1.0.5/24". */
  addrs(name: string, netns?: string): Promise<string[]>;
  routes(netns?: string, family?: 4 | 6): Promise<Json[]>;
  sysctl(name: string, netns?: string): Promise<string>;
  setSysctl(name: string, value: string, netns?: string): Promise<void>;
  close(): Promise<void>;
}

/** IPv4 with a gateway on the bridge. */
export const layer3 = { bridge: "cni0", isGateway: true, ipam: { type: "test-ipam" } };
export const layer2 = { bridge: "cni0" };

export async function makeBridgeNode(): Promise<BridgeNode> {
  const node = await makeNode();
  const ipam = new TestIpam(answer([]));
  const runtime = makeRuntime(node, bridge, ipam);
  const inside = (netns: string | undefined) =>
    netns === undefined ? [] : ["ip", "netns", "exec", netns.slice(netns.lastIndexOf("/") + 1)];
  const path = (name: string) => `/proc/sys/${name}`;
  const inNetns = (netns: string | undefined, ...words: [string, ...string[]]): Promise<string> => {
    const [command = "", ...args] = [...inside(netns), ...words];
    return node.run(command, ...args);
  };

  const self: BridgeNode = {
    node,
    ipam,
    runtime,
    async add({ ips = ["10.1.0.5/24 10.1.0.1"], routes = [], ...more }) {
      ipam.next = answer(ips, routes);
      const result = await runtime.call({ verb: "ADD", conf: layer3, ...more });
      if (result === undefined) throw new Error("ADD had no result");
      return result;
    },
    async del(more = {}) {
      await runtime.call({ verb: "DEL", conf: layer3, ...more });
    },
    async check(result, more) {
      const prevResult = JSON.parse(resultText(result, "1.1.0"));
      await runtime.call({
        verb: "CHECK",
        ...more,
        conf: { cniVersion: "1.1.0", ...(more.conf ?? layer3), prevResult },
      });
    },
    async link(name, netns) {
      const links = (await node.ip("addr show", netns)) as unknown as SeenLink[];
      return links.find(({ ifname }) => ifname === name);
    },
    async veths() {
      const links = (await node.ip("link show type veth")) as unknown as SeenLink[];
      return links.flatMap(({ ifname }) => ifname ?? []);
    },
    async addrs(name, netns) {
      const { addr_info = [] } = (await self.link(name, netns)) ?? {};
      return addr_info.filter(({ scope }) => scope === "global").map(({ local, prefixlen }) => `${local}/${prefixlen}`);
    },
    routes: (netns, family = 4) => node.ip(`-${family} route show table all type unicast`, netns),
    sysctl: (name, netns) => inNetns(netns, "cat", path(name)),
    setSysctl: async (name, value, netns) => {
      await inNetns(netns, "sh", "-c", `printf %s ${value} > ${path(name)}`);
    },
    async close() {
      runtime.close();
      await node.close();
    },
  };
  return self;
}
