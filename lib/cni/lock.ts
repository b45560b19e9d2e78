// Locks that several processes of a node take: flock(2), bounded, and with the holder's name where one waits in vain.
import type { FileLock, Host } from "../host/host.ts";
import { CniError } from "./error.ts";

const timeoutMs = 30_000;

/** Takes the lock on a file. Throws a CniError (11) that says who has held it all the time. */
export function takeLock(host: Host, path: string, options: { mode: number; create?: boolean }): FileLock {
  const lock = host.files.lock(path, { ...options, timeoutMs });
  if (lock !== undefined) return lock;
  throw new CniError("tryAgainLater", `${path} was locked by another process for ${timeoutMs / 1000} s`, {
    details: holderOf(host, path),
    hint: "find out what that process waits for; the lock ends with it",
  });
}

/** st_dev as the kernel's lists write it: two hexadecimal numbers. */
function deviceText(dev: string): string {
  const number = BigInt(dev);
  const major = ((number >> 8n) & 0xfffn) | ((number >> 32n) & ~0xfffn);
  const minor = (number & 0xffn) | ((number >> 12n) & ~0xffn);
  return [major, minor].map((part) => part.toString(16).padStart(2, "0")).join(":");
}

/** Who holds the lock on a file, out of /proc/locks (proc(5)). Best effort: it only words an error. */
function holderOf(host: Host, path: string): string {
  try {
    const stat = host.files.stat(path);
    if (stat === undefined) return "";
    const file = `${deviceText(stat.dev)}:${stat.ino}`;
    for (const line of host.files.read("/proc/locks").split("\n")) {
      // "7: FLOCK  ADVISORY  WRITE 4711 00:1b:1234 0 EOF"; who waits has "->" in the second place.
      const [, kind, , , pid, locked] = line.split(/\s+/);
      if (kind !== "FLOCK" || locked !== file) continue;
      const command = host.files.read(`/proc/${pid}/comm`).trim();
      return `held by process ${pid} (${command})`;
    }
  } catch {
    // The holder may be gone by now, or be out of our sight.
  }
  return "";
}
