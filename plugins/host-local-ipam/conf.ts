// host-local's configuration: where its store is, the range sets in the order that numbers them, the requested addresses.
import { validate } from "#generated/host-local.validate.js";
import { parseCniArgs } from "../../lib/cni/args.ts";
import {
  ConfigFault,
  decodeForgiving,
  prepareSchema,
  readConfig,
  type ConfigSource,
  type FromSchema,
} from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import { ipField, prefixField, routeField, type ResultRoute } from "../../lib/cni/result.ts";
import { atLeast } from "../../lib/cni/gate.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, parseIp, type Ip } from "../../lib/ip/ip.ts";
import { canonicalSet, overlappingSets, RangeFault, type GivenRange, type RangeSet } from "./ranges.ts";
import { schema } from "./schema.ts";

prepareSchema(schema);

export interface HostLocalConf {
  /** The network's store. */
  readonly directory: string;
  /** In the order that numbers `last_reserved_ip.N`. Empty for DEL and GC, which do not need them. */
  readonly rangeSets: readonly RangeSet[];
  readonly routes: readonly ResultRoute[];
  readonly requested: readonly Ip[];
  /** Path of a resolv.conf; "" for none. */
  readonly resolvConf: string;
}

/** Where a network's reservations are; dispatch has checked that the name is no path. */
const directoryOf = (dataDir: string, name: string): string => `${dataDir || "/var/lib/cni/networks"}/${name}`;

type Given = FromSchema<typeof schema>;
type GivenTexts = NonNullable<NonNullable<NonNullable<Given["ipam"]>["ranges"]>[number]>[number];

function subnetField(text: string | undefined, field: string): GivenRange["subnet"] {
  if (text === undefined) return undefined;
  return isMapped(text) ? "mapped" : prefixField(text, field);
}

function rangeField(given: GivenTexts, field: string): GivenRange {
  return {
    subnet: subnetField(given.subnet, `${field}.subnet`),
    rangeStart: ipField(given.rangeStart, `${field}.rangeStart`),
    rangeEnd: ipField(given.rangeEnd, `${field}.rangeEnd`),
    gateway: ipField(given.gateway, `${field}.gateway`),
  };
}

/** runtimeConfig.ipRanges, then ipam.subnet, then ipam.ranges: the order that numbers the sets. */
function rangeSetsOf({ ipam = { dataDir: "", resolvConf: "" }, runtimeConfig }: Given): RangeSet[] {
  const sets = (runtimeConfig?.ipRanges ?? []).map((set) =>
    set.map((range) => rangeField(range, "runtimeConfig.ipRanges")),
  );
  if (ipam.subnet) sets.push([rangeField(ipam, "ipam")]);
  for (const set of ipam.ranges ?? []) sets.push(set.map((range) => rangeField(range, "ipam.ranges")));
  if (sets.length === 0) throw new RangeFault("no IP ranges specified");
  return sets.map((set, at) => {
    try {
      return canonicalSet(set);
    } catch (cause) {
      throw cause instanceof RangeFault ? new RangeFault(`invalid range set ${at}: ${cause.message}`) : cause;
    }
  });
}

function checkTogether(sets: readonly RangeSet[], cniVersion: string): void {
  if (sets.length === 1) return;
  const families = sets.map((set) => set[0]?.start.family);
  if (families.some((family, at) => families.indexOf(family) !== at) && !atLeast(cniVersion, "0.3.0"))
    throw new RangeFault(`CNI version ${cniVersion} does not support more than 1 address per family`);
  const overlapping = overlappingSets(sets);
  if (overlapping !== undefined) throw new RangeFault(`range set ${overlapping[0]} overlaps with ${overlapping[1]}`);
}

/** The address of "address" or "address/length"; undefined where it is neither. */
function addressOf(text: string): Ip | undefined {
  const [address = "", length = "0", ...rest] = text.split("/");
  const bits = address.includes(":") ? 128 : 32;
  return rest.length === 0 && /^\d+$/.test(length) && Number(length) <= bits ? parseIp(address) : undefined;
}

/** An IPv4 address written as IPv6, under a mask of IPv6: Go reads it, and refuses it where it checks the range. */
const isMapped = (text: string): boolean => text.includes(":") && addressOf(text)?.family === 4;

/** Requests from CNI_ARGS, args.cni.ips and runtimeConfig.ips, added together; the same address counts once. */
function requestedOf({ args: { cni } = {}, runtimeConfig }: Given, cniArgs: string): Ip[] {
  const { IP: fromArgs } = parseCniArgs(cniArgs, ["IP"]);
  const ips: Ip[] = [];
  for (const text of [fromArgs || [], cni?.ips ?? [], runtimeConfig?.ips ?? []].flat()) {
    const ip = addressOf(text);
    if (ip === undefined) throw new RangeFault(`cannot understand ip: ${text}`);
    if (!ips.some((each) => equalIps(each, ip))) ips.push(ip);
  }
  return ips;
}

/** Reads the configuration; for DEL and GC only where the store is. Throws a CniError (7). */
export function conf(source: ConfigSource, verb: Verb, cniArgs: string, host: Host): HostLocalConf {
  if (verb === "DEL" || verb === "GC") return onlyLocation(source, host);
  const given = readConfig(source, schema, validate);
  if (given.ipam === undefined)
    throw new CniError("invalidConfig", "IPAM config missing 'ipam' key", {
      hint: 'give the plugin an "ipam" object with "type": "host-local" and "ranges"',
    });
  const { dataDir, resolvConf, routes = [] } = given.ipam;
  try {
    const rangeSets = rangeSetsOf(given);
    checkTogether(rangeSets, given.cniVersion || "0.1.0");
    return {
      directory: directoryOf(dataDir, given.name),
      rangeSets,
      routes: routes.map((route, at) => routeField(route, `ipam.routes[${at}]`)),
      requested: requestedOf(given, cniArgs),
      resolvConf,
    };
  } catch (cause) {
    if (!(cause instanceof RangeFault || cause instanceof ConfigFault)) throw cause;
    throw new CniError("invalidConfig", cause.message, {
      hint: 'correct "ipam" in the network configuration, or what the runtime asked for',
      cause,
    });
  }
}

const locationSchema = prepareSchema({
  type: "object",
  properties: {
    name: { type: "string", default: "" },
    ipam: { type: "object", properties: { dataDir: { type: "string", default: "" } } },
  },
} as const);

/** A configuration that ADD would refuse does not keep an address: all that matters is where the store is. */
function onlyLocation({ tree }: ConfigSource, host: Host): HostLocalConf {
  const { name, ipam } = decodeForgiving(locationSchema, tree, (line) => host.log(`host-local: ${line}`));
  return {
    directory: directoryOf(ipam?.dataDir ?? "", name),
    rangeSets: [],
    routes: [],
    requested: [],
    resolvConf: "",
  };
}
