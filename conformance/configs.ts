// Configurations as they are found on nodes, and shorthands for the calls of a scenario.
import type { Call } from "./scenario.ts";

export const allVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;

type Conf = Record<string, unknown>;

/** One call of a plugin, with a configuration that has its type in it. */
export const call = (verb: string, plugin: string, config?: unknown, more: Partial<Call> = {}): Call => ({
  verb,
  plugin,
  config,
  ...more,
});

export const subnetEnv = (lines: Record<string, string>): { shell: string } => ({
  shell: `printf '%s\\n' ${Object.entries(lines)
    .map(([key, value]) => `'${key}=${value}'`)
    .join(" ")} >/run/flannel/subnet.env`,
});

/** What flanneld leaves on a node of kube-flannel's. */
export const kubeSubnet = subnetEnv({
  FLANNEL_NETWORK: "10.244.0.0/16",
  FLANNEL_SUBNET: "10.244.1.1/24",
  FLANNEL_MTU: "1450",
  FLANNEL_IPMASQ: "true",
});

export const dualSubnet = subnetEnv({
  FLANNEL_NETWORK: "10.244.0.0/16",
  FLANNEL_SUBNET: "10.244.1.1/24",
  FLANNEL_IPV6_NETWORK: "fd00:10:244::/48",
  FLANNEL_IPV6_SUBNET: "fd00:10:244:1::1/64",
  FLANNEL_MTU: "1450",
  FLANNEL_IPMASQ: "true",
});

export const ipv6Subnet = subnetEnv({
  FLANNEL_IPV6_NETWORK: "fd00:10:244::/48",
  FLANNEL_IPV6_SUBNET: "fd00:10:244:1::1/64",
  FLANNEL_MTU: "1450",
  FLANNEL_IPMASQ: "true",
});

/** The flannel entry of kube-flannel's list. */
export const kubeFlannel = (cniVersion: string, more: Conf = {}): Conf => ({
  cniVersion,
  delegate: { hairpinMode: true, isDefaultGateway: true },
  name: "cbr0",
  type: "flannel",
  ...more,
});

/** What flannel hands to bridge for it. */
export const kubeBridge = (cniVersion: string, more: Conf = {}): Conf => ({
  cniVersion,
  hairpinMode: true,
  ipMasq: false,
  ipam: { ranges: [[{ subnet: "10.244.1.0/24" }]], routes: [{ dst: "10.244.0.0/16" }], type: "host-local" },
  isDefaultGateway: true,
  isGateway: true,
  mtu: 1450,
  name: "cbr0",
  type: "bridge",
  ...more,
});

/** The same on a node whose subnet.env has these ranges and networks. */
export const kubeBridgeFor = (cniVersion: string, subnets: readonly string[], networks: readonly string[]): Conf =>
  kubeBridge(cniVersion, {
    ipam: {
      ranges: subnets.map((subnet) => [{ subnet }]),
      routes: networks.map((dst) => ({ dst })),
      type: "host-local",
    },
  });

/** A host-local configuration as bridge would pass it on. */
export const hostLocal = (ipam: Conf, more: Conf = {}): Conf => ({
  cniVersion: "1.0.0",
  name: "net",
  type: "bridge",
  ...more,
  ipam: { type: "host-local", ...ipam },
});
