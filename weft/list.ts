// Network lists: finding the one that a name means. The rules are libcni's, so that `weft` and cnitool, or a runtime, read
// one directory alike. What each plugin of a list is given is in input.ts.
import { decode, ConfigFault } from "../lib/cni/config.ts";
import { atLeast } from "../lib/cni/gate.ts";
import { JsonError, JsonObject, parseJson, plainJson, sortedJson, type Json, type PlainJson } from "../lib/cni/json.ts";
import { newestVersion } from "../lib/cni/version.ts";
import { isErrno } from "../lib/host/errno.ts";
import type { Host } from "../lib/host/host.ts";

export type Plain = Readonly<Record<string, PlainJson>>;

export interface ListedPlugin {
  readonly type: string;
  /** The capabilities set to true: of the arguments for them it gets those that were given. */
  readonly capabilities: readonly string[];
  /** The plugin's object as written. */
  readonly members: Plain;
}

export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly disableGC: boolean;
  readonly plugins: readonly ListedPlugin[];
  /** The list as text: what the result cache keeps. */
  readonly text: string;
}

/** A list, a file or an argument that cannot be used; the message is for the person at the terminal. */
export class WeftError extends Error {}

/** The value of a key of a list, or of a file of the cache. Here, unlike inside a plugin's object, case counts. */
export function member(list: JsonObject, key: string): Json | undefined {
  return list.values[list.keys.lastIndexOf(key)];
}

/** The list's version: the highest of `cniVersion` and `cniVersions` that we speak. */
function chooseVersion(list: JsonObject, file: string): string {
  const own = member(list, "cniVersion") ?? "";
  const others = member(list, "cniVersions");
  if (typeof own !== "string") throw new WeftError(`${file}: "cniVersion" must be a string`);
  if (others === undefined) return own;
  if (!Array.isArray(others) || !others.every((each) => typeof each === "string"))
    throw new WeftError(`${file}: "cniVersions" must be a list of strings`);
  const usable = [...(others as string[]), own].filter((version) => version !== "" && atLeast(newestVersion, version));
  return usable.reduce((best, version) => (best === "" || atLeast(version, best) ? version : best), "") || own;
}

function booleanOf(list: JsonObject, key: string, file: string): boolean {
  const value = member(list, key);
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  const text = typeof value === "string" ? value.toLowerCase() : "";
  if (text === "true" || text === "false") return text === "true";
  throw new WeftError(`${file}: "${key}" must be true or false`);
}

function parseObject(text: string, file: string): JsonObject {
  try {
    const tree = parseJson(text);
    if (tree instanceof JsonObject) return tree;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new WeftError(`${file}: not JSON: ${error.message}`);
  }
  throw new WeftError(`${file}: must be a JSON object`);
}

const pluginSchema = {
  type: "object",
  properties: {
    type: { type: "string", default: "" },
    name: { type: "string", default: "" },
    cniVersion: { type: "string", default: "" },
    capabilities: { type: "object", default: {} },
  },
} as const;

/** A plugin's object: what is asked of it is decoded as plugins decode, the rest goes to it as it is. */
function pluginOf(tree: Json, file: string): ListedPlugin & { readonly name: string; readonly cniVersion: string } {
  if (!(tree instanceof JsonObject)) throw new WeftError(`${file}: a plugin must be a JSON object`);
  try {
    const { type, name, cniVersion, capabilities } = decode(pluginSchema, tree);
    if (type === "") throw new WeftError(`${file}: a plugin without "type"`);
    const named = Object.entries(capabilities);
    const odd = named.find(([, value]) => typeof value !== "boolean");
    if (odd !== undefined) throw new WeftError(`${file}: "capabilities.${odd[0]}" of "${type}" must be true or false`);
    return {
      type,
      name,
      cniVersion,
      capabilities: named.filter(([, value]) => value === true).map(([capability]) => capability),
      members: plainJson(tree) as Plain,
    };
  } catch (error) {
    if (!(error instanceof ConfigFault)) throw error;
    throw new WeftError(`${file}: ${error.message}`);
  }
}

function filesIn(host: Host, directory: string, ...endings: string[]): string[] {
  try {
    return host.files
      .list(directory)
      .filter((name) => endings.some((ending) => name.endsWith(ending)))
      .sort()
      .map((name) => `${directory}/${name}`)
      .filter((path) => host.files.stat(path)?.kind !== "directory");
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function inlinedPlugins(list: JsonObject, file: string): ListedPlugin[] {
  const plugins = member(list, "plugins");
  if (plugins === undefined) return [];
  if (!Array.isArray(plugins) || plugins.length === 0)
    throw new WeftError(`${file}: "plugins" must be a list of at least one`);
  return plugins.map((plugin: Json) => pluginOf(plugin, file));
}

function parseList(text: string, file: string): NetworkList & { readonly inlinedOnly: boolean } {
  const list = parseObject(text, file);
  const name = member(list, "name");
  if (typeof name !== "string") throw new WeftError(`${file}: "name" must be a string`);
  const inlinedOnly = booleanOf(list, "loadOnlyInlinedPlugins", file);
  const plugins = inlinedPlugins(list, file);
  if (inlinedOnly && plugins.length === 0)
    throw new WeftError(`${file}: "loadOnlyInlinedPlugins" is true, and there is no "plugins"`);
  return {
    name,
    cniVersion: chooseVersion(list, file),
    disableCheck: booleanOf(list, "disableCheck", file),
    disableGC: booleanOf(list, "disableGC", file),
    plugins,
    text,
    inlinedOnly,
  };
}

/** A list with the plugins that stand in files of their own, in the folder of the network's name beside it. */
function readList(host: Host, file: string): NetworkList {
  const { inlinedOnly, ...list } = parseList(host.files.read(file), file);
  const beside = inlinedOnly ? [] : filesIn(host, `${file.slice(0, file.lastIndexOf("/"))}/${list.name}`, ".conf");
  const plugins = [...list.plugins, ...beside.map((each) => pluginOf(parseObject(host.files.read(each), each), each))];
  if (plugins.length === 0) throw new WeftError(`${file}: no plugins`);
  return { ...list, plugins };
}

/** A single-plugin file of before CNI 1.0, as a list of one. */
function readSingle(host: Host, file: string): NetworkList {
  const { name, cniVersion, members } = pluginOf(parseObject(host.files.read(file), file), file);
  return parseList(sortedJson({ cniVersion, name, plugins: [members] }), file);
}

/** Finds the network `name` in `directory`: `*.conflist` in order of name, then `*.conf` and `*.json`. */
export function findNetwork(host: Host, directory: string, name: string): NetworkList {
  const lists = filesIn(host, directory, ".conflist");
  for (const file of lists) {
    const list = readList(host, file);
    if (list.name === name) return list;
  }
  const singles = filesIn(host, directory, ".conf", ".json");
  if (lists.length + singles.length === 0)
    throw new WeftError(
      `no net configurations found in ${directory}; set NETCONFPATH to the directory of your *.conflist`,
    );
  for (const file of singles) {
    const list = readSingle(host, file);
    if (list.name === name) return list;
  }
  throw new WeftError(`no net configuration with name "${name}" in ${directory}`);
}
