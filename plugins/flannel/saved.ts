// The delegate's configuration as it was at ADD, kept for DEL: the subnet, the network's name and the delegate may have
// changed since. One file for each attachment, in the directory and under the name that the Go plugin uses.
//
// Go names it by the container alone, so a container's second attachment would overwrite the first. Ours keeps the plain
// name for the first, which a roll-back finds, and "<containerID>-<ifName>" for the others. Who a plain file belongs to
// stands inside it, under a key that no delegate reads.
import type { PlainJson } from "../../lib/cni/json.ts";
import { sortedJson } from "../../lib/cni/json.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import type { DelegateConf } from "./generate.ts";

const directoryMode = 0o700;
export const savedMode = 0o600;
const ifNameKey = "weft.ifName";

export interface Saved extends DelegateConf {
  readonly path: string;
  readonly text: string;
}

function read(path: string, host: Host): Saved | "missing" | "unreadable" {
  let text: string;
  try {
    text = host.files.read(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return "missing";
    throw error;
  }
  try {
    const fields = JSON.parse(text) as Record<string, PlainJson> | null;
    if (typeof fields === "object" && fields !== null && typeof fields.type === "string")
      return { path, text, fields, type: fields.type };
  } catch {
    // Torn by a crash of a plugin that does not write it whole.
  }
  return "unreadable";
}

/** Whether a plain file is this attachment's. Go's files do not say; they are the container's only one. */
const belongsTo = ({ fields }: Saved, { ifName }: Attachment): boolean =>
  fields[ifNameKey] === undefined || fields[ifNameKey] === ifName;

const plainPath = (dataDir: string, { containerId }: Attachment): string => `${dataDir}/${containerId}`;
const ownPath = (dataDir: string, { containerId, ifName }: Attachment): string => `${dataDir}/${containerId}-${ifName}`;

/** The saved configuration of an attachment; a path alone where a file is there that cannot be read as one. */
export function findSaved(
  dataDir: string,
  attachment: Attachment,
  host: Host,
): Saved | { readonly path: string; readonly text: undefined } | undefined {
  const own = ownPath(dataDir, attachment);
  const second = read(own, host);
  if (typeof second === "object") return second;
  if (second === "unreadable") return { path: own, text: undefined };
  const plain = plainPath(dataDir, attachment);
  const first = read(plain, host);
  if (first === "unreadable") return { path: plain, text: undefined };
  return typeof first === "object" && belongsTo(first, attachment) ? first : undefined;
}

/** Keeps a configuration, whole or not at all. Returns its path. */
export function save(dataDir: string, attachment: Attachment, delegate: DelegateConf, host: Host): string {
  const plain = read(plainPath(dataDir, attachment), host);
  const taken = typeof plain === "object" && !belongsTo(plain, attachment);
  const path = taken ? ownPath(dataDir, attachment) : plainPath(dataDir, attachment);
  const text = sortedJson({ ...delegate.fields, [ifNameKey]: attachment.ifName });
  try {
    host.files.replace(path, text, savedMode);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    host.files.makeDirectory(dataDir, directoryMode);
    host.files.replace(path, text, savedMode);
  }
  return path;
}
