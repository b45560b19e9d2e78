// The bandwidth plugin's configuration: which of the two places counts, and what a schema cannot say.
import { memberOf, prepareSchema, readConfig, type ConfigSource } from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import { validate } from "#generated/bandwidth.validate.js";
import { schema } from "./schema.ts";

prepareSchema(schema);

/** What may pass in one direction. */
export interface Limit {
  /** Bits a second; at least 8. */
  readonly rate: number;
  /** Bits at once; at least 8. */
  readonly burst: number;
}

export interface BandwidthConf {
  /** To the container; undefined: no limit. */
  readonly ingress: Limit | undefined;
  /** From the container. */
  readonly egress: Limit | undefined;
  readonly latencyMs: number;
  readonly capBurst: boolean;
}

const keys = ["ingressRate", "ingressBurst", "egressRate", "egressBurst"] as const;

/** Less than a byte is nothing to the kernel. */
const leastBits = 8;
/** Bytes that the kernel's numbers have room for. */
const maxBurstBytes = 0xffff_ffff;

/** Reads the configuration. DEL and GC need none of it, and forgive everything. */
export function readBandwidthConf(source: ConfigSource, verb: Verb): BandwidthConf {
  if (verb === "DEL" || verb === "GC") return { ingress: undefined, egress: undefined, latencyMs: 0, capBurst: false };
  const given = readConfig(source, schema, validate);
  const isGiven = keys.some((key) => memberOf(source.tree, key) !== undefined);
  const limits = isGiven ? given : given.runtimeConfig?.bandwidth;
  return {
    ingress: limitOf("ingress", limits?.ingressRate, limits?.ingressBurst),
    egress: limitOf("egress", limits?.egressRate, limits?.egressBurst),
    latencyMs: given.latency,
    capBurst: given.capBurst,
  };
}

const fault = (msg: string, hint: string): CniError => new CniError("invalidConfig", msg, { hint });

function limitOf(direction: "ingress" | "egress", rate = 0, burst = 0): Limit | undefined {
  if (rate === 0 && burst === 0) return undefined;
  const given = `"${direction}Rate" is ${rate}, "${direction}Burst" is ${burst}`;
  if (burst === 0) throw fault(`if rate is set, burst must also be set: ${given}`, "both are in bits; give both");
  if (rate === 0) throw fault(`if burst is set, rate must also be set: ${given}`, "both are in bits; give both");
  if (Math.floor(burst / 8) >= maxBurstBytes)
    throw fault(`burst cannot be more than 4GB: ${given}`, "make it smaller; it is in bits");
  if (rate < leastBits || burst < leastBits)
    throw fault(`less than a byte cannot be measured: ${given}`, "both are in bits; 1000000 is a megabit");
  return { rate, burst };
}
