// Calling another plugin, as the specification's "Plugin Delegation" says: found by its type in CNI_PATH, given our
// environment and a configuration, its result ours. Where the file found is this very executable the call stays in this
// process, which saves a process and its start; what the delegate sees and answers is the same either way.
import type { FileStat, Host } from "../host/host.ts";
import { buildId } from "./build.ts";
import { callPlugin, checkEnv, readCall } from "./call.ts";
import { ConfigFault, decode, prepareSchema, type ConfigSource } from "./config.ts";
import { CniError } from "./error.ts";
import { gate } from "./gate.ts";
import { JsonError, JsonObject, parseJson } from "./json.ts";
import type { Behalf, ReadCall, Request, Verb } from "./plugin.ts";
import { resultText } from "./result-text.ts";
import { parseResult, writtenVersion, type Result } from "./result.ts";
import { checkNetworkName } from "./validators.ts";
import { familyOf, type SpecVersion } from "./version.ts";

/** A runtime gives a plugin two minutes; a delegate that takes nearly all of them is stuck. */
const deadlineMs = 110_000;

/** What every executable of a build ends with. */
export const buildMark = `\nweft-build:${buildId}\n`;

/** A plugin that is there. */
export interface FoundPlugin {
  readonly type: string;
  readonly file: string;
  readonly stat: FileStat;
}

/** Finds a plugin's file as the library does: the first directory of CNI_PATH that has a regular file of that name. */
export function findPlugin(type: string, path: string, host: Host): FoundPlugin {
  if (type === "")
    throw new CniError("invalidConfig", "no plugin name provided", {
      hint: 'set "type" in this part of the configuration',
    });
  if (type.includes("/"))
    throw new CniError("invalidConfig", `invalid plugin name: ${type}`, { hint: '"type" is a file name, not a path' });
  if (path === "")
    throw new CniError("invalidEnvironment", "no paths provided", {
      hint: "set CNI_PATH to the directory of the plugins",
    });
  // An empty element would mean the current directory, which is nobody's choice.
  const directories = path.split(":");
  for (const directory of directories) {
    if (directory === "") continue;
    const file = `${directory}/${type}`;
    const stat = host.files.stat(file);
    if (stat?.kind === "file") return { type, file, stat };
  }
  throw new CniError(
    "invalidConfig",
    `failed to find plugin ${JSON.stringify(type)} in path [${directories.filter(Boolean).join(" ")}]`,
    {
      hint: "install the plugin there, or correct CNI_PATH",
    },
  );
}

/** Whether the file is this executable: the same file, or a copy of it, which an installer that copies each name makes. */
export function isThisExecutable(file: string, host: Host, other = host.files.stat(file)): boolean {
  const own = host.ownExecutable();
  if (own === undefined || other === undefined) return false;
  if (own.dev === other.dev && own.ino === other.ino) return true;
  return (
    own.size === other.size && buildId !== "development" && host.files.readEnd(file, buildMark.length) === buildMark
  );
}

const errorSchema = prepareSchema({
  type: "object",
  properties: {
    code: { type: "integer", default: 0 },
    msg: { type: "string", default: "" },
    details: { type: "string", default: "" },
  },
} as const);

function objectOf(text: string): JsonObject {
  const tree = parseJson(text);
  if (tree instanceof JsonObject) return tree;
  throw new JsonError("it is no object");
}

const callByHand = "the delegate broke down: call it by hand, with the same environment and configuration";

function failureOf(stdout: string, stderr: string, status: string): CniError {
  if (stdout === "") {
    const said =
      stderr === ""
        ? `netplugin failed with no error message: ${status}`
        : `netplugin failed: ${JSON.stringify(stderr)}: ${status}`;
    return new CniError("delegateFailed", said, { hint: callByHand });
  }
  try {
    const { code, msg, details } = decode(errorSchema, objectOf(stdout));
    return new CniError({ code }, msg, { details });
  } catch (cause) {
    return new CniError(
      "delegateFailed",
      `netplugin failed but error parsing its diagnostic message ${JSON.stringify(stdout)}: ${(cause as Error).message}`,
      { cause, hint: callByHand },
    );
  }
}

/** Runs a plugin's executable: its standard output, or its error. `env` is laid over our own environment. */
export function runExecutable(file: string, env: Readonly<Record<string, string>>, text: string, host: Host): string {
  const done = host.exec(file, { env, stdin: text, timeoutMs: deadlineMs });
  if (done.timedOut)
    throw new CniError("tryAgainLater", `${file} did not finish within ${deadlineMs / 1000} s`, {
      hint: "it was ended; find out what it waited for",
    });
  if (done.status === 0) return done.stdout;
  throw failureOf(done.stdout, done.stderr, done.signal === 0 ? `exit status ${done.status}` : `signal ${done.signal}`);
}

/** Reads what a plugin printed, in the version that says, or else in `version`. Throws a CniError (0) when it is no result. */
export function resultOf(stdout: string, version: SpecVersion): Result {
  try {
    const tree = objectOf(stdout);
    return parseResult(tree, writtenVersion(tree, version));
  } catch (cause) {
    if (!(cause instanceof JsonError || cause instanceof ConfigFault)) throw cause;
    throw new CniError("delegateFailed", `the delegate's result cannot be read: ${cause.message}`, {
      cause,
      details: stdout.slice(0, 1000),
      hint: "see that the delegate speaks the configuration's cniVersion",
    });
  }
}

function delegate(
  request: Request<unknown>,
  host: Host,
  verb: Verb,
  which: string | FoundPlugin,
  config: ConfigSource,
  given?: Behalf,
): Result | undefined {
  const { type, file, stat } = typeof which === "string" ? findPlugin(which, request.env.path, host) : which;
  // The delegate of a delegate is called on the same behalf, of which the process's environment knows nothing.
  const behalf = given ?? request.behalf;
  const plugin = request.suite.get(type);
  if (plugin === undefined || !isThisExecutable(file, host, stat)) {
    const other =
      behalf === undefined
        ? {}
        : { CNI_CONTAINERID: behalf.containerId, CNI_IFNAME: behalf.ifName, CNI_NETNS: behalf.netns };
    // DEL alone is called with our own netns. Of another's plugins some would delete the node's link of that name in there.
    const netns = request.ownNetns ? { CNI_NETNS: "" } : {};
    const stdout = runExecutable(file, { CNI_COMMAND: verb, ...other, ...netns }, config.text, host);
    return verb === "ADD" ? resultOf(stdout, request.cniVersion) : undefined;
  }
  let { env } = request;
  if (given !== undefined || verb !== env.command) {
    env = { ...env, ...given, command: verb };
    checkEnv(env);
  }
  // Nearly every IPAM plugin gets its caller's own configuration, which has been read.
  let read: ReadCall = request;
  if (config !== request.source) {
    read = readCall(config);
    checkNetworkName(read.network);
  }
  const call = { name: type, env, behalf, suite: request.suite, ownNetns: request.ownNetns };
  const result = callPlugin(plugin, call, read, host);
  if (result === undefined) return undefined;
  const version = gate(verb, read.configVersion, plugin.versions);
  // What the oldest versions have no place for, a process of its own would not have handed over.
  if (familyOf(version) !== "0.2") return result;
  return resultOf(resultText(result, version), version);
}

/** ADD of a delegate with this configuration. Throws its error. */
export function delegateAdd(
  request: Request<unknown>,
  host: Host,
  which: string | FoundPlugin,
  config: ConfigSource,
): Result {
  // ADD is the verb that always has one.
  return delegate(request, host, "ADD", which, config) as Result;
}

/** Any verb without a result, of a delegate with this configuration. Throws its error. */
export function delegateVerb(
  request: Request<unknown>,
  host: Host,
  verb: "DEL" | "CHECK" | "STATUS" | "GC",
  type: string,
  config: ConfigSource,
  behalf?: Behalf,
): void {
  delegate(request, host, verb, type, config, behalf);
}
