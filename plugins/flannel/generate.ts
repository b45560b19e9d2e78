// The delegate's configuration: what flanneld says of this node, laid over what the operator wrote. A key counts as
// written even where its value is null or false.
import { composeConfig, type ConfigSource } from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { PlainJson } from "../../lib/cni/json.ts";
import { parseSubnetEnv, SubnetEnvFault, type SubnetEnv } from "../../lib/flannel/subnet-env.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { formatPrefix, type Prefix } from "../../lib/ip/prefix.ts";
import type { FlannelConf } from "./conf.ts";

export interface DelegateConf {
  readonly type: string;
  readonly fields: Readonly<Record<string, PlainJson>>;
}

/** Reads subnet.env. Throws a CniError: 11 while flanneld has not written it, 7 where it is torn. */
export function readSubnetEnv(path: string, host: Host): SubnetEnv {
  try {
    return parseSubnetEnv(host.files.read(path), path);
  } catch (cause) {
    if (cause instanceof SubnetEnvFault)
      throw new CniError("invalidConfig", cause.message, {
        hint: "flanneld writes this file: check the flannel pod log for this node",
        cause,
      });
    if (!(cause instanceof Error)) throw cause;
    const missing = isErrno(cause, "ENOENT");
    throw new CniError(
      missing ? "tryAgainLater" : "ioFailure",
      `failed to load flannel 'subnet.env' file: ${cause.message}. Check the flannel pod log for this node.`,
      {
        details: "loadFlannelSubnetEnv failed",
        hint: missing
          ? "flanneld writes it once it has a subnet: is its pod running on this node?"
          : "can this file be read?",
        cause,
      },
    );
  }
}

/** Lays subnet.env over the configuration. */
export function generate(conf: FlannelConf, network: string, env: SubnetEnv): DelegateConf {
  const fields: Record<string, PlainJson> = { ...conf.delegate };
  const preset = (key: string, value: PlainJson) => {
    if (!(key in fields)) fields[key] = value;
  };
  if (conf.runtimeConfig !== undefined) fields.runtimeConfig = conf.runtimeConfig;
  fields.name = network;
  preset("type", "bridge");
  // One of the two must masquerade: where flanneld does, the bridge need not.
  preset("ipMasq", !env.ipMasq);
  preset("mtu", env.mtu);
  const type = String(fields.type);
  if (type === "bridge") preset("isGateway", true);
  if (conf.cniVersion !== "") fields.cniVersion = conf.cniVersion;

  const ipam: Record<string, PlainJson> = { ...conf.ipam };
  if (!("type" in ipam)) ipam.type = "host-local";
  ipam.ranges = env.subnets.map((subnet) => [{ subnet: formatPrefix(subnet) }]);
  const routes = Array.isArray(ipam.routes) ? ipam.routes : [];
  ipam.routes = [...routes, ...env.networks.map((dst) => ({ dst: formatPrefix(dst) }))];
  fields.ipam = ipam;
  return { type, fields };
}

/**
 * 192.0.2.0/24, kept for documentation (RFC 5737). Go's host-local frees by owner, whatever the ranges, and still refuses
 * a DEL without any: a pod that came before flanneld could then never be deleted.
 */
const anySubnet: Prefix = { ip: { family: 4, value: 0xc0000200n }, length: 24 };

/** As ADD would have it today; without subnet.env enough for the delegate to find links and free addresses. */
export function generateBestEffort(conf: FlannelConf, network: string, host: Host): DelegateConf {
  try {
    return generate(conf, network, readSubnetEnv(conf.subnetFile, host));
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return generate(conf, network, { networks: [], subnets: [anySubnet], mtu: 0, ipMasq: true });
  }
}

/** The configuration as the delegate gets it: compact, keys in order. */
export const delegateConfig = ({ fields }: DelegateConf): ConfigSource => composeConfig(fields);
