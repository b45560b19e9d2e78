// Who an address belongs to, as its file says: "<containerID>\r\n<ifName>".

/** `ifName` is undefined where a very old plugin wrote the container id alone: all of the container's interfaces. */
export interface NamedOwner {
  readonly containerId: string;
  readonly ifName: string | undefined;
}

/**
 * "empty": what a crash or a power loss left of a file. Every writer fills its file while it holds the store's lock, so
 * under the lock nobody is about to. "nobody": text that is no owner. "no file": a directory or the like, which no
 * plugin made; it takes the address all the same. "unreadable": the disk does not say, and it may be anybody.
 */
export type Owner = NamedOwner | "empty" | "nobody" | "no file" | "unreadable";

/** Reads the content of an address's file; white space round it does not count, and a plain newline is as good. */
export function parseOwner(content: string): Owner {
  // A file system may bring a file back in its length without its content: zeros.
  const text = content.replaceAll("\0", "").trim();
  if (text === "") return "empty";
  const lines = text.split("\n");
  const containerId = withoutReturn(lines[0] ?? "");
  if (lines.length > 2 || /\s/.test(containerId)) return "nobody";
  return { containerId, ifName: lines[1] };
}

const withoutReturn = (line: string): string => (line.endsWith("\r") ? line.slice(0, -1) : line);

/** The owner where the file names one. */
export const namedOwner = (owner: Owner): NamedOwner | undefined => (typeof owner === "object" ? owner : undefined);
