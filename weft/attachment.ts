// What the person at the terminal and the environment say about one attachment: cnitool's variables and cnitool's rules,
// so that either finds what the other made.
import { JsonError, JsonObject, parseJson, plainJson } from "../lib/cni/json.ts";
import type { Host } from "../lib/host/host.ts";
import type { Attachment } from "./cache.ts";
import { WeftError, type Plain } from "./list.ts";

const hashedDigits = 20;

/** The path from the root, without dots; symbolic links stay as they are. */
export function absolute(path: string, host: Host): string {
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
    if (!key || !value || rest.length > 0)
      throw new WeftError(`invalid CNI_ARGS pair ${JSON.stringify(pair)}; CNI_ARGS looks like KEY=VALUE;KEY=VALUE`);
    return [key, value] as const;
  });
}

function capabilityArgsOf(host: Host): Plain {
  const text = host.env("CAP_ARGS") ?? "";
  if (text === "") return {};
  try {
    const tree = parseJson(text);
    if (tree === null) return {};
    if (tree instanceof JsonObject) return plainJson(tree) as Plain;
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    throw new WeftError(`CAP_ARGS is not JSON: ${error.message}`);
  }
  throw new WeftError('CAP_ARGS must be a JSON object like {"mac":"0a:58:0a:f4:01:02"}');
}

/** The attachment of this network namespace. `ifName` is what -i says. */
export function attachmentOf(netnsPath: string, ifName: string | undefined, host: Host): Attachment {
  const netns = absolute(netnsPath, host);
  return {
    containerId: `cnitool-${host.sha512(netns).slice(0, hashedDigits)}`,
    ifName: ifName ?? host.env("CNI_IFNAME") ?? "eth0",
    netns,
    args: argsOf(host),
    capabilityArgs: capabilityArgsOf(host),
  };
}
