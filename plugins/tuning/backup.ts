// What a container's link was like before ADD: one file for each attachment, in the directory, under the name and in the
// form of the Go plugin, which therefore gives it back as well. Under keys that Go's does not read stand the network, for GC,
// and what the node's end of the pair had.
import type { PlainJson } from "../../lib/cni/json.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Mac } from "../../lib/ip/mac.ts";

const directoryMode = 0o600;
const parentMode = 0o755;
const fileMode = 0o600;
const networkKey = "weft.network";
const peerKey = "weft.peer";
const peerMtuKey = "weft.peerMtu";

export interface Backup {
  readonly mac?: Mac | undefined;
  readonly promisc?: boolean | undefined;
  readonly mtu?: number | undefined;
  readonly allmulti?: boolean | undefined;
  readonly txQLen?: number | undefined;
  /** undefined in Go's files. */
  readonly network?: string | undefined;
  /** The node's end of the pair, where ADD changed it. */
  readonly peer?: { readonly name: string; readonly mtu: number } | undefined;
}

export const backupName = ({ containerId, ifName }: Attachment): string => `${containerId}_${ifName}.json`;

/** A file that is there and what is in it; nothing is in a torn one, which Go's plugin leaves when it is killed. */
export interface BackupFile {
  readonly path: string;
  readonly backup: Backup | undefined;
}

const text = (value: PlainJson | undefined): string | undefined => (typeof value === "string" ? value : undefined);
const truth = (value: PlainJson | undefined): boolean | undefined => (typeof value === "boolean" ? value : undefined);
const count = (value: PlainJson | undefined): number | undefined => (typeof value === "number" ? value : undefined);

function parseBackup(content: string): Backup | undefined {
  let fields: Readonly<Record<string, PlainJson>> | null;
  try {
    fields = JSON.parse(content) as typeof fields;
  } catch {
    return undefined;
  }
  if (typeof fields !== "object" || fields === null) return undefined;
  const [name, mtu] = [text(fields[peerKey]), count(fields[peerMtuKey])];
  return {
    mac: text(fields.mac) || undefined,
    promisc: truth(fields.promisc),
    mtu: count(fields.mtu) || undefined,
    allmulti: truth(fields.allmulti),
    txQLen: count(fields.txQLen),
    network: text(fields[networkKey]),
    peer: name === undefined || mtu === undefined ? undefined : { name, mtu },
  };
}

function formatBackup({ mac, promisc, mtu, allmulti, txQLen, network, peer }: Backup): string {
  const own = { [networkKey]: network, [peerKey]: peer?.name, [peerMtuKey]: peer?.mtu };
  return JSON.stringify({ mac, promisc, mtu, allmulti, txQLen, ...own }, null, 1);
}

/** The file of this name; undefined where there is none. */
export function readBackup(dataDir: string, name: string, host: Host): BackupFile | undefined {
  const path = `${dataDir}/${name}`;
  try {
    return { path, backup: parseBackup(host.files.read(path)) };
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** Every file there is, of every network. */
export function listBackups(dataDir: string, host: Host): (BackupFile & { readonly name: string })[] {
  let names: string[];
  try {
    names = host.files.list(dataDir);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith(".json") && !name.startsWith("."))
    .flatMap((name) => {
      const file = readBackup(dataDir, name, host);
      return file === undefined ? [] : [{ ...file, name }];
    });
}

/**
 * Writes the file, whole or not at all, in place of the one there is. A new one has no name before it is whole. No power
 * loss needs to spare it: the link it is about is gone then, too.
 */
export function writeBackup(dataDir: string, name: string, backup: Backup, host: Host): void {
  const slash = dataDir.lastIndexOf("/");
  if (slash > 0) host.files.makeDirectory(dataDir.slice(0, slash), parentMode);
  host.files.makeDirectory(dataDir, directoryMode);
  const path = `${dataDir}/${name}`;
  const content = formatBackup(backup);
  const file = host.files.prepare(dataDir, content, fileMode);
  try {
    if (!file.publish(path)) host.files.replace(path, content, fileMode);
  } finally {
    file.discard();
  }
}
