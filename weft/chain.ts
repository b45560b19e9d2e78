// The plugins of a list, one after the other, each a process of its own, as a runtime runs them.
import { findPlugin, resultOf, runExecutable } from "../lib/cni/delegate.ts";
import { CniError } from "../lib/cni/error.ts";
import { encodeResult, type Result } from "../lib/cni/result.ts";
import { checkContainerId, checkIfName, checkNetworkName } from "../lib/cni/validators.ts";
import { atLeast, gate } from "../lib/cni/gate.ts";
import { specVersions, type SpecVersion } from "../lib/cni/version.ts";
import type { Host } from "../lib/host/host.ts";
import { cachedResult, forgetResult, keepResult, type Attachment } from "./cache.ts";
import { pluginConfig, WeftError, type JsonObject, type NetworkList } from "./list.ts";

type Verb = "ADD" | "CHECK" | "DEL";

const versionOf = (list: NetworkList): SpecVersion => gate("ADD", list.cniVersion, specVersions);

function run(
  verb: Verb,
  list: NetworkList,
  plugin: JsonObject,
  attachment: Attachment,
  prevResult: unknown,
  host: Host,
): string {
  const type = String(plugin.type);
  const path = host.env("CNI_PATH") ?? "";
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.netns,
    CNI_IFNAME: attachment.ifName,
    CNI_ARGS: attachment.args.map(([key, value]) => `${key}=${value}`).join(";"),
    CNI_PATH: path,
  };
  try {
    return runExecutable(
      findPlugin(type, path, host),
      env,
      pluginConfig(list, plugin, prevResult, attachment.capabilityArgs),
      host,
    );
  } catch (cause) {
    if (!(cause instanceof CniError)) throw cause;
    const details = cause.details === "" ? "" : ` (${cause.details})`;
    throw new WeftError(
      `plugin type=${JSON.stringify(type)} failed (${verb === "DEL" ? "delete" : verb.toLowerCase()}): ${cause.message}${details}`,
    );
  }
}

/** ADD of every plugin in order; the result of the last is kept and returned in the list's version. */
export function addList(list: NetworkList, attachment: Attachment, host: Host): unknown {
  const version = versionOf(list);
  checkContainerId(attachment.containerId);
  checkNetworkName(list.name);
  checkIfName(attachment.ifName);
  let result: Result | undefined;
  for (const plugin of list.plugins) {
    const prevResult = result === undefined ? undefined : encodeResult(result, version);
    result = resultOf(run("ADD", list, plugin, attachment, prevResult, host), version);
  }
  if (result === undefined) throw new WeftError(`network "${list.name}" has no plugins`);
  keepResult(list, attachment, result, version, host);
  return encodeResult(result, version);
}

/** CHECK of every plugin in order, with the kept result; stops at the first that finds fault. */
export function checkList(list: NetworkList, attachment: Attachment, host: Host): void {
  if (!atLeast(list.cniVersion, "0.4.0"))
    throw new WeftError(
      `configuration version "${list.cniVersion}" does not support CHECK command; raise "cniVersion" to 0.4.0 or later`,
    );
  if (list.disableCheck) return;
  const prevResult = cachedResult(list, attachment, versionOf(list), host);
  for (const plugin of list.plugins) run("CHECK", list, plugin, attachment, prevResult, host);
}

/** DEL of every plugin, last first; stops at the first that fails, and then keeps the result for the next try. */
export function delList(list: NetworkList, attachment: Attachment, host: Host): void {
  let prevResult: unknown;
  if (atLeast(list.cniVersion, "0.4.0")) {
    try {
      prevResult = cachedResult(list, attachment, versionOf(list), host);
    } catch (error) {
      host.log(`weft: going on without the kept result: ${(error as Error).message}`);
    }
  }
  for (const plugin of list.plugins.toReversed()) run("DEL", list, plugin, attachment, prevResult, host);
  forgetResult(list, attachment, host);
}
