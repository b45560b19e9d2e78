// One call of one plugin, from the request as received to the plugin's handler: the checks every plugin shares, in the
// order of the Go library. The process's own call (dispatch.ts) and a delegate that runs in this process (delegate.ts)
// both come through here, so a delegate cannot tell how it was reached.
import { isErrno } from "../host/errno.ts";
import type { FileStat, Host } from "../host/host.ts";
import { ConfigFault, decode, memberOf, parseConfig, prepareSchema, type ConfigSource } from "./config.ts";
import { CniError } from "./error.ts";
import { JsonError, JsonObject } from "./json.ts";
import {
  verbs,
  type AnyPlugin,
  type AttachmentRequest,
  type Behalf,
  type CallEnv,
  type GcRequest,
  type ReadCall,
  type Suite,
  type Verb,
} from "./plugin.ts";
import { parseResult, type Result } from "./result.ts";
import { validAttachments, validAttachmentsKeys } from "./valid-attachments.ts";
import { checkContainerId, checkIfName } from "./validators.ts";
import { gate } from "./gate.ts";

export interface Call {
  readonly name: string;
  readonly env: CallEnv;
  readonly suite: Suite;
  readonly behalf?: Behalf | undefined;
  /** Whether the request's netns is our own, where that is known: a delegate's request has its caller's. */
  readonly ownNetns?: boolean;
}

export function callEnv(host: Host): CallEnv {
  const get = (name: string) => host.env(name) ?? "";
  return {
    command: get("CNI_COMMAND"),
    containerId: get("CNI_CONTAINERID"),
    netns: get("CNI_NETNS"),
    ifName: get("CNI_IFNAME"),
    args: get("CNI_ARGS"),
    path: get("CNI_PATH"),
  };
}

/** What each verb cannot do without. An unknown verb is refused later, by name. */
const needsAttachment: ReadonlySet<string> = new Set(["ADD", "CHECK", "DEL"]);
const needsNetns: ReadonlySet<string> = new Set(["ADD", "CHECK"]);
const needsPath: ReadonlySet<string> = new Set(verbs);

/** Checks the variables in the library's order: a bad value is reported before a missing one. */
export function checkEnv({ command, containerId, netns, ifName, path }: CallEnv): void {
  const missing: string[] = [];
  if (needsAttachment.has(command)) {
    if (containerId === "") missing.push("CNI_CONTAINERID");
    else checkContainerId(containerId);
    if (netns === "" && needsNetns.has(command)) missing.push("CNI_NETNS");
    if (ifName === "") missing.push("CNI_IFNAME");
    else checkIfName(ifName);
  }
  if (path === "" && needsPath.has(command)) missing.push("CNI_PATH");
  if (missing.length === 0) return;
  throw new CniError("invalidEnvironment", `required env variables [${missing.join(",")}] missing`, {
    hint: "a runtime sets these; by hand use cnitool or weft",
  });
}

const nameSchema = prepareSchema({
  type: "object",
  properties: { name: { type: "string" }, cniVersion: { type: "string" } },
} as const);

/** Reads the configuration as far as every plugin must: its text, or what has been parsed already. Throws a CniError (6, 7). */
export function readCall(config: string | ConfigSource): ReadCall {
  try {
    const source = typeof config === "string" ? parseConfig(config) : config;
    const { name = "", cniVersion = "" } = decode(nameSchema, source.tree);
    return { source, network: name, configVersion: cniVersion };
  } catch (cause) {
    if (!(cause instanceof JsonError || cause instanceof ConfigFault)) throw cause;
    throw new CniError("undecodableConfig", `error unmarshall network config: ${cause.message}`, {
      cause,
      hint: "the configuration on standard input is not what JSON or the CNI specification allow at this place",
    });
  }
}

/** Whether the request's netns is our own; false where it cannot be opened, which is for the plugin to judge. */
function isOwnNetns(env: CallEnv, host: Host): boolean {
  const override = (host.env("CNI_NETNS_OVERRIDE") ?? "").toLowerCase();
  if (env.netns === "" || override === "1" || override === "true") return false;
  let asked: FileStat | undefined;
  try {
    // A namespace is known by its inode: it need not be opened for that.
    asked = host.files.stat(env.netns);
  } catch (error) {
    if (!isErrno(error, "EACCES", "ELOOP", "EINVAL")) throw error;
  }
  if (asked === undefined) return false;
  const own = host.ownNetns();
  return asked.dev === own.dev && asked.ino === own.ino;
}

function sameNetns(netns: string): CniError {
  return new CniError("sameNetns", "plugin's netns and netns from CNI_NETNS should not be the same", {
    details: `CNI_NETNS is ${netns}`,
    hint: "the container's process has probably ended and its number was taken by one of the node's own",
  });
}

function prevResultOf(source: ConfigSource, version: ReturnType<typeof gate>): Result | undefined {
  const tree = memberOf(source.tree, "prevResult");
  if (tree === undefined) return undefined;
  try {
    if (tree instanceof JsonObject) return parseResult(tree, version);
    throw new ConfigFault("it is no object");
  } catch (cause) {
    if (!(cause instanceof ConfigFault)) throw cause;
    throw new CniError("undecodableConfig", `could not parse prevResult: ${cause.message}`, {
      cause,
      hint: "the runtime passes what the plugins before this one printed; did their cniVersion change since?",
    });
  }
}

/**
 * Runs one verb of one plugin; ADD has a result. Everything that is refused is refused before the plugin changes
 * anything. Throws a CniError, or whatever the plugin threw.
 */
export function callPlugin(plugin: AnyPlugin, call: Call, read: ReadCall, host: Host): Result | undefined {
  const { env, suite, behalf } = call;
  const verb = env.command as Verb;
  const { source, network, configVersion } = read;
  const version = gate(verb, configVersion, plugin.versions);
  const valid = verb === "GC" ? validAttachments(source.tree) : [];
  if (valid === undefined) {
    host.log(
      `${plugin.name}: GC without "${validAttachmentsKeys[0]}" says nothing of who is valid: nothing is removed`,
    );
    return undefined;
  }
  const own = needsAttachment.has(verb) && (call.ownNetns ?? isOwnNetns(env, host));
  if (own && verb !== "DEL") throw sameNetns(env.netns);
  // One for all verbs: each handler's type says what of it the verb has.
  const request: AttachmentRequest<unknown> & GcRequest<unknown> = {
    network,
    configVersion,
    cniVersion: version,
    source,
    env,
    suite,
    behalf,
    ownNetns: own,
    conf: plugin.conf(source, verb, env.args, host),
    valid,
    attachment: { containerId: env.containerId, ifName: env.ifName },
    netns: own ? "" : env.netns,
    prevResult: () => prevResultOf(source, version),
  };
  if (verb === "ADD") return plugin.add(request, host);
  if (verb === "DEL") {
    plugin.del(request, host);
    // What the node holds for this attachment is gone; the netns is the node's own and was left alone. A delegate leaves it
    // to its caller to say so, who may have more to take back.
    if (own && call.ownNetns === undefined) throw sameNetns(env.netns);
  } else if (verb === "CHECK") plugin.check(request, host);
  else if (verb === "STATUS") plugin.status(request, host);
  else plugin.gc(request, host);
  return undefined;
}
