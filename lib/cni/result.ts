// The result of an ADD as values, in the shape of spec 1.1.0 whatever version goes over the wire, and both ways between
// the two. Spec 1.1.0, "Success"; the older shapes are those of the spec's earlier versions.
import { formatIp, parseIp, type Ip } from "../ip/ip.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../ip/prefix.ts";
import { ConfigFault, decode, prepareSchema, type FromSchema } from "./config.ts";
import { CniError } from "./error.ts";
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

/** undefined members are what JSON.stringify leaves out; so are lists without a member here. */
const some = <T>(list: readonly T[]): readonly T[] | undefined => (list.length === 0 ? undefined : list);
const nonZero = (value: number | undefined): number | undefined => (value === 0 ? undefined : value);
const text = (ip: Ip | undefined): string | undefined => (ip === undefined ? undefined : formatIp(ip));

function dnsOf({ nameservers = [], domain, search = [], options = [] }: Dns): Dns {
  return {
    nameservers: some(nameservers),
    domain: domain === "" ? undefined : domain,
    search: some(search),
    options: some(options),
  };
}

function sortedDns({ nameservers = [], domain, search = [], options = [] }: Dns): Dns | undefined {
  if (nameservers.length + search.length + options.length === 0 && (domain ?? "") === "") return undefined;
  return {
    domain: domain === "" ? undefined : domain,
    nameservers: some(nameservers),
    options: some(options),
    search: some(search),
  };
}

function encodeOld(result: Result, cniVersion: SpecVersion): unknown {
  const [v4, v6] = ([4, 6] as const).map((family) => result.ips.find(({ address }) => address.ip.family === family));
  if (v4 === undefined && v6 === undefined)
    throw new CniError("incompatibleVersion", "cannot convert: no valid IP addresses", {
      details: `a result of version ${cniVersion} has no place for anything but addresses`,
      hint: 'set "cniVersion" to 0.3.1 or later',
    });
  const blockOf = (ip: ResultIp | undefined) =>
    ip === undefined
      ? undefined
      : {
          ip: formatPrefix(ip.address),
          gateway: text(ip.gateway),
          routes: some(
            result.routes
              .filter(({ dst }) => dst.ip.family === ip.address.ip.family)
              .map(({ dst, gw }) => ({ dst: formatPrefix(dst), gw: text(gw) })),
          ),
        };
  return { cniVersion, ip4: blockOf(v4), ip6: blockOf(v6), dns: dnsOf(result.dns) };
}

function encodeMiddle(result: Result, cniVersion: SpecVersion): unknown {
  return {
    cniVersion,
    interfaces: some(
      result.interfaces.map(({ name, mac, sandbox }) => ({
        name,
        mac: mac || undefined,
        sandbox: sandbox || undefined,
      })),
    ),
    ips: some(
      result.ips.map(({ address, gateway, interface: at }) => ({
        version: String(address.ip.family),
        interface: at,
        address: formatPrefix(address),
        gateway: text(gateway),
      })),
    ),
    routes: some(
      result.routes.map(({ dst, gw, mtu, advmss, priority, table, scope }) => ({
        dst: formatPrefix(dst),
        gw: text(gw),
        mtu: nonZero(mtu),
        advmss: nonZero(advmss),
        priority: nonZero(priority),
        table,
        scope,
      })),
    ),
    dns: dnsOf(result.dns),
  };
}

/** Keys in alphabetical order at every level. */
function encodeNew(result: Result, cniVersion: SpecVersion): unknown {
  return {
    cniVersion,
    dns: sortedDns(result.dns),
    interfaces: some(
      result.interfaces.map(({ mac, mtu, name, pciID, sandbox, socketPath }) => ({
        mac: mac || undefined,
        mtu: nonZero(mtu),
        name,
        pciID: pciID || undefined,
        sandbox: sandbox || undefined,
        socketPath: socketPath || undefined,
      })),
    ),
    ips: some(
      result.ips.map(({ address, gateway, interface: at }) => ({
        address: formatPrefix(address),
        gateway: text(gateway),
        interface: at,
      })),
    ),
    routes: some(
      result.routes.map(({ advmss, dst, gw, mtu, priority, scope, table }) => ({
        advmss: nonZero(advmss),
        dst: formatPrefix(dst),
        gw: text(gw),
        mtu: nonZero(mtu),
        priority: nonZero(priority),
        scope,
        table,
      })),
    ),
  };
}

/**
 * The result in a version's own shape, ready for JSON. Throws a CniError (1) where the version has no place for it:
 * 0.1.0 and 0.2.0 need an address.
 */
export function encodeResult(result: Result, version: SpecVersion): unknown {
  const family = familyOf(version);
  if (family === "0.2") return encodeOld(result, version);
  return family === "0.4" ? encodeMiddle(result, version) : encodeNew(result, version);
}
