// The tuning plugin's configuration: what wins over what, and what a schema cannot say.
import { parseCniArgs } from "../../lib/cni/args.ts";
import { memberOf, prepareSchema, readConfig, type ConfigSource } from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import { JsonObject, type PlainJson } from "../../lib/cni/json.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import { parseMac, type Mac } from "../../lib/ip/mac.ts";
import { validate } from "#generated/tuning.validate.js";
import { schema } from "./schema.ts";

prepareSchema(schema);

const defaultDataDir = "/run/cni/tuning";

/** What becomes of the container's link; undefined: left as it is. */
export interface LinkConf {
  readonly mac: Mac | undefined;
  readonly mtu: number | undefined;
  /** Only ever turned on. */
  readonly promisc: true | undefined;
  readonly allMulti: boolean | undefined;
  /** In packets. */
  readonly txQueueLength: number | undefined;
}

export interface TuningConf {
  /** Name as configured to value, in the order they are written. */
  readonly sysctls: ReadonlyMap<string, string>;
  readonly link: LinkConf;
  /** The node's end of a veth pair gets the MTU, too. */
  readonly peerMtu: boolean;
  readonly dataDir: string;
}

/** Whether anything of the link is configured. */
export const changesLink = (link: LinkConf): boolean => Object.values(link).some((value) => value !== undefined);

const fault = (msg: string, hint = "correct the network configuration"): CniError =>
  new CniError("invalidConfig", msg, { hint });

/**
 * Reads the configuration. DEL and GC need no more of it than the directory of the backups, and forgive the rest; STATUS
 * is about no attachment, and has no CNI_ARGS that would mean something.
 */
export function readTuningConf(source: ConfigSource, verb: Verb, cniArgs: string): TuningConf {
  if (verb === "DEL" || verb === "GC") {
    const dataDir = memberOf(source.tree, "dataDir");
    return { ...nothing, dataDir: typeof dataDir === "string" && dataDir !== "" ? dataDir : defaultDataDir };
  }
  refuseRepeated(source.tree);
  const given = readConfig(source, schema, validate);
  const { MAC } = verb === "STATUS" ? {} : parseCniArgs(cniArgs, ["MAC"]);
  const args = given.args?.cni ?? {};
  return {
    sysctls: new Map([...textsOf("sysctl", given.sysctl), ...textsOf("args.cni.sysctl", args.sysctl)]),
    link: {
      mac: macOf(args.mac ?? (given.runtimeConfig?.mac || MAC || given.mac)),
      mtu: (args.mtu ?? given.mtu) || undefined,
      promisc: (args.promisc ?? given.promisc) || undefined,
      allMulti: args.allmulti ?? given.allmulti,
      txQueueLength: args.txQLen ?? given.txQLen,
    },
    peerMtu: given.peerMtu,
    dataDir: given.dataDir || defaultDataDir,
  };
}

const nothing: Omit<TuningConf, "dataDir"> = {
  sysctls: new Map(),
  link: { mac: undefined, mtu: undefined, promisc: undefined, allMulti: undefined, txQueueLength: undefined },
  peerMtu: true,
};

/** A name that stands twice cannot mean both. */
function refuseRepeated(tree: JsonObject): void {
  const sysctl = memberOf(tree, "sysctl");
  if (!(sysctl instanceof JsonObject)) return;
  const { keys } = sysctl;
  const repeated = keys.find((name, at) => keys.indexOf(name) !== at);
  if (repeated !== undefined)
    throw fault(`duplicated sysctl keys are not allowed: "${repeated}"`, `say "${repeated}" once in "sysctl"`);
}

/** null is as good as absent, as everywhere. */
function textsOf(field: string, values: Readonly<Record<string, PlainJson>> = {}): [name: string, value: string][] {
  return Object.entries(values).flatMap(([name, value]): [string, string][] => {
    if (value === null) return [];
    if (typeof value === "string") return [[name, value]];
    throw fault(
      `failed to load netconf: "${field}.${name}" must be a string, got ${JSON.stringify(value)}`,
      "put quotes around the value",
    );
  });
}

function macOf(text: string | undefined): Mac | undefined {
  if (text === undefined || text === "") return undefined;
  const mac = parseMac(text);
  if (mac === undefined)
    throw fault(`invalid args ${text} for MAC addr: invalid MAC address`, "give six bytes: 0a:58:0a:f4:01:02");
  return mac;
}
