// What a node is like: its links, addresses, routes, ports and sysctls as iproute2 and /proc tell them, and the files the
// plugins keep. Nothing here is our own decoder's word.
import { lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Cell } from "./cell.ts";

type Json = Record<string, unknown>;

/** One network namespace. Links, addresses and ports are kept by link name. */
export interface Place {
  readonly links: Record<string, Json>;
  readonly addrs: Record<string, readonly Json[]>;
  readonly ports: Record<string, Json>;
  readonly routes: { readonly v4: readonly Json[]; readonly v6: readonly Json[] };
  readonly sysctls: Record<string, string>;
}

export interface NodeState {
  readonly node: Place;
  readonly pods: Record<string, Place>;
}

const settleMs = 2000;
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
].join("; echo @@; ");

const byName = (list: Json[]) => Object.fromEntries(list.map((each) => [String(each["ifname"]), each]));
const flags = (link: Json) => (link["flags"] ?? []) as string[];

/** The kernel brings carriers and link-local addresses up by and by; a state still on its way there is not compared. */
function isSettled({ links, addrs, sysctls }: Place): boolean {
  return Object.entries(links).every(([name, link]) => {
    if (name === "lo") return true;
    const up = flags(link).includes("UP") && flags(link).includes("LOWER_UP");
    const port = Object.values(links).some((other) => other["master"] === name && other["operstate"] === "UP");
    if (link["linkinfo"] !== undefined && (link["linkinfo"] as Json)["info_kind"] === "bridge")
      if (port !== (link["operstate"] === "UP")) return false;
    if (!up) return true;
    if (link["operstate"] !== "UP") return false;
    const enabled = sysctls[`ipv6/conf/${name}/disable_ipv6`] === "0" && Number(link["mtu"]) >= 1280;
    return !enabled || (addrs[name] ?? []).some((addr) => String(addr["local"]).startsWith("fe80:"));
  });
}

/** Each link's fe80::/64 stands where the link's carrier came up; they are put in the order of the links. */
function inLinkOrder(routes: Json[], links: Record<string, Json>): Json[] {
  const index = (route: Json) => Number(links[String(route["dev"])]?.["ifindex"]);
  const ofLinks = routes.filter((route) => route["dst"] === "fe80::/64").sort((a, b) => index(a) - index(b));
  return [...routes.filter((route) => !ofLinks.includes(route)), ...ofLinks];
}

async function observePlace(cell: Cell, netns: string | undefined): Promise<Place> {
  const until = Date.now() + settleMs;
  for (;;) {
    const parts = (await cell.shell(look, netns)).split("@@\n");
    const [links, addrs, ports, v4, v6] = parts.slice(0, 5).map((text) => JSON.parse(text || "[]") as Json[]);
    if (links === undefined || addrs === undefined || ports === undefined || v4 === undefined || v6 === undefined)
      throw new Error("iproute2 said nothing");
    const place: Place = {
      links: byName(links),
      addrs: Object.fromEntries(addrs.map((each) => [String(each["ifname"]), each["addr_info"] as Json[]])),
      ports: byName(ports),
      routes: { v4, v6: inLinkOrder(v6, byName(links)) },
      sysctls: Object.fromEntries(
        (parts[6] ?? "").split("\n").flatMap((line) => {
          const at = line.indexOf(":");
          return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1)] as const];
        }),
      ),
    };
    for (const line of (parts[5] ?? "").trim().split("\n")) {
      const [name = "", assigned] = line.split("/addr_assign_type:");
      const link = place.links[name];
      if (link !== undefined) link["addr_assign_type"] = assigned;
    }
    if (isSettled(place) || Date.now() > until) return place;
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
