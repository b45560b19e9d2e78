// This process's own call of a verb: the environment and standard input in, standard output and the exit status out.
// Nothing but this file reads the one or writes the other. Spec 1.1.0, section 3; the order of the checks is the Go library's.
import type { Host } from "../host/host.ts";
import { saidBy, toCniError } from "./boundary.ts";
import { version } from "./build.ts";
import { callEnv, callPlugin, checkEnv, readCall, type Call } from "./call.ts";
import { CniError } from "./error.ts";
import { verbs, type AnyPlugin, type ReadCall, type Suite } from "./plugin.ts";
import { gate } from "./gate.ts";
import { resultText } from "./result-text.ts";
import type { Result } from "./result.ts";
import { checkNetworkName } from "./validators.ts";
import { newestVersion } from "./version.ts";

function fail(host: Host, error: unknown, cniVersion: string): number {
  const { code, message, details } = toCniError(error, host);
  try {
    const told = { cniVersion, code, msg: message, details: details === "" ? undefined : details };
    // As the Go plugins print it: four spaces, no newline at the end.
    host.writeStdout(JSON.stringify(told, null, 4));
  } catch {
    host.log(`error ${code}: ${message}${details === "" ? "" : `; ${details}`}`);
  }
  return 1;
}

/** Writes the result. What cannot be handed over was not done: the ADD is undone. */
function handOver(plugin: AnyPlugin, call: Call, read: ReadCall, result: Result, host: Host): void {
  try {
    const text = resultText(result, gate("ADD", read.configVersion, plugin.versions));
    try {
      host.writeStdout(text);
    } catch (cause) {
      throw new CniError("ioFailure", `cannot write the result to standard output: ${(cause as Error).message}`, {
        hint: "the attachment was undone; the runtime must read what plugins print",
        cause,
      });
    }
  } catch (error) {
    try {
      callPlugin(plugin, { ...call, env: { ...call.env, command: "DEL" } }, read, host);
    } catch (failure) {
      host.log(`undo: ${saidBy(failure)}`);
    }
    throw error;
  }
}

function readRequest(host: Host): string {
  try {
    return host.readStdin();
  } catch (cause) {
    throw new CniError("ioFailure", `error reading from stdin: ${(cause as Error).message}`, {
      hint: "a plugin reads its network configuration from standard input, at most 8 MiB of it",
      cause,
    });
  }
}

/** What is answered before any configuration is read: VERSION, and without a verb who this is. */
function introduce({ name, versions, introduction }: AnyPlugin, command: "" | "VERSION", host: Host): void {
  if (command === "VERSION") {
    host.writeStdout(`${JSON.stringify({ cniVersion: newestVersion, supportedVersions: versions })}\n`);
  } else {
    host.log(introduction ?? `CNI ${name} plugin v${version}`);
    host.log(`CNI protocol versions supported: ${versions.join(", ")}`);
  }
}

function runVerb(call: Call, host: Host, learned: (version: string) => void): void {
  const { name, env, suite } = call;
  const plugin = suite.get(name);
  if (plugin === undefined) {
    const names = [...suite.keys(), "weft"];
    throw new CniError("invalidEnvironment", `this executable is no plugin ${JSON.stringify(name)}`, {
      hint: `call it by one of its names: ${names.join(", ")}`,
    });
  }
  if (env.command === "" || env.command === "VERSION") {
    introduce(plugin, env.command, host);
    return;
  }
  checkEnv(env);
  const read = readCall(readRequest(host));
  if (read.configVersion !== "") learned(read.configVersion);
  checkNetworkName(read.network);
  if (!verbs.some((verb) => verb === env.command))
    throw new CniError("invalidEnvironment", `unknown CNI_COMMAND: ${env.command}`, {
      hint: `CNI_COMMAND is one of VERSION, ${verbs.join(", ")}`,
    });
  const result = callPlugin(plugin, call, read, host);
  if (result !== undefined) handOver(plugin, call, read, result, host);
}

/** The name this executable was called by. */
export function calledAs(host: Host): string {
  const path = host.argv[0] ?? "";
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Runs the plugin of this name; its result or its error is on standard output afterwards. Returns the exit status. */
export function dispatch(name: string, host: Host, suite: Suite): number {
  let cniVersion: string = newestVersion;
  try {
    runVerb({ name, env: callEnv(host), suite }, host, (version) => {
      cniVersion = version;
    });
    return 0;
  } catch (error) {
    return fail(host, error, cniVersion);
  }
}
