// The delegate's configuration as it was at ADD, kept for DEL: the subnet, the network's name and the delegate may have
// changed since. One file for each attachment, in the directory and under the name that the Go plugin uses.
//
// Go names it by the container alone, so a container's second attachment would overwrite the first. Ours keeps the plain
// name for the first, which a roll-back finds, and "<containerID>-<ifName>" for the others. Whose a file is stands inside
// it, under keys that no delegate reads.
import { parseConfig, type ConfigSource } from "../../lib/cni/config.ts";
import { withMember, writeJson, type JsonObject } from "../../lib/cni/json.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";

const directoryMode = 0o700;
export const savedMode = 0o600;
const containerIdKey = "weft.containerId";
const ifNameKey = "weft.ifName";

/** A file that is there. Without `text` it is no delegate's configuration: a crash of a plugin that does not write it whole. */
export type SavedFile = Saved | { readonly path: string; readonly text: undefined };

export interface Saved {
  readonly path: string;
  readonly text: string;
  /** The same, parsed. */
  readonly config: ConfigSource;
  /** The delegate's. */
  readonly type: string;
  readonly network: string | undefined;
  readonly containerId: string;
  /** undefined in Go's files, which do not say. */
  readonly ifName: string | undefined;
}

function textAt({ keys, values }: JsonObject, key: string): string | undefined {
  const value = values[keys.lastIndexOf(key)];
  return typeof value === "string" ? value : undefined;
}

function read(dataDir: string, name: string, host: Host): SavedFile | undefined {
  const path = `${dataDir}/${name}`;
  let text: string;
  try {
    text = host.files.read(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
  try {
    const config = parseConfig(text);
    const { tree } = config;
    const type = textAt(tree, "type");
    if (type !== undefined) {
      const containerId = textAt(tree, containerIdKey) ?? name;
      return { path, text, config, type, network: textAt(tree, "name"), containerId, ifName: textAt(tree, ifNameKey) };
    }
  } catch {
    // Told by the missing text.
  }
  return { path, text: undefined };
}

/** Whether a file may be this attachment's: a torn one may, and one of Go's is its container's only one. */
const belongsTo = (file: SavedFile | undefined, { containerId, ifName }: Attachment): file is SavedFile =>
  file !== undefined &&
  (file.text === undefined || (file.containerId === containerId && (file.ifName ?? ifName) === ifName));

const plainName = ({ containerId }: Attachment): string => containerId;
const ownName = ({ containerId, ifName }: Attachment): string => `${containerId}-${ifName}`;

/** What is there of an attachment's. */
export interface Found {
  /** Its saved configuration, where one of the files is. */
  readonly file: SavedFile | undefined;
  /** The plain name is somebody else's. */
  readonly plainIsTaken: boolean;
}

/** Looks for the saved configuration of an attachment. */
export function look(dataDir: string, attachment: Attachment, host: Host): Found {
  const own = read(dataDir, ownName(attachment), host);
  const plain = read(dataDir, plainName(attachment), host);
  const files = [own, plain].filter((file) => belongsTo(file, attachment));
  return {
    // A torn file may be another container's, whose id is this one's name.
    file: files.find(({ text }) => text !== undefined) ?? files[0],
    plainIsTaken: plain !== undefined && !belongsTo(plain, attachment),
  };
}

/** The saved configuration of an attachment. */
export const findSaved = (dataDir: string, attachment: Attachment, host: Host): SavedFile | undefined =>
  look(dataDir, attachment, host).file;

/** Everything that is saved, of every network. */
export function listSaved(dataDir: string, host: Host): SavedFile[] {
  let names: string[];
  try {
    names = host.files.list(dataDir);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
  // A dot begins what is still being written.
  return names.filter((name) => !name.startsWith(".")).flatMap((name) => read(dataDir, name, host) ?? []);
}

/**
 * Keeps a delegate's configuration, whole or not at all. Returns its path. `found` is what `look` finds: an attachment never has two
 * files, of which DEL would remove one.
 */
export function save(
  dataDir: string,
  attachment: Attachment,
  delegate: JsonObject,
  host: Host,
  { file, plainIsTaken }: Found = look(dataDir, attachment, host),
): string {
  const free = plainIsTaken ? ownName(attachment) : plainName(attachment);
  const path = file?.text === undefined ? `${dataDir}/${free}` : file.path;
  const { containerId, ifName } = attachment;
  const text = writeJson(withMember(withMember(delegate, containerIdKey, containerId), ifNameKey, ifName));
  try {
    keep(dataDir, path, text, host);
  } catch (error) {
    if (!isErrno(error, "ENOENT")) throw error;
    host.files.makeDirectory(dataDir, directoryMode);
    keep(dataDir, path, text, host);
  }
  return path;
}

/** A new file has no name before it is whole: a call that is killed meanwhile leaves none that nobody would remove. */
function keep(dataDir: string, path: string, text: string, host: Host): void {
  const file = host.files.prepare(dataDir, text, savedMode);
  try {
    if (!file.publish(path)) host.files.replace(path, text, savedMode);
  } finally {
    file.discard();
  }
}
