// What one plugin of a list is given on standard input: its own object with the list's name and version and what the verb
// adds, in libcni's very words. libcni sends everything through a map, so keys are in alphabetical order.
import { sortedJson, type PlainJson } from "../lib/cni/json.ts";
import type { ListedPlugin, NetworkList, Plain } from "./list.ts";

/** What a verb adds. */
export interface Added {
  /** The result of the plugins before; on CHECK and DEL the final one. */
  readonly prevResult?: PlainJson | undefined;
  /** The arguments for capabilities; a plugin gets those it says it takes. */
  readonly capabilityArgs?: Plain;
  readonly members?: Plain;
}

/** libcni puts a result in as its own encoder writes it, and sorts it only on a second pass, which runtimeConfig takes. */
function inMapOrder(members: Plain): string {
  const written = (key: string, value: PlainJson) => (key === "prevResult" ? JSON.stringify(value) : sortedJson(value));
  const keys = Object.keys(members).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${written(key, members[key] ?? null)}`).join(",")}}`;
}

/** The configuration of one plugin for one call. */
export function pluginInput(list: NetworkList, plugin: ListedPlugin, added: Added): string {
  const { prevResult, capabilityArgs = {}, members = {} } = added;
  const whole: Plain = {
    ...plugin.members,
    ...members,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(prevResult === undefined ? {} : { prevResult }),
  };
  const runtimeConfig = Object.fromEntries(
    Object.entries(capabilityArgs).filter(([capability]) => plugin.capabilities.includes(capability)),
  );
  return Object.keys(runtimeConfig).length === 0 ? inMapOrder(whole) : sortedJson({ ...whole, runtimeConfig });
}
