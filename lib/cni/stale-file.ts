// Files that are of no use to anybody once what they tell of is gone, and that this node does not let go.
import { isErrno } from "../host/errno.ts";
import type { Host } from "../host/host.ts";

/**
 * Removes such a file. Where the file system is read-only, or the file immutable, no later call would do better: that is
 * told of, and fails no DEL or GC, after which a runtime would not come to the plugins before. Throws what else fails.
 */
export function removeStale(plugin: string, host: Host, remove: () => unknown): void {
  try {
    remove();
  } catch (error) {
    if (!isErrno(error, "EROFS", "EPERM", "EACCES")) throw error;
    host.log(`${plugin}: a file stays that tells of nothing any more: ${(error as Error).message}`);
  }
}
