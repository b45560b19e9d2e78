// One at a time per bridge: while its links or addresses change. Calls that find everything in place never come here.
import { CniError } from "../../lib/cni/error.ts";
import type { Host } from "../../lib/host/host.ts";

const directory = "/run/cni/locks";
const timeoutMs = 30_000;

/** Runs `body` while nobody else of this suite changes the bridge. Nothing slow belongs in it, no delegate above all. */
export function lockedBridge<T>(host: Host, bridge: string, body: () => T): T {
  host.files.makeDirectory(directory, 0o755);
  const path = `${directory}/bridge-${bridge}`;
  const lock = host.files.lock(path, { mode: 0o600, timeoutMs });
  if (lock === undefined) {
    throw new CniError(
      "tryAgainLater",
      `bridge "${bridge}" is still being changed by another call after ${timeoutMs / 1000} s`,
      {
        details: `lock ${path}`,
        hint: "find the process that holds this file open (fuser)",
      },
    );
  }
  try {
    return body();
  } finally {
    lock.release();
  }
}
