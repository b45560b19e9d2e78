// The plugins of a list, one after the other, each a process of its own, as a runtime runs them.
import { findPlugin, runExecutable } from "../lib/cni/delegate.ts";
import { CniError } from "../lib/cni/error.ts";
import { atLeast, gate } from "../lib/cni/gate.ts";
import { JsonObject, parseJson, type PlainJson } from "../lib/cni/json.ts";
import type { Verb } from "../lib/cni/plugin.ts";
import { validAttachmentsKeys } from "../lib/cni/valid-attachments.ts";
import { checkContainerId, checkIfName, checkNetworkName } from "../lib/cni/validators.ts";
import { specVersions, type SpecVersion } from "../lib/cni/version.ts";
import type { Host } from "../lib/host/host.ts";
import { cachedAttachments, cachedResult, forgetResult, keepResult, readResult, type Attachment } from "./cache.ts";
import { pluginInput, type Added } from "./input.ts";
import { WeftError, type ListedPlugin, type NetworkList } from "./list.ts";

/** What STATUS and GC are about is the network: no attachment. */
const none: Attachment = { containerId: "", ifName: "", netns: "", args: [], capabilityArgs: {} };

const verbNames: Readonly<Record<Verb, string>> = {
  ADD: "add",
  CHECK: "check",
  DEL: "delete",
  STATUS: "status",
  GC: "gc",
};

/** The message of an error and what the plugin added to it. */
export function wholeText(error: unknown): string {
  const { message } = error as Error;
  return error instanceof CniError && error.details !== "" ? `${message}; ${error.details}` : message;
}

function run(
  verb: Verb,
  list: NetworkList,
  plugin: ListedPlugin,
  attachment: Attachment,
  added: Added,
  host: Host,
): string {
  const path = host.env("CNI_PATH") ?? "";
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: attachment.containerId,
    CNI_NETNS: attachment.netns,
    CNI_IFNAME: attachment.ifName,
    CNI_ARGS: attachment.args.map(([key, value]) => `${key}=${value}`).join(";"),
    CNI_PATH: path,
  };
  const input = pluginInput(list, plugin, { ...added, capabilityArgs: attachment.capabilityArgs });
  try {
    return runExecutable(findPlugin(plugin.type, path, host).file, env, input, host);
  } catch (cause) {
    if (!(cause instanceof CniError)) throw cause;
    throw new WeftError(`plugin type=${JSON.stringify(plugin.type)} failed (${verbNames[verb]}): ${wholeText(cause)}`);
  }
}

/** What a plugin printed, as the next one and the cache get it. */
function resultOf(stdout: string, list: NetworkList, { type }: ListedPlugin): PlainJson {
  try {
    const tree = parseJson(stdout);
    if (tree instanceof JsonObject) return readResult(tree, list.cniVersion);
    throw new WeftError("it is no object");
  } catch (cause) {
    throw new WeftError(`plugin type=${JSON.stringify(type)}: its result cannot be read: ${(cause as Error).message}`);
  }
}

/** ADD of every plugin in order; the result of the last is kept and returned. */
export function addList(list: NetworkList, attachment: Attachment, host: Host): PlainJson | undefined {
  checkContainerId(attachment.containerId);
  checkNetworkName(list.name);
  checkIfName(attachment.ifName);
  let result: PlainJson | undefined;
  for (const plugin of list.plugins)
    result = resultOf(run("ADD", list, plugin, attachment, { prevResult: result }, host), list, plugin);
  if (result !== undefined) keepResult(list, attachment, result, host);
  return result;
}

const versionOf = (list: NetworkList): SpecVersion => gate("ADD", list.cniVersion, specVersions);

/** CHECK of every plugin in order, with the kept result; stops at the first that finds fault. */
export function checkList(list: NetworkList, attachment: Attachment, host: Host): void {
  if (!atLeast(list.cniVersion, "0.4.0"))
    throw new WeftError(
      `configuration version "${list.cniVersion}" does not support the CHECK command; raise "cniVersion" to 0.4.0 or later`,
    );
  if (list.disableCheck) return;
  const prevResult = cachedResult(list, attachment, versionOf(list), host);
  for (const plugin of list.plugins) run("CHECK", list, plugin, attachment, { prevResult }, host);
}

/** DEL of every plugin, last first; stops at the first that fails, and then keeps the result for the next try. */
export function delList(list: NetworkList, attachment: Attachment, host: Host): void {
  let prevResult: PlainJson | undefined;
  if (atLeast(list.cniVersion, "0.4.0")) {
    try {
      prevResult = cachedResult(list, attachment, versionOf(list), host);
    } catch (error) {
      host.log(`weft: going on without the kept result: ${(error as Error).message}`);
    }
  }
  for (const plugin of list.plugins.toReversed()) run("DEL", list, plugin, attachment, { prevResult }, host);
  forgetResult(list, attachment, host);
}

/** STATUS of every plugin in order; stops at the first that could not serve an ADD now. */
export function statusOfList(list: NetworkList, host: Host): void {
  if (!atLeast(list.cniVersion, "1.1.0")) {
    host.log(`weft: nobody was asked: STATUS came with 1.1.0, "cniVersion" of "${list.name}" is "${list.cniVersion}"`);
    return;
  }
  for (const plugin of list.plugins) run("STATUS", list, plugin, none, {}, host);
}

/**
 * Takes everything back that the network has on this node: DEL of every attachment in the cache, then GC of every
 * plugin, told that no attachment is valid. Goes on after an error, and says all of them at the end.
 */
export function gcList(list: NetworkList, host: Host): void {
  if (list.disableGC) return;
  const faults: string[] = [];
  const attempt = (what: string, step: () => void) => {
    try {
      step();
    } catch (error) {
      faults.push(`${what}${wholeText(error)}`);
    }
  };
  for (const attachment of cachedAttachments(list, host))
    attempt(`failed to delete stale attachment ${attachment.containerId} ${attachment.ifName}: `, () =>
      delList(list, attachment, host),
    );
  if (atLeast(list.cniVersion, "1.1.0")) {
    const members = Object.fromEntries(validAttachmentsKeys.map((key) => [key, []]));
    for (const plugin of list.plugins) attempt("", () => run("GC", list, plugin, none, { members }, host));
  }
  if (faults.length > 0) throw new WeftError(faults.join("\n"));
}
