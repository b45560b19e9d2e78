// 127.0.0.1 leads to the container, too: what the node sends from there may leave by the link behind which the container is.
import { inContext } from "../../lib/cni/boundary.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Ip } from "../../lib/ip/ip.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";

/** The setting of the link by which packets reach the address; undefined where none does. */
export function localnetSetting(host: Host, address: Ip): string | undefined {
  const node = openRoute(host);
  try {
    const { ifIndex } = node.route.lookUp(address) ?? {};
    const link = ifIndex === undefined ? undefined : node.link.get(ifIndex);
    return link && `net/ipv4/conf/${link.name}/route_localnet`;
  } finally {
    node.close();
  }
}

/** Turns it on and leaves it so, as other containers need it. Throws a CniError. */
export function allowLocalnet(host: Host, address: Ip): void {
  const setting = localnetSetting(host, address);
  if (setting === undefined) return;
  try {
    if (host.readSysctl(setting) !== "1") host.writeSysctl(setting, "1");
  } catch (error) {
    throw inContext(error, "unable to enable route_localnet", host);
  }
}
