// Network lists: finding the one that a name means, and what each plugin of it is given. The rules are libcni's, so that
// `weft` and cnitool, or a runtime, read one directory alike.
import type { Host } from "../lib/host/host.ts";
import { isErrno } from "../lib/host/errno.ts";

export type JsonObject = { [key: string]: unknown };

export interface NetworkList {
  readonly name: string;
  readonly cniVersion: string;
  readonly disableCheck: boolean;
  readonly plugins: readonly JsonObject[];
  /** The list as text: what the result cache keeps. */
  readonly text: string;
}

/** A list, a file or an argument that cannot be used; the message is for the person at the terminal. */
export class WeftError extends Error {}

const newest = [1, 1, 0];

function versionParts(version: string): number[] {
  return version.split(".").map(Number);
}

/** Orders versions by their numbers; missing parts are 0. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [versionParts(a), versionParts(b)];
  for (let part = 0; part < 3; part++) {
    const difference = (left[part] ?? 0) - (right[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** The list's version: the highest of `cniVersion` and `cniVersions` that we speak. */
function chooseVersion(list: JsonObject, file: string): string {
  const { cniVersion = "", cniVersions } = list;
  if (typeof cniVersion !== "string") throw new WeftError(`${file}: "cniVersion" must be a string`);
  if (cniVersions === undefined) return cniVersion;
  if (!Array.isArray(cniVersions) || !cniVersions.every((each) => typeof each === "string"))
    throw new WeftError(`${file}: "cniVersions" must be a list of strings`);
  const usable = [...(cniVersions as string[]), ...(cniVersion === "" ? [] : [cniVersion])]
    .filter((version) => compareVersions(version, newest.join(".")) <= 0)
    .sort(compareVersions);
  return usable.at(-1) ?? cniVersion;
}

function booleanOf(list: JsonObject, key: string, file: string): boolean {
  const value = list[key];
  if (value === undefined) return false;
  const text = String(value).toLowerCase();
  if ((typeof value === "boolean" || typeof value === "string") && (text === "true" || text === "false"))
    return text === "true";
  throw new WeftError(`${file}: "${key}" must be true or false, got ${JSON.stringify(value)}`);
}

function parseObject(text: string, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WeftError(`${file}: not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new WeftError(`${file}: must be a JSON object`);
  return value as JsonObject;
}

function pluginOf(value: unknown, file: string): JsonObject {
  const plugin = value as JsonObject | null;
  if (typeof plugin !== "object" || plugin === null || typeof plugin.type !== "string" || plugin.type === "")
    throw new WeftError(`${file}: a plugin without "type"`);
  return plugin;
}

function filesIn(host: Host, directory: string, ...endings: string[]): string[] {
  try {
    const names = host.files.list(directory).filter((name) => endings.some((ending) => name.endsWith(ending)));
    return names.sort().map((name) => `${directory}/${name}`);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
}

function readList(host: Host, file: string): NetworkList {
  const text = host.files.read(file);
  const list = parseObject(text, file);
  const { name, plugins } = list;
  if (typeof name !== "string") throw new WeftError(`${file}: "name" must be a string`);
  if (plugins !== undefined && (!Array.isArray(plugins) || plugins.length === 0))
    throw new WeftError(`${file}: "plugins" must be a list of at least one`);
  const inlineOnly = booleanOf(list, "loadOnlyInlinedPlugins", file);
  if (inlineOnly && plugins === undefined)
    throw new WeftError(`${file}: "loadOnlyInlinedPlugins" is true, and there is no "plugins"`);
  const directory = `${file.slice(0, file.lastIndexOf("/"))}/${name}`;
  const beside = inlineOnly ? [] : filesIn(host, directory, ".conf");
  const all = [
    ...(plugins ?? []).map((plugin) => pluginOf(plugin, file)),
    ...beside.map((each) => pluginOf(parseObject(host.files.read(each), each), each)),
  ];
  if (all.length === 0) throw new WeftError(`${file}: no plugins`);
  return {
    name,
    cniVersion: chooseVersion(list, file),
    disableCheck: booleanOf(list, "disableCheck", file),
    plugins: all,
    text,
  };
}

/** A single-plugin file of before CNI 1.0, as a list of one. */
function readSingle(host: Host, file: string): NetworkList {
  const plugin = pluginOf(parseObject(host.files.read(file), file), file);
  const { name = "", cniVersion = "" } = plugin;
  if (typeof name !== "string" || typeof cniVersion !== "string")
    throw new WeftError(`${file}: "name" and "cniVersion" must be strings`);
  return {
    name,
    cniVersion,
    disableCheck: false,
    plugins: [plugin],
    text: JSON.stringify({ cniVersion, name, plugins: [plugin] }),
  };
}

/** Finds the network `name` in `directory`: `*.conflist` in order of name, then `*.conf` and `*.json`. */
export function findNetwork(host: Host, directory: string, name: string): NetworkList {
  const lists = filesIn(host, directory, ".conflist");
  const singles = filesIn(host, directory, ".conf", ".json");
  if (lists.length + singles.length === 0)
    throw new WeftError(
      `no net configurations found in ${directory}; set NETCONFPATH to the directory of your *.conflist`,
    );
  for (const file of lists) {
    const list = readList(host, file);
    if (list.name === name) return list;
  }
  for (const file of singles) {
    const list = readSingle(host, file);
    if (list.name === name) return list;
  }
  throw new WeftError(`no net configuration with name "${name}" in ${directory}`);
}

/** What one plugin of a list is given on standard input: its own object with the list's name and version, and more. */
export function pluginConfig(
  list: NetworkList,
  plugin: JsonObject,
  prevResult: unknown,
  capabilityArgs: JsonObject,
): string {
  const capabilities = (plugin.capabilities ?? {}) as JsonObject;
  const runtimeConfig = Object.fromEntries(
    Object.entries(capabilityArgs).filter(([capability]) => capabilities[capability] === true),
  );
  return JSON.stringify({
    ...plugin,
    name: list.name,
    cniVersion: list.cniVersion,
    ...(prevResult === undefined ? {} : { prevResult }),
    ...(Object.keys(runtimeConfig).length === 0 ? {} : { runtimeConfig }),
  });
}
