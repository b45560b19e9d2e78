// Kernel settings of one link that make things better but that an attachment can do without.
import type { Host, Netns } from "../../lib/host/host.ts";
import type { SystemError } from "../../lib/host/errno.ts";
import { settingName, type Setting } from "./settings.ts";

/** Writes a setting where the kernel has it; one it lacks (IPv6 turned off, an older kernel) changes nothing. */
export function writeSetting(host: Host, setting: Setting, netns?: Netns): void {
  try {
    host.writeSysctl(settingName(setting), setting.value, netns);
  } catch (error) {
    // Only the kernel's refusal is nothing; to be lost between namespaces is not.
    if ((error as Partial<SystemError>).errno === undefined) throw error;
  }
}
