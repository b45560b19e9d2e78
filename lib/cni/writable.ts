// For STATUS: whether what an ADD keeps on disk could be written now.
import { isErrno } from "../host/errno.ts";
import type { Host } from "../host/host.ts";
import { toCniError } from "./boundary.ts";
import { CniError } from "./error.ts";

/**
 * Throws a CniError (50) where no file could be made in a directory, or, before the first ADD, where the directory will be
 * made. `what` the file is, in a word. Writes nothing.
 */
export function refuseUnwritable(host: Host, directory: string, what: string): void {
  try {
    host.files.checkWritable(directory);
  } catch (error) {
    const slash = directory.lastIndexOf("/");
    const parent = slash < 0 ? "." : directory.slice(0, slash) || "/";
    if (isErrno(error, "ENOENT") && parent !== directory) {
      refuseUnwritable(host, parent, what);
      return;
    }
    const { message, details } = toCniError(error, host);
    throw new CniError("unavailable", `no ${what} can be written in ${directory}: ${message}`, {
      details,
      cause: error,
    });
  }
}
