// The result cache: what an ADD gave, kept for CHECK and DEL. The directory, the names and the format are libcni's, so
// that `weft`, cnitool and a runtime continue each other's work.
import { decode } from "../lib/cni/config.ts";
import { JsonObject, parseJson } from "../lib/cni/json.ts";
import { encodeResult, parseResult, type Result } from "../lib/cni/result.ts";
import { specVersions, type SpecVersion } from "../lib/cni/version.ts";
import { isErrno } from "../lib/host/errno.ts";
import type { Host } from "../lib/host/host.ts";
import { utf8Bytes } from "../lib/host/utf8.ts";
import type { JsonObject as Plain, NetworkList } from "./list.ts";

const directory = "/var/lib/cni/results";
const kind = "cniCacheV1";

/** One attachment as the person at the terminal named it. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
  readonly netns: string;
  readonly args: readonly (readonly [string, string])[];
  readonly capabilityArgs: Plain;
}

const pathOf = (list: NetworkList, { containerId, ifName }: Attachment): string =>
  `${directory}/${list.name}-${containerId}-${ifName}`;

/** Keeps the result of an ADD. */
export function keepResult(
  list: NetworkList,
  attachment: Attachment,
  result: Result,
  version: SpecVersion,
  host: Host,
): void {
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
    result: encodeResult(result, version),
  };
  host.files.makeDirectory(directory, 0o700);
  host.files.replace(pathOf(list, attachment), JSON.stringify(cached), 0o600);
}

/** The kept result in the list's version, as a plugin gets it; undefined when none is kept. Throws where it is unreadable. */
export function cachedResult(list: NetworkList, attachment: Attachment, version: SpecVersion, host: Host): unknown {
  let text: string;
  try {
    text = host.files.read(pathOf(list, attachment));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return undefined;
    throw error;
  }
  const tree = parseJson(text);
  const member = tree instanceof JsonObject ? tree.entries.find(([key]) => key === "result")?.[1] : undefined;
  if (!(member instanceof JsonObject)) throw new Error(`${pathOf(list, attachment)} holds no result`);
  const { cniVersion } = decode({ type: "object", properties: { cniVersion: { type: "string" } } } as const, member);
  const written = specVersions.find((each) => each === cniVersion) ?? version;
  return encodeResult(parseResult(member, written), version);
}

export function forgetResult(list: NetworkList, attachment: Attachment, host: Host): void {
  host.files.remove(pathOf(list, attachment));
}
