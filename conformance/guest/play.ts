// What a guest reported, in the form that two runs are compared in.
import { nameLinks, Names } from "../normalise.ts";
import type { NodeState, Place } from "../observe.ts";
import { outcomeOf, type Play, type Played } from "../scenario.ts";
import type { GuestScenario, GuestState, GuestStep } from "./guest.ts";

type Json = Record<string, unknown>;

/** The VLANs of a port as `bridge vlan show` lists them, one text each: "100 PVID Egress Untagged", "200-203". */
function vlansOf(seen: GuestState, name: string): string[] {
  const port = seen.vlans.find(({ ifname }) => ifname === name);
  return ((port?.vlans ?? []) as Json[]).map(({ vlan, vlanEnd, flags }) =>
    [vlanEnd === undefined ? vlan : `${String(vlan)}-${String(vlanEnd)}`, ...((flags ?? []) as string[])].join(" "),
  );
}

/** What a configuration decides about a link; what the kernel brings by and by is left out. */
function linkOf(link: Json, vlans: string[]): Json {
  const info = (link.linkinfo ?? {}) as Record<string, Json | undefined>;
  const addrs = ((link.addr_info ?? []) as Json[]).filter(({ local }) => !String(local).startsWith("fe80:"));
  return {
    ...Object.fromEntries(
      ["ifname", "ifindex", "link_index", "link_netnsid", "address", "mtu", "master"].map((key) => [key, link[key]]),
    ),
    up: ((link.flags ?? []) as string[]).includes("UP"),
    kind: info.info_kind,
    linkinfo: { info_kind: info.info_kind },
    filtering: info.info_data?.vlan_filtering,
    defaultVlan: info.info_data?.vlan_default_pvid,
    hairpin: info.info_slave_data?.hairpin,
    isolated: info.info_slave_data?.isolated,
    addrs: addrs.map(({ local, prefixlen }) => `${String(local)}/${String(prefixlen)}`),
    vlans,
  };
}

function placeOf(links: readonly Json[], seen?: GuestState): Place {
  const named = links.map((link): [string, Json] => {
    const name = String(link.ifname);
    return [name, linkOf(link, seen === undefined ? [] : vlansOf(seen, name))];
  });
  return { links: Object.fromEntries(named), routes: { v4: [], v6: [] }, sysctls: {} };
}

/** The pods as far as the result tells: their links have MACs that were drawn. */
function podsOf(stdout: string): Record<string, Place> {
  const inside = interfacesOf(stdout).filter(({ sandbox }) => sandbox !== undefined);
  return Object.fromEntries(
    inside.map(({ name, mac, sandbox }) => [String(sandbox), placeOf([{ ifname: name, address: mac }])]),
  );
}

function interfacesOf(stdout: string): Json[] {
  return stdout === "" ? [] : (((JSON.parse(stdout) as Json).interfaces ?? []) as Json[]);
}

/** The steps in the form the comparison takes, drawn values named. */
export function playOf({ steps: asked }: GuestScenario, steps: readonly GuestStep[]): Play {
  const names = new Names(JSON.stringify(asked));
  const played = steps.map((step, at): Played => {
    const from = asked[at];
    if (from === undefined) throw new Error("the guest took a step nobody asked for");
    const state: NodeState | undefined =
      step.seen === undefined ? undefined : { node: placeOf(step.seen.node, step.seen), pods: {} };
    if (state !== undefined) {
      nameLinks(state);
      names.learn({ ...state, pods: podsOf(step.stdout) });
    }
    return {
      did: "shell" in from ? "a deed" : `${from.verb} bridge`,
      ...("shell" in from ? { exit: step.exit } : outcomeOf(step, from.says)),
      files: Object.fromEntries((step.seen?.store ?? []).map((path) => [path, { mode: "" }])),
      ...(state === undefined ? {} : { state }),
    };
  });
  return JSON.parse(JSON.stringify(names.value({ steps: played })).replaceAll(/\/opt\/(ours|go)/g, "/opt/bin")) as Play;
}
