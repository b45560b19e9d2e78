// /run/flannel/subnet.env: what flanneld tells the node's plugins about the node's share of the pod network. Lines
// KEY=VALUE, split at the first "=", nothing trimmed but a carriage return at the end, later lines win, unknown keys
// passed over.
import { maskPrefix, parsePrefix, equalPrefixes, type Prefix } from "../ip/prefix.ts";

export interface SubnetEnv {
  /** The pod network: IPv4 first, then IPv6; without host bits. */
  readonly networks: readonly Prefix[];
  /** This node's subnet of it, one a family, IPv4 first; without host bits. */
  readonly subnets: readonly Prefix[];
  readonly mtu: number;
  /** flanneld masquerades, so that the plugins need not. */
  readonly ipMasq: boolean;
}

/** A file that is there and cannot be used; the message names it and what is wrong. */
export class SubnetEnvFault extends Error {}

const networkKeys = ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"] as const;
const subnetKeys = ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"] as const;

function prefixOf(text: string, key: string, path: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix === undefined) throw new SubnetEnvFault(`${path}: ${key}: invalid CIDR address: ${text}`);
  return maskPrefix(prefix);
}

/** Reads the file's text; `path` is for the messages. Throws a SubnetEnvFault. */
export function parseSubnetEnv(text: string, path: string): SubnetEnv {
  const values = new Map<string, string>();
  // A regular expression to split by takes as long as all the rest.
  for (const written of text.split("\n")) {
    const line = written.endsWith("\r") ? written.slice(0, -1) : written;
    const equals = line.indexOf("=");
    if (equals >= 0) values.set(line.slice(0, equals), line.slice(equals + 1));
    else if (line.startsWith("FLANNEL_")) throw new SubnetEnvFault(`${path}: the line "${line}" has no "="`);
  }
  const networks: Prefix[] = [];
  for (const key of networkKeys) {
    const texts = values.get(key);
    if (texts === undefined) continue;
    for (const each of texts.split(",")) {
      const network = prefixOf(each, key, path);
      if (!networks.some((other) => equalPrefixes(other, network))) networks.push(network);
    }
  }
  const subnets: Prefix[] = [];
  for (const key of subnetKeys) {
    const each = values.get(key);
    if (each !== undefined) subnets.push(prefixOf(each, key, path));
  }
  const mtu = values.get("FLANNEL_MTU");
  const ipMasq = values.get("FLANNEL_IPMASQ");
  if (networks.length === 0 || subnets.length === 0 || mtu === undefined || ipMasq === undefined) {
    const missing = [
      ...(networks.length === 0 ? networkKeys : []),
      ...(subnets.length === 0 ? subnetKeys : []),
      ...["FLANNEL_MTU", "FLANNEL_IPMASQ"].filter((key) => !values.has(key)),
    ];
    throw new SubnetEnvFault(`${path} is missing ${missing.join(", ")}`);
  }
  if (!/^[0-9]{1,10}$/.test(mtu)) throw new SubnetEnvFault(`${path}: FLANNEL_MTU must be a number, got "${mtu}"`);
  return { networks, subnets, mtu: Number(mtu), ipMasq: ipMasq === "true" };
}
