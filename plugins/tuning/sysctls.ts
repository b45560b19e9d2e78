// Sysctls: from the name in the configuration to the setting, and to its value.
import { CniError } from "../../lib/cni/error.ts";
import type { Undo } from "../../lib/cni/undo.ts";
import { isErrno, isSystemError } from "../../lib/host/errno.ts";
import type { Host, Netns } from "../../lib/host/host.ts";

/** A setting under /proc/sys and the value it is to have. */
export interface Setting {
  /** Relative to /proc/sys. */
  readonly path: string;
  readonly value: string;
}

/**
 * The settings, in the order they are written; of several names for one setting the last counts. Throws a CniError (7) on a
 * name that is not the network's.
 */
export function settingsOf(sysctls: ReadonlyMap<string, string>, ifName: string): Setting[] {
  const values = new Map<string, string>();
  for (const [name, value] of sysctls) values.set(pathOf(name, ifName), value);
  return [...values].map(([path, value]) => ({ path, value }));
}

/** Dots are turned first, so that the link's own name may have some. */
function pathOf(name: string, ifName: string): string {
  const parts = name
    .replaceAll(".", "/")
    .replace("IFNAME", () => ifName)
    .split("/")
    .filter((part) => part !== "");
  const [first, ...others] = parts;
  if (first === "net" && others.length > 0) return parts.join("/");
  throw new CniError("invalidConfig", `invalid net sysctl key: "${name}"`, {
    hint: 'only settings under "net." belong to a container: net.ipv4.ip_forward',
  });
}

/** Writes the settings in the container. Each says how it is taken back, where it can be read. */
export function writeSettings(host: Host, netns: Netns, settings: readonly Setting[], undo: Undo): void {
  for (const { path, value } of settings) {
    const before = readable(host, netns, path);
    if (before !== undefined) undo.push(`set ${path} back`, () => host.writeSysctl(path, before, netns));
    try {
      host.writeSysctl(path, value, netns);
    } catch (error) {
      if (!isSystemError(error)) throw error;
      const hint = isErrno(error, "ENOENT")
        ? "this kernel has no such setting, or the link has another name"
        : "the kernel does not take this value, or not in a network namespace";
      throw new CniError("invalidConfig", `failed to set sysctl "${path}" to "${value}": ${error.message}`, {
        hint,
        cause: error,
      });
    }
  }
}

function readable(host: Host, netns: Netns, path: string): string | undefined {
  try {
    return host.readSysctl(path, netns);
  } catch (error) {
    if (isSystemError(error)) return undefined;
    throw error;
  }
}
