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
    const key = equals < 0 ? line : line.slice(0, equals);
    if (equals < 0 && key.startsWith("FLANNEL_")) throw new SubnetEnvFault(`${path}: the line "${line}" has no "="`);
    if (equals >= 0) values.set(key, line.slice(equals + 1));
  }
  const networks = (["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"] as const).flatMap((key) => {
    const texts = values.get(key);
    return texts === undefined ? [] : texts.split(",").map((each) => prefixOf(each, key, path));
  });
  const subnets = (["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"] as const).flatMap((key) => {
    const each = values.get(key);
    return each === undefined ? [] : [prefixOf(each, key, path)];
  });
  const missing = [
    ...(networks.length === 0 ? ["FLANNEL_NETWORK", "FLANNEL_IPV6_NETWORK"] : []),
    ...(subnets.length === 0 ? ["FLANNEL_SUBNET", "FLANNEL_IPV6_SUBNET"] : []),
    ...["FLANNEL_MTU", "FLANNEL_IPMASQ"].filter((key) => !values.has(key)),
  ];
  if (missing.length > 0) throw new SubnetEnvFault(`${path} is missing ${missing.join(", ")}`);
  const mtu = values.get("FLANNEL_MTU") ?? "";
  if (!/^[0-9]{1,10}$/.test(mtu)) throw new SubnetEnvFault(`${path}: FLANNEL_MTU must be a number, got "${mtu}"`);
  return {
    networks: networks.filter((prefix, at) => networks.findIndex((each) => equalPrefixes(each, prefix)) === at),
    subnets,
    mtu: Number(mtu),
    ipMasq: values.get("FLANNEL_IPMASQ") === "true",
  };
}
