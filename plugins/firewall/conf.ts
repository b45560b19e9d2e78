// firewall's configuration: what the schema cannot say, and the form the other files use.
import { prepareSchema, readConfig, type ConfigSource } from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import type { Backend } from "../../lib/firewall/backend.ts";
import { validate } from "#generated/firewall.validate.js";
import { forwardChain, stages } from "./iptables-rules.ts";
import { nftForward } from "./nft.ts";
import { schema } from "./schema.ts";

prepareSchema(schema);

const policies = ["open", "same-bridge", "isolated"] as const;
export type IngressPolicy = (typeof policies)[number];

export interface FirewallConf {
  /** undefined: what the node can. */
  readonly backend: Backend | undefined;
  /** Where an operator's rules come before ours. */
  readonly adminChain: string;
  readonly ingressPolicy: IngressPolicy;
}

const usual: FirewallConf = { backend: undefined, adminChain: "CNI-ADMIN", ingressPolicy: "open" };

/** Chains of the kernel's and of ours, through which packets come to an operator's, and what iptables takes for a verdict. */
const taken: readonly string[] = [
  ...["INPUT", "FORWARD", "OUTPUT", "ACCEPT", "DROP", "RETURN", "QUEUE"],
  ...[forwardChain, ...stages, nftForward],
];

const fault = (msg: string, hint: string): CniError => new CniError("invalidConfig", msg, { hint });

/** Reads the configuration. DEL and GC need nothing of it: whatever it says by now, they clean up both backends. */
export function readFirewallConf(source: ConfigSource, verb: Verb): FirewallConf {
  if (verb === "DEL" || verb === "GC") return usual;
  const given = readConfig(source, schema, validate);
  if (given.backend === "firewalld") {
    throw new CniError("unsupportedField", 'unsupported field "backend": "firewalld": this build has no such backend', {
      hint: 'set "backend" to iptables or nftables, or keep the Go firewall plugin on this node',
    });
  }
  const adminChain = given.iptablesAdminChainName || usual.adminChain;
  // As iptables has it: 28 bytes, nothing that ends a word, nothing that begins an option.
  if (!/^[\w.:/@+][\w.:/@+-]{0,27}$/.test(adminChain))
    throw fault(
      `"iptablesAdminChainName" ${JSON.stringify(adminChain)} is no name of a chain`,
      "use at most 28 letters",
    );
  if (taken.includes(adminChain))
    throw fault(
      `"iptablesAdminChainName" ${JSON.stringify(adminChain)} is taken, and no chain for an operator's rules`,
      `name a chain that only your rules are in, or leave it out for ${usual.adminChain}`,
    );
  const ingressPolicy = policies.find((policy) => policy === (given.ingressPolicy || usual.ingressPolicy));
  if (ingressPolicy === undefined)
    throw fault(
      `unknown ingress policy: ${JSON.stringify(given.ingressPolicy)}`,
      `set "ingressPolicy" to ${policies.join(", ")}, or leave it out`,
    );
  const backend = (["iptables", "nftables"] as const).find((name) => name === given.backend);
  return { backend, adminChain, ingressPolicy };
}
