// What a node is like: its links, addresses, routes, ports and sysctls as iproute2 and /proc tell them, and the files the
// plugins keep. Nothing here is our own decoder's word.
import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Cell } from "./cell.ts";

type Json = Record<string, unknown>;

/** One network namespace. A link has its addresses, what it is as a port, what shapes it, and its sysctls with it. */
export interface Place {
  readonly links: Record<string, Json>;
  readonly routes: { readonly v4: readonly Json[]; readonly v6: readonly Json[] };
  /** Those of no one link. */
  readonly sysctls: Json;
}

export interface NodeState {
  readonly node: Place;
  readonly pods: Record<string, Place>;
}

/** Every state that scenarios leave settles at the second look at the latest; but one look alone has been seen to take two seconds. */
const settleMs = 60_000;
const look = [
  "ip -j -d link",
  "ip -j addr",
  "bridge -j -d link",
  "ip -4 -j -d route show table all type unicast",
  "ip -6 -j -d route show table all type unicast",
  // A sysfs shows the network namespace it was mounted in.
  "unshare -m sh -c 'mount -t sysfs sys /sys; cd /sys/class/net; grep -H . */addr_assign_type'",
  // stable_secret cannot be read before it is written.
  "cd /proc/sys/net; grep -rs . ipv4/ip_forward ipv4/conf ipv6/conf || true",
  "tc -j qdisc",
  "for dev in $(tc qdisc | sed -n 's/^qdisc ingress .* dev \\([^ ]*\\) .*/\\1/p'); do echo $dev $(tc -j filter show dev $dev ingress); done",
].join("; echo @@; ");

const byName = (list: Json[]) => Object.fromEntries(list.map((each) => [String(each.ifname), each]));
const kindOf = (link: Json) => (link.linkinfo as Json | undefined)?.info_kind;
export const isBridge = (link: Json) => kindOf(link) === "bridge";
/** Names a plugin draws. */
const isDrawn = (name: string) => /^veth[0-9a-f]{8}$/.test(name);
const flags = (link: Json) => (link.flags ?? []) as string[];

/** The kernel brings carriers and link-local addresses up by and by; a state still on its way there is not compared. */
function isSettled({ links }: Place): boolean {
  return Object.entries(links).every(([name, link]) => {
    if (name === "lo") return true;
    const up = flags(link).includes("UP") && flags(link).includes("LOWER_UP");
    if (isBridge(link)) {
      const port = Object.values(links).some((other) => other.master === name && other.operstate === "UP");
      // One that never had a port stays as it was made; one that lost its last port has lost its carrier, too.
      if (!port) return link.operstate === (up ? "UNKNOWN" : "DOWN");
    }
    if (!up) return !isBridge(link);
    // What only shapes has no carrier to wait for.
    if (link.operstate !== "UP" && kindOf(link) !== "ifb") return false;
    const addrs = link.addrs as Json[];
    const enabled = (link.sysctls as Json)["ipv6/disable_ipv6"] === "0" && Number(link.mtu) >= 1280;
    return !enabled || addrs.some(isLinkLocal);
  });
}

const isLinkLocal = (addr: Json) => String(addr.local).startsWith("fe80:");

/**
 * Each link's fe80::/64 stands where the link's carrier came up; they are put in the order of the links' names, with the
 * drawn ones last and in the order in which they were made.
 */
function inLinkOrder(routes: Json[], links: Record<string, Json>): Json[] {
  const place = ({ dev }: Json): [string, number] => {
    const name = String(dev);
    return isDrawn(name) ? ["~", Number(links[name]?.ifindex)] : [name, 0];
  };
  const ofLinks = routes
    .filter((route) => route.dst === "fe80::/64")
    .map((route) => [route, ...place(route)] as const)
    .sort(([, a, i], [, b, j]) => (a === b ? i - j : a < b ? -1 : 1))
    .map(([route]) => route);
  return [...routes.filter((route) => !ofLinks.includes(route)), ...ofLinks];
}

/**
 * Whether a bridge that carries nothing has a link-local address depends on what its first port did meanwhile: it is
 * there if the bridge had a carrier for a moment. It is left out.
 */
function withoutIdleAddresses({ links, routes, sysctls }: Place): Place {
  const idle = Object.values(links).filter((link) => isBridge(link) && link.operstate !== "UP");
  for (const link of idle) link.addrs = (link.addrs as Json[]).filter((addr) => !isLinkLocal(addr));
  const isIdle = ({ dst, dev }: Json) => dst === "fe80::/64" && idle.some(({ ifname }) => ifname === dev);
  return { links, routes: { v4: routes.v4, v6: routes.v6.filter((route) => !isIdle(route)) }, sysctls };
}

async function observePlace(cell: Cell, netns: string | undefined): Promise<Place> {
  const until = Date.now() + settleMs;
  for (;;) {
    const parts = (await cell.shell(look, netns)).split("@@\n");
    const [links, addrs, ports, v4, v6] = parts.slice(0, 5).map((text) => JSON.parse(text || "[]") as Json[]);
    if (links === undefined || addrs === undefined || ports === undefined || v4 === undefined || v6 === undefined)
      throw new Error("iproute2 said nothing");
    const place: Place = { links: byName(links), routes: { v4, v6: inLinkOrder(v6, byName(links)) }, sysctls: {} };
    for (const link of links) Object.assign(link, { addrs: [], sysctls: {}, qdiscs: [] });
    for (const each of addrs) Object.assign(place.links[String(each.ifname)] ?? {}, { addrs: each.addr_info });
    for (const each of ports) Object.assign(place.links[String(each.ifname)] ?? {}, { port: each });
    for (const [, name = "", value] of (parts[5] ?? "").matchAll(/^(.*)\/addr_assign_type:(.*)$/gm))
      Object.assign(place.links[name] ?? {}, { addr_assign_type: value });
    for (const [, key = "", value = ""] of (parts[6] ?? "").matchAll(/^([^:]+):(.*)$/gm)) {
      const [, family, name = "", setting] = /^(ipv[46])\/conf\/(.*)\/([^/]+)$/.exec(key) ?? [];
      const link = place.links[name];
      if (link === undefined) place.sysctls[key] = value;
      else (link.sysctls as Json)[`${family}/${setting}`] = value;
    }
    for (const { dev, ...qdisc } of JSON.parse(parts[7] || "[]") as Json[])
      (place.links[String(dev)]?.qdiscs as Json[] | undefined)?.push(qdisc);
    for (const [, name = "", filters = ""] of (parts[8] ?? "").matchAll(/^(\S+) (.*)$/gm))
      Object.assign(place.links[name] ?? {}, { filters: JSON.parse(filters) });
    if (isSettled(place) || Date.now() > until) return withoutIdleAddresses(place);
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

/** The node and the named pods; a pod whose namespace is gone is left out. */
export async function observe(cell: Cell, pods: readonly string[]): Promise<NodeState> {
  const places: Record<string, Place> = {};
  for (const pod of pods) places[pod] = await observePlace(cell, pod);
  return { node: await observePlace(cell, undefined), pods: places };
}

export interface FileState {
  readonly mode: string;
  readonly content?: string;
}

const keptFolders = ["/var/lib/cni", "/run"];
/** What the cell itself brings. */
const ownFolders = /^\/run\/(netns|net\.d|bin)(\/|$)/;

/** Every file and folder under /var/lib/cni and /run: modes, and contents. */
export function observeFiles(cell: Cell): Record<string, FileState> {
  const found: Record<string, FileState> = {};
  const walk = (path: string) => {
    for (const name of readdirSync(cell.path(path)).sort()) {
      const inside = join(path, name);
      if (ownFolders.test(inside)) continue;
      const state = lstatSync(cell.path(inside));
      const mode = (state.mode & 0o7777).toString(8).padStart(4, "0");
      if (state.isDirectory()) {
        found[`${inside}/`] = { mode };
        walk(inside);
      } else found[inside] = { mode, content: readFileSync(cell.path(inside), "latin1") };
    }
  };
  for (const folder of keptFolders) walk(folder);
  return found;
}
