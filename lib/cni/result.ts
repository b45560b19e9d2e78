// The result of an ADD as values, in the shape of spec 1.1.0 whatever version goes over the wire, and how it is read; how
// it is written is in result-text.ts. Spec 1.1.0, "Success"; the older shapes are those of the spec's earlier versions.
import { parseIp, type Ip } from "../ip/ip.ts";
import { parsePrefix, type Prefix } from "../ip/prefix.ts";
import { ConfigFault, decode, prepareSchema, type FromSchema } from "./config.ts";
import type { JsonObject } from "./json.ts";
import { familyOf, specVersions, type ResultFamily, type SpecVersion } from "./version.ts";

export interface ResultInterface {
  readonly name: string;
  /** Lower case, colons; absent when unknown. */
  readonly mac?: string | undefined;
  readonly mtu?: number | undefined;
  /** The netns path as the runtime gave it; absent for a link on the node. */
  readonly sandbox?: string | undefined;
  readonly socketPath?: string | undefined;
  readonly pciID?: string | undefined;
}

export interface ResultIp {
  /** The address with its prefix length; host bits kept. */
  readonly address: Prefix;
  readonly gateway?: Ip | undefined;
  /** Index into `interfaces`. */
  readonly interface?: number | undefined;
}

export interface ResultRoute {
  readonly dst: Prefix;
  readonly gw?: Ip | undefined;
  readonly mtu?: number | undefined;
  readonly advmss?: number | undefined;
  readonly priority?: number | undefined;
  readonly table?: number | undefined;
  readonly scope?: number | undefined;
}

export interface Dns {
  readonly nameservers?: readonly string[] | undefined;
  readonly domain?: string | undefined;
  readonly search?: readonly string[] | undefined;
  readonly options?: readonly string[] | undefined;
}

export interface Result {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns;
}

const strings = { type: "array", items: { type: "string" } } as const;
export const dnsSchema = {
  type: "object",
  properties: { nameservers: strings, domain: { type: "string" }, search: strings, options: strings },
} as const;
export const routeSchema = {
  type: "object",
  properties: {
    dst: { type: "string" },
    gw: { type: "string" },
    mtu: { type: "integer" },
    advmss: { type: "integer" },
    priority: { type: "integer" },
    table: { type: "integer" },
    scope: { type: "integer" },
  },
} as const;
const routes = { type: "array", items: routeSchema } as const;
const version = { type: "string" } as const;
const block = { type: "object", properties: { ip: { type: "string" }, gateway: { type: "string" }, routes } } as const;
const versionSchema = prepareSchema({ type: "object", properties: { cniVersion: version } } as const);
const oldSchema = prepareSchema({
  type: "object",
  properties: { cniVersion: version, ip4: block, ip6: block, dns: dnsSchema },
} as const);
const newSchema = prepareSchema({
  type: "object",
  properties: {
    cniVersion: version,
    interfaces: {
      type: "array",
      items: {
        type: "object",
        properties: {
          name: { type: "string" },
          mac: { type: "string" },
          mtu: { type: "integer" },
          sandbox: { type: "string" },
          socketPath: { type: "string" },
          pciID: { type: "string" },
        },
      },
    },
    ips: {
      type: "array",
      items: {
        type: "object",
        properties: { interface: { type: "integer" }, address: { type: "string" }, gateway: { type: "string" } },
      },
    },
    routes,
    dns: dnsSchema,
  },
} as const);

/** A prefix out of a field. Throws a ConfigFault naming it. */
export function prefixField(text: string | undefined, field: string): Prefix {
  const prefix = parsePrefix(text ?? "");
  if (prefix === undefined) throw new ConfigFault(`"${field}": invalid CIDR address: ${text ?? ""}`);
  return prefix;
}

/** An address out of a field; "" is none. Throws a ConfigFault naming it. */
export function ipField(text: string | undefined, field: string): Ip | undefined {
  if (text === undefined || text === "") return undefined;
  const ip = parseIp(text);
  if (ip === undefined) throw new ConfigFault(`"${field}": invalid IP address: ${text}`);
  return ip;
}

/** A route out of a configuration or a result. Throws a ConfigFault. */
export function routeField(route: FromSchema<typeof routeSchema>, field: string): ResultRoute {
  return { ...route, dst: prefixField(route.dst, `${field}.dst`), gw: ipField(route.gw, `${field}.gw`) };
}

function parseOld(tree: JsonObject): Result {
  const { ip4, ip6, dns = {} } = decode(oldSchema, tree);
  const blocks = [ip4, ip6].filter((each) => each?.ip !== undefined);
  return {
    interfaces: [],
    ips: blocks.map((each) => ({ address: prefixField(each?.ip, "ip"), gateway: ipField(each?.gateway, "gateway") })),
    routes: blocks.flatMap((each) => (each?.routes ?? []).map((route) => routeField(route, "routes"))),
    dns,
  };
}

function parseNew(tree: JsonObject): Result {
  const { interfaces = [], ips = [], routes = [], dns = {} } = decode(newSchema, tree);
  return {
    interfaces: interfaces.map((each) => ({ ...each, name: each.name ?? "" })),
    ips: ips.map((each, at) => ({
      address: prefixField(each.address, `ips[${at}].address`),
      gateway: ipField(each.gateway, `ips[${at}].gateway`),
      interface: each.interface,
    })),
    routes: routes.map((route, at) => routeField(route, `routes[${at}]`)),
    dns,
  };
}

const versionsOf: Readonly<Record<ResultFamily, readonly string[]>> = {
  "0.2": ["0.1.0", "0.2.0"],
  "0.4": ["0.3.0", "0.3.1", "0.4.0"],
  "1.x": ["1.0.0", "1.1.0"],
};

/**
 * Reads a result of the family that a configuration of `version` uses. A result without a version has that one; one of
 * another family is refused. Throws an Error that says what is wrong.
 */
export function parseResult(tree: JsonObject, version: SpecVersion): Result {
  const family = familyOf(version);
  const { cniVersion = "" } = decode(versionSchema, tree);
  const supported = versionsOf[family];
  if (cniVersion !== "" && !supported.includes(cniVersion))
    throw new ConfigFault(
      `result type supports [${supported.join(" ")}] but unmarshalled CNIVersion is "${cniVersion}"`,
    );
  return family === "0.2" ? parseOld(tree) : parseNew(tree);
}

/** The version that a result which somebody printed is in: the one it says, or `unsaid`. Throws a ConfigFault where nobody speaks it. */
export function writtenVersion(tree: JsonObject, unsaid: string): SpecVersion {
  const said = decode(versionSchema, tree).cniVersion || unsaid;
  const written = specVersions.find((each) => each === said);
  if (written === undefined) throw new ConfigFault(`unsupported CNI result version "${said}"`);
  return written;
}
