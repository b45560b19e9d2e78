// The result cache: what an ADD gave, kept for CHECK, DEL and GC. The directory, the names and the format are libcni's, so
// that `weft`, cnitool and a runtime continue each other's work.
import { decode } from "../lib/cni/config.ts";
import { JsonObject, parseJson, type PlainJson } from "../lib/cni/json.ts";
import { resultText } from "../lib/cni/result-text.ts";
import { parseResult, writtenVersion } from "../lib/cni/result.ts";
import type { SpecVersion } from "../lib/cni/version.ts";
import { isErrno } from "../lib/host/errno.ts";
import type { Host } from "../lib/host/host.ts";
import { utf8Bytes } from "../lib/host/utf8.ts";
import { member, WeftError, type NetworkList, type Plain } from "./list.ts";

const directory = "/var/lib/cni/results";
const kind = "cniCacheV1";

/** One attachment as the person at the terminal named it, or as the cache remembers it. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: Plain;
}

const pathOf = (list: NetworkList, { containerId, ifName }: Attachment): string =>
  `${directory}/${list.name}-${containerId}-${ifName}`;

/** A result in the version it was written in, or where it does not say, in `unsaid`; as JSON that `version` (or its own) asks for. */
export function readResult(tree: JsonObject, unsaid: string, version?: SpecVersion): PlainJson {
  const written = writtenVersion(tree, unsaid || "0.1.0");
  // Members that are undefined are not there.
  return JSON.parse(resultText(parseResult(tree, written), version ?? written));
}

/** Keeps the result of an ADD. */
export function keepResult(list: NetworkList, attachment: Attachment, result: PlainJson, host: Host): void {
  const { containerId, ifName, netns, args, capabilityArgs } = attachment;
  const cached = {
    kind,
    containerId,
    config: utf8Bytes(list.text).toBase64(),
    ifName,
    networkName: list.name,
    netns,
    cniArgs: args.length === 0 ? undefined : args,
    capabilityArgs: Object.keys(capabilityArgs).length === 0 ? undefined : capabilityArgs,
    result,
  };
  host.files.makeDirectory(directory, 0o700);
  host.files.replace(pathOf(list, attachment), JSON.stringify(cached), 0o600);
}

/** The kept result in the list's version, as a plugin gets it; undefined when none is kept. Throws where it is unreadable. */
export function cachedResult(
  list: NetworkList,
  attachment: Attachment,
  version: SpecVersion,
  host: Host,
): PlainJson | undefined {
  const path = pathOf(list, attachment);
  let text: string;
  try {
    text = host.files.read(path);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  const tree = parseJson(text);
  // Before the cache had a format, the file was the result.
  const result = tree instanceof JsonObject && member(tree, "kind") === kind ? member(tree, "result") : tree;
  if (!(result instanceof JsonObject)) throw new WeftError(`${path} holds no result`);
  return readResult(result, "", version);
}

export function forgetResult(list: NetworkList, attachment: Attachment, host: Host): void {
  host.files.remove(pathOf(list, attachment));
}

const attachmentSchema = {
  type: "object",
  properties: {
    kind: { type: "string" },
    containerId: { type: "string", default: "" },
    ifName: { type: "string", default: "" },
    networkName: { type: "string", default: "" },
    netns: { type: "string", default: "" },
    cniArgs: { type: "array", items: { type: "array", items: { type: "string" } }, default: [] },
    capabilityArgs: { type: "object", default: {} },
  },
} as const;

/** One file of the cache; undefined where it tells of no attachment, which is for CHECK and DEL to complain of. */
function attachmentIn(path: string, network: string, host: Host): Attachment | undefined {
  try {
    const tree = parseJson(host.files.read(path));
    if (!(tree instanceof JsonObject)) return undefined;
    const decoded = decode(attachmentSchema, tree);
    const { containerId, ifName, netns, capabilityArgs } = decoded;
    if (decoded.kind !== kind || decoded.networkName !== network || ifName === "") return undefined;
    const args = decoded.cniArgs.map(([key = "", value = ""]): [string, string] => [key, value]);
    return { containerId, ifName, netns, args, capabilityArgs };
  } catch (error) {
    host.log(`weft: passing over ${path}: ${(error as Error).message}`);
    return undefined;
  }
}

/** The attachments of the network that are kept, in the order of their files' names. */
export function cachedAttachments(list: NetworkList, host: Host): Attachment[] {
  let names: string[];
  try {
    names = host.files.list(directory);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return [];
    throw error;
  }
  return names
    .sort()
    .map((name) => attachmentIn(`${directory}/${name}`, list.name, host))
    .filter((each) => each !== undefined);
}
