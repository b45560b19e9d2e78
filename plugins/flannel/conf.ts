// flannel's configuration, and the checks on the free-form parts that the schema cannot make.
import { validate } from "#generated/flannel.validate.js";
import {
  decodeForgiving,
  prepareSchema,
  readConfig,
  type ConfigSource,
  type FromSchema,
} from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { PlainJson } from "../../lib/cni/json.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { schema } from "./schema.ts";

prepareSchema(schema);

type FreeForm = Readonly<Record<string, PlainJson>>;

export interface FlannelConf {
  readonly subnetFile: string;
  readonly dataDir: string;
  readonly delegate: FreeForm;
  readonly ipam: FreeForm;
  readonly runtimeConfig: FreeForm | undefined;
  /** As written; "" when it was not. The delegate gets one only where we did. */
  readonly cniVersion: string;
}

function checkDelegate(delegate: FreeForm): void {
  const fault = (msg: string) =>
    new CniError("invalidConfig", msg, { hint: 'correct "delegate" in the network configuration' });
  if ("type" in delegate && typeof delegate.type !== "string")
    throw fault("'delegate' dictionary, if present, must have (string) 'type' field");
  for (const key of ["name", "ipam"]) {
    if (key in delegate) throw fault(`'delegate' dictionary must not have '${key}' field, it'll be set by flannel`);
  }
}

/** What subnet.env's networks are added to; a delegate would never hear of another value. */
function checkRoutes({ routes = null }: FreeForm): void {
  if (routes === null || Array.isArray(routes)) return;
  throw new CniError("invalidConfig", `failed to parse ipam.routes: it must be a list, got ${JSON.stringify(routes)}`, {
    hint: 'correct "ipam" in the network configuration: "routes": [{ "dst": "10.0.0.0/8" }]',
  });
}

function confOf(given: FromSchema<typeof schema>): FlannelConf {
  return {
    subnetFile: given.subnetFile || "/run/flannel/subnet.env",
    dataDir: given.dataDir || "/var/lib/cni/flannel",
    delegate: given.delegate ?? {},
    ipam: given.ipam ?? {},
    runtimeConfig: given.runtimeConfig,
    cniVersion: given.cniVersion,
  };
}

/** Reads the configuration. DEL and GC forgive everything: what cannot be read is left at its default. */
export function conf(source: ConfigSource, verb: Verb, _args: string, host: Host): FlannelConf {
  if (verb === "DEL" || verb === "GC") return forgivingConf(source, host);
  const read = confOf(readConfig(source, schema, validate));
  checkDelegate(read.delegate);
  checkRoutes(read.ipam);
  return read;
}

function forgivingConf({ tree }: ConfigSource, host: Host): FlannelConf {
  const read = confOf(decodeForgiving(schema, tree, (line) => host.log(`flannel: ${line}`)));
  try {
    checkDelegate(read.delegate);
    return read;
  } catch (error) {
    host.log(`flannel: going on in spite of the configuration: ${(error as Error).message}`);
    return { ...read, delegate: {} };
  }
}
