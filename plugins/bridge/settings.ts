// Kernel settings of links that ADD writes and CHECK looks at again.
import type { BridgeConf } from "./conf.ts";

/** One setting of a link's directory under /proc/sys/net/<family>/conf. */
export interface Setting {
  readonly family: "ipv4" | "ipv6";
  readonly link: string;
  readonly key: string;
  readonly value: string;
}

const setting = (family: Setting["family"], link: string, key: string, value: string): Setting => ({
  family,
  link,
  key,
  value,
});

/** Under which name the kernel knows it. */
export const settingName = ({ family, link, key }: Setting): string => `net/${family}/conf/${link}/${key}`;

/** A link of the node takes no addresses and routes from routers, which any container could play. */
export const ignoresRouters = (link: string): Setting => setting("ipv6", link, "accept_ra", "0");

/** What a container's settings depend on; `v6`: IPAM gave an IPv6 address. */
type Given = Pick<BridgeConf, "dad" | "acceptRa"> & { readonly v6: boolean };

/** What makes a container's link better, and an attachment can do without where the kernel lacks it. */
export function linkSettings(link: string, { dad, acceptRa, v6 }: Given): Setting[] {
  return [
    ...(dad ? [setting("ipv6", link, "enhanced_dad", "1")] : []),
    setting("ipv6", link, "accept_dad", dad ? "1" : "0"),
    ...(v6 ? [setting("ipv6", link, "ndisc_notify", "1")] : []),
    // One that IPAM gave IPv6 has no addresses but IPAM's.
    ...(v6 && !acceptRa ? [ignoresRouters(link), setting("ipv6", link, "autoconf", "0")] : []),
  ];
}

/** A link with addresses from IPAM has IPv6 at all, and so has the container's loopback link. */
export const ipv6IsOn = (link: string): Setting => setting("ipv6", link, "disable_ipv6", "0");

/** Its IPv6 addresses stay when it is taken down. */
export const keepsAddresses = (link: string): Setting => setting("ipv6", link, "keep_addr_on_down", "1");

/** All that ADD writes for a container's link. */
export const containerSettings = (link: string, given: Given): Setting[] => [
  setting("ipv4", link, "arp_notify", "1"),
  ...linkSettings(link, given),
  ...(given.v6 ? [ipv6IsOn("lo"), ipv6IsOn(link), keepsAddresses(link)] : []),
];
