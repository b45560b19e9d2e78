// weft: the command people run. What cnitool does, in this executable: adds, checks and deletes an attachment as a runtime
// would, from the same directories and the same variables. The lists are read in list.ts, the plugins run in chain.ts.
import { buildId, version } from "../lib/cni/build.ts";
import { CniError } from "../lib/cni/error.ts";
import type { Suite } from "../lib/cni/plugin.ts";
import type { Host } from "../lib/host/host.ts";
import type { Attachment } from "./cache.ts";
import { addList, checkList, delList } from "./chain.ts";
import { findNetwork, WeftError, type JsonObject } from "./list.ts";

const usage = `weft attaches network namespaces to CNI networks, as a container runtime does.

  weft add   NETWORK NETNS   attach, print the result
  weft check NETWORK NETNS   say nothing, or what is wrong
  weft del   NETWORK NETNS   detach
  weft version               this build, and the plugins in it

  -i IFNAME                  the interface's name inside (default: CNI_IFNAME, or eth0)

NETWORK is the name in a list under NETCONFPATH (default /etc/cni/net.d), NETNS the path of a network namespace.
CNI_PATH names the directories of the plugins; CNI_ARGS (K=V;K=V) and CAP_ARGS (a JSON object) go to them.
`;

const hashedDigits = 20;

function absolute(path: string, host: Host): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${host.workingDirectory()}/${path}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

function argsOf(host: Host): (readonly [string, string])[] {
  const args = host.env("CNI_ARGS") ?? "";
  if (args === "") return [];
  return args.split(";").map((pair) => {
    const [key, value, ...rest] = pair.split("=");
    if (!key || !value || rest.length > 0) throw new WeftError(`invalid CNI_ARGS pair ${JSON.stringify(pair)}`);
    return [key, value] as const;
  });
}

function capabilityArgsOf(host: Host): JsonObject {
  const text = host.env("CAP_ARGS") ?? "";
  if (text === "") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new WeftError(`CAP_ARGS is not JSON: ${(error as Error).message}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonObject;
  throw new WeftError("CAP_ARGS must be a JSON object");
}

function attachmentOf(netnsPath: string, ifName: string | undefined, host: Host): Attachment {
  const netns = absolute(netnsPath, host);
  return {
    // cnitool's rule, so that either finds the other's attachments.
    containerId: `cnitool-${host.sha512(netns).slice(0, hashedDigits)}`,
    ifName: ifName ?? host.env("CNI_IFNAME") ?? "eth0",
    netns,
    args: argsOf(host),
    capabilityArgs: capabilityArgsOf(host),
  };
}

const verbs: Readonly<Record<string, (...args: Parameters<typeof addList>) => unknown>> = {
  add: addList,
  check: checkList,
  del: delList,
};

function attach(words: readonly string[], ifName: string | undefined, host: Host): number {
  const [verb = "", network, netns, ...rest] = words;
  const run = verbs[verb];
  if (run === undefined || network === undefined || netns === undefined || rest.length > 0) {
    host.log(usage);
    return 1;
  }
  const list = findNetwork(host, host.env("NETCONFPATH") || "/etc/cni/net.d", network);
  const result = run(list, attachmentOf(netns, ifName, host), host);
  if (result !== undefined) host.writeStdout(JSON.stringify(result, null, 4));
  return 0;
}

/** Runs `weft` with this process's arguments; returns the exit status. */
export function runWeft(host: Host, suite: Suite): number {
  const words = host.argv.slice(1);
  const option = words.indexOf("-i");
  const [, ifName] = option < 0 ? [] : words.splice(option, 2);
  try {
    if (words[0] === "version") {
      host.writeStdout(`weft ${version} (build ${buildId}): ${Object.keys(suite).join(", ")}\n`);
      return 0;
    }
    if (words.includes("--help") || words.includes("-h")) {
      host.writeStdout(usage);
      return 0;
    }
    return attach(words, ifName, host);
  } catch (error) {
    const { message } = error as Error;
    host.log(error instanceof CniError && error.details !== "" ? `${message} (${error.details})` : message);
    return 1;
  }
}
