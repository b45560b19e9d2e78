// One at a time per bridge: while its links or addresses change. Calls that find everything in place never come here.
import { takeLock } from "../../lib/cni/lock.ts";
import type { Host } from "../../lib/host/host.ts";

const directory = "/run/cni/locks";

/** Runs `body` while nobody else of this suite changes the bridge. Nothing slow belongs in it, no delegate above all. */
export function lockedBridge<T>(host: Host, bridge: string, body: () => T): T {
  host.files.makeDirectory(directory, 0o755);
  const lock = takeLock(host, `${directory}/bridge-${bridge}`, { mode: 0o600 });
  try {
    return body();
  } finally {
    lock.release();
  }
}
