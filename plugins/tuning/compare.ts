// The differences between what is configured and what CHECK found: one sentence for each.
import { inContext } from "../../lib/cni/boundary.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import type { LinkConf } from "./conf.ts";
import type { Setting } from "./sysctls.ts";

/** Of the settings. Some can only be written: of those nothing is known. */
export function settingDifferences(host: Host, netns: Netns, settings: readonly Setting[]): string[] {
  const differences: string[] = [];
  for (const { path, value } of settings) {
    try {
      const found = host.readSysctl(path, netns);
      if (fields(found) !== fields(value))
        differences.push(`Tuning configured value of /proc/sys/${path} is ${value}, current value is ${found}`);
    } catch (error) {
      if (isErrno(error, "EACCES", "EPERM")) continue;
      if (!isErrno(error, "ENOENT")) throw inContext(error, `failed to read sysctl "${path}"`, host);
      differences.push(`Tuning configured value of /proc/sys/${path} is ${value}, there is no such setting`);
    }
  }
  return differences;
}

/** The kernel puts tabs between the numbers of a setting, whatever was written there. */
const fields = (value: string): string => value.trim().split(/\s+/).join(" ");

/** Of the container's link. */
export function linkDifferences(link: Link, conf: LinkConf): string[] {
  const properties = [
    ["Ethernet", conf.mac, link.mac],
    ["promisc", conf.promisc, link.promisc],
    ["MTU", conf.mtu, link.mtu],
    ["all-multicast mode", conf.allMulti, link.allMulti],
    ["Transmit Queue Length", conf.txQueueLength, link.txQueueLength],
  ] as const;
  const differences: string[] = [];
  for (const [property, wanted, found] of properties) {
    if (wanted !== undefined && wanted !== found)
      differences.push(`Tuning configured ${property} of ${link.name} is ${wanted}, current value is ${found}`);
  }
  return differences;
}
