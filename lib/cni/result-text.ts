// A result as a plugin prints it, in a version's own shape: JSON with four spaces and no newline at the end, as the Go
// plugins write it. Spec 1.1.0, "Success". JSON.stringify, and what it wants to be given, took a tenth of a loopback ADD.
import { formatIp, type Ip } from "../ip/ip.ts";
import { formatPrefix } from "../ip/prefix.ts";
import { CniError } from "./error.ts";
import { quoted } from "./json.ts";
import type { Dns, Result, ResultIp } from "./result.ts";
import { familyOf, type SpecVersion } from "./version.ts";

/** A member as JSON, `"mtu": 1450`. One that is undefined, 0 or "" is not there. */
type Member = string | number | undefined;

/** What a line begins with, so many objects and lists deep. */
const indents = ["\n", "\n    ", "\n        ", "\n            ", "\n                "] as const;

/** An object whose members stand one deeper than it does. */
function object(depth: 0 | 1 | 2 | 3, members: readonly Member[]): string {
  const before = `,${indents[depth + 1]}`;
  let text = "";
  for (let at = 0; at < members.length; at++) {
    const member = members[at];
    if (member) text += before + member;
  }
  return text === "" ? "{}" : `{${text.slice(1)}${indents[depth]}}`;
}

/** A member that is a list; not there without items. */
function list(depth: 1 | 2, name: string, items: readonly string[] = []): Member {
  const indent = indents[depth + 1];
  return items.length === 0 ? undefined : `"${name}": [${indent}${items.join(`,${indent}`)}${indents[depth]}]`;
}

const text = (name: string, value: string | undefined): Member => value && `"${name}": ${quoted(value)}`;
const address = (name: string, ip: Ip | undefined): Member => ip && `"${name}": "${formatIp(ip)}"`;
/** A number that says something when it is 0. */
const number = (name: string, value: number | undefined): Member =>
  value === undefined ? undefined : `"${name}": ${value}`;

const dnsMembers = ({ nameservers, domain, search, options }: Dns) => ({
  nameservers: list(2, "nameservers", nameservers?.map(quoted)),
  domain: text("domain", domain),
  search: list(2, "search", search?.map(quoted)),
  options: list(2, "options", options?.map(quoted)),
});

function dnsOf(dns: Dns): Member {
  const { nameservers, domain, search, options } = dnsMembers(dns);
  return `"dns": ${object(1, [nameservers, domain, search, options])}`;
}

function sortedDns(dns: Dns): Member {
  const { nameservers, domain, search, options } = dnsMembers(dns);
  const members = [domain, nameservers, options, search];
  return members.some(Boolean) ? `"dns": ${object(1, members)}` : undefined;
}

function oldText({ ips, routes, dns }: Result, cniVersion: SpecVersion): string {
  const [v4, v6] = ([4, 6] as const).map((family) => ips.find(({ address }) => address.ip.family === family));
  if (v4 === undefined && v6 === undefined)
    throw new CniError("incompatibleVersion", "cannot convert: no valid IP addresses", {
      details: `a result of version ${cniVersion} has no place for anything but addresses`,
      hint: 'set "cniVersion" to 0.3.1 or later',
    });
  const block = (name: string, ip: ResultIp | undefined): Member =>
    ip &&
    `"${name}": ${object(1, [
      `"ip": "${formatPrefix(ip.address)}"`,
      address("gateway", ip.gateway),
      list(
        2,
        "routes",
        routes
          .filter(({ dst }) => dst.ip.family === ip.address.ip.family)
          .map(({ dst, gw }) => object(3, [`"dst": "${formatPrefix(dst)}"`, address("gw", gw)])),
      ),
    ])}`;
  return object(0, [`"cniVersion": "${cniVersion}"`, block("ip4", v4), block("ip6", v6), dnsOf(dns)]);
}

function middleText({ interfaces, ips, routes, dns }: Result, cniVersion: SpecVersion): string {
  return object(0, [
    `"cniVersion": "${cniVersion}"`,
    list(
      1,
      "interfaces",
      interfaces.map(({ name, mac, sandbox }) =>
        object(2, [`"name": ${quoted(name)}`, text("mac", mac), text("sandbox", sandbox)]),
      ),
    ),
    list(
      1,
      "ips",
      ips.map(({ address: own, gateway, interface: at }) =>
        object(2, [
          `"version": "${own.ip.family}"`,
          number("interface", at),
          `"address": "${formatPrefix(own)}"`,
          address("gateway", gateway),
        ]),
      ),
    ),
    list(
      1,
      "routes",
      routes.map(({ dst, gw, mtu, advmss, priority, table, scope }) =>
        object(2, [
          `"dst": "${formatPrefix(dst)}"`,
          address("gw", gw),
          mtu && `"mtu": ${mtu}`,
          advmss && `"advmss": ${advmss}`,
          priority && `"priority": ${priority}`,
          number("table", table),
          number("scope", scope),
        ]),
      ),
    ),
    dnsOf(dns),
  ]);
}

/** Keys in alphabetical order at every level. */
function newText({ interfaces, ips, routes, dns }: Result, cniVersion: SpecVersion): string {
  return object(0, [
    `"cniVersion": "${cniVersion}"`,
    sortedDns(dns),
    list(
      1,
      "interfaces",
      interfaces.map(({ mac, mtu, name, pciID, sandbox, socketPath }) =>
        object(2, [
          text("mac", mac),
          mtu && `"mtu": ${mtu}`,
          `"name": ${quoted(name)}`,
          text("pciID", pciID),
          text("sandbox", sandbox),
          text("socketPath", socketPath),
        ]),
      ),
    ),
    list(
      1,
      "ips",
      ips.map(({ address: own, gateway, interface: at }) =>
        object(2, [`"address": "${formatPrefix(own)}"`, address("gateway", gateway), number("interface", at)]),
      ),
    ),
    list(
      1,
      "routes",
      routes.map(({ advmss, dst, gw, mtu, priority, scope, table }) =>
        object(2, [
          advmss && `"advmss": ${advmss}`,
          `"dst": "${formatPrefix(dst)}"`,
          address("gw", gw),
          mtu && `"mtu": ${mtu}`,
          priority && `"priority": ${priority}`,
          number("scope", scope),
          number("table", table),
        ]),
      ),
    ),
  ]);
}

/**
 * The result in a version's own shape. Throws a CniError (1) where the version has no place for it: 0.1.0 and 0.2.0 need
 * an address.
 */
export function resultText(result: Result, version: SpecVersion): string {
  const family = familyOf(version);
  if (family === "0.2") return oldText(result, version);
  return family === "0.4" ? middleText(result, version) : newText(result, version);
}
