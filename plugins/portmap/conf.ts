// portmap's configuration: what the schema cannot say, and the form the other files use.
import {
  ConfigFault,
  decode,
  prepareSchema,
  readConfig,
  type ConfigSource,
  type FromSchema,
} from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import type { Backend } from "../../lib/firewall/backend.ts";
import { parseIp, type Family, type Ip } from "../../lib/ip/ip.ts";
import { transportNamed } from "../../lib/netlink/nft/match.ts";
import { validate } from "#generated/portmap.validate.js";
import type { Mapping } from "./mapping.ts";
import { schema } from "./schema.ts";

prepareSchema(schema);

export interface PortmapConf {
  readonly mappings: readonly Mapping[];
  /** undefined: what the node can. */
  readonly backend: Backend | undefined;
  readonly snat: boolean;
  readonly masqAll: boolean;
  /** Of the packet mark: one bit. */
  readonly mark: number;
  readonly externalSetMarkChain: string | undefined;
  /** Words of a rule, in the syntax of one backend. */
  readonly conditions: Readonly<Record<Family, readonly string[]>>;
  readonly conflict: "warn" | "fail";
}

const defaultMarkBit = 13;
/** XT_EXTENSION_MAXNAMELEN without the zero. */
const maxChainName = 28;

type Given = FromSchema<typeof schema>;

const fault = (msg: string, hint: string): CniError => new CniError("invalidConfig", msg, { hint });

/**
 * Reads the configuration. DEL and GC forgive everything: all they take from it is which UDP flows to forget, and they
 * clean up whatever it says.
 */
export function readPortmapConf(source: ConfigSource, verb: Verb): PortmapConf {
  const strict = verb !== "DEL" && verb !== "GC";
  const given = strict ? readConfig(source, schema, validate) : readLeniently(source);
  const { backend, markMasqBit, externalSetMarkChain } = given;
  if (strict && markMasqBit !== undefined && externalSetMarkChain !== undefined)
    throw fault("Cannot specify externalSetMarkChain and markMasqBit", "leave out one of the two");
  if (strict && externalSetMarkChain !== undefined && externalSetMarkChain.length > maxChainName)
    throw fault(
      `"externalSetMarkChain" ${JSON.stringify(externalSetMarkChain)} is longer than iptables' chains can be`,
      `use at most ${maxChainName} letters`,
    );
  const mappings = (given.runtimeConfig?.portMappings ?? []).flatMap((each, at) => {
    try {
      return [mappingOf(each, at)];
    } catch (error) {
      if (strict) throw error;
      return [];
    }
  });
  const conf: PortmapConf = {
    mappings,
    backend,
    snat: given.snat,
    masqAll: given.masqAll,
    mark: (1 << (markMasqBit ?? defaultMarkBit)) >>> 0,
    externalSetMarkChain,
    conditions: { 4: given.conditionsV4 ?? [], 6: given.conditionsV6 ?? [] },
    conflict: given.hostPortConflict,
  };
  if (strict && backend !== undefined) refuseOtherBackends(conf, backend);
  return conf;
}

const portMappingsSchema = prepareSchema({
  type: "object",
  properties: { runtimeConfig: schema.properties.runtimeConfig },
} as const);
const nothing: Given = { snat: true, masqAll: false, hostPortConflict: "warn" };

function readLeniently(source: ConfigSource): Given {
  try {
    return { ...nothing, ...decode(portMappingsSchema, source.tree) };
  } catch (error) {
    if (error instanceof ConfigFault) return nothing;
    throw error;
  }
}

type GivenMapping = NonNullable<NonNullable<Given["runtimeConfig"]>["portMappings"]>[number];

function mappingOf({ hostPort, containerPort, protocol: name, hostIP }: GivenMapping, at: number): Mapping {
  const where = `runtimeConfig.portMappings[${at}]`;
  const protocol = transportNamed(name === "" ? "tcp" : name.toLowerCase());
  if (protocol === undefined)
    throw fault(`"${where}.protocol" ${JSON.stringify(name)} has no ports`, "use tcp, udp, sctp, dccp or udplite");
  const ip = hostIP === "" ? undefined : parseIp(hostIP);
  if (hostIP !== "" && ip === undefined)
    throw fault(`"${where}.hostIP" ${JSON.stringify(hostIP)} is no IP address`, "give an address of the node, or none");
  return { protocol, hostPort, containerPort, hostIp: isUnspecified(ip) ? undefined : ip, family: ip?.family };
}

const isUnspecified = (ip: Ip | undefined): boolean => ip?.value === 0n;

/** Refuses options in the syntax of one backend where another keeps the rules. Throws a CniError (7). */
export function refuseOtherBackends({ conditions, externalSetMarkChain }: PortmapConf, backend: Backend): void {
  const other = backend === "iptables" ? "nftables" : "iptables";
  const options = [
    ...(externalSetMarkChain !== undefined && other === "iptables" ? ["externalSetMarkChain"] : []),
    ...([4, 6] as const).flatMap((family) => (syntaxOf(conditions[family]) === other ? [`conditionsV${family}`] : [])),
  ];
  if (options.length === 0) return;
  throw fault(
    `${backend} backend was requested but configuration contains ${other}-specific options [${options.join(" ")}]`,
    `leave these out, write the conditions in the words of ${backend}, or set "backend" to ${other}`,
  );
}

/** In whose words conditions are: those of iptables begin with an option or its negation. */
function syntaxOf([first = ""]: readonly string[]): Backend | undefined {
  if (first === "") return undefined;
  return /^[-!]/.test(first) ? "iptables" : "nftables";
}
