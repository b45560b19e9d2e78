// One at a time of this suite while rules change. Nothing depends on it: nf_tables refuses what was decided on rules gone
// by, and iptables a chain that is there. But of a hundred calls at once each would be refused by the work of the others.
import { takeLock } from "../../lib/cni/lock.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { FileLock, Host } from "../../lib/host/host.ts";

const directory = "/run/cni/locks";

/** Runs `body` while no other does; all the same where the lock cannot be made, as on a full disk. */
export function oneAtATime<T>(host: Host, body: () => T): T {
  const lock = lockIfPossible(host);
  try {
    return body();
  } finally {
    lock?.release();
  }
}

function lockIfPossible(host: Host): FileLock | undefined {
  try {
    host.files.makeDirectory(directory, 0o755);
    return takeLock(host, `${directory}/portmap`, { mode: 0o600 });
  } catch (error) {
    if (error instanceof CniError) throw error;
    return undefined;
  }
}
