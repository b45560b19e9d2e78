// The container's end of the pair: its settings, addresses and routes, all in one datagram once IPAM has answered.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import { formatIp } from "../../lib/ip/ip.ts";
import { formatPrefix } from "../../lib/ip/prefix.ts";
import { addAddr } from "../../lib/netlink/route/addr.ts";
import { setLink } from "../../lib/netlink/route/link.ts";
import { addRoute } from "../../lib/netlink/route/route.ts";
import { operationOf, type Request } from "../../lib/netlink/wire/conversation.ts";
import { NetlinkError } from "../../lib/netlink/wire/error.ts";
import type { BridgeConf } from "./conf.ts";
import type { ContainerRoute, Layer3 } from "./desired.ts";
import type { End, Places } from "./pair.ts";
import { ipv6IsOn, keepsAddresses, linkSettings, settingName } from "./settings.ts";
import { writeSetting } from "./sysctl.ts";

const settleMs = 5_000;

/** Addresses, up, routes. `dad`: IPv6 duplicate address detection stays on, and ADD waits until it is through. */
export function configureContainer(
  host: Host,
  { pod, netns }: Pick<Places, "pod" | "netns">,
  { name, ifIndex }: End,
  { ips, containerRoutes }: Layer3,
  conf: Pick<BridgeConf, "dad" | "acceptRa">,
): void {
  const { dad } = conf;
  const v6 = ips.some(({ address }) => address.ip.family === 6);
  for (const setting of linkSettings(name, { ...conf, v6 })) writeSetting(host, setting, netns);
  if (v6) prepareIpv6(host, netns, name);

  const requests = ips.map(({ address }) => addAddr(ifIndex, address, { noDad: !dad }));
  // Neighbours learn at once who has the address now: see `announce` in add.ts for what makes the kernel speak.
  requests.push(setLink(ifIndex, { up: true, arpNotify: true }));
  for (const route of containerRoutes) requests.push(addRoute({ ...route, ifIndex, table: route.table || undefined }));
  /** What to say when the kernel refuses one of them. */
  const failure = (at: number): string => {
    const address = ips[at]?.address;
    const route = containerRoutes[at - ips.length - 1];
    if (address !== undefined) return `failed to add IP addr ${formatPrefix(address)} to "${name}"`;
    if (route !== undefined) return `failed to add route '${describe(route, name)}'`;
    return at < 0 ? "failed to configure the container's link" : `failed to set "${name}" up`;
  };
  const change = (some: readonly Request[]) => {
    try {
      pod.change(...some);
    } catch (error) {
      const operation = error instanceof NetlinkError ? error.operation : undefined;
      throw inContext(error, failure(requests.findIndex((request) => operationOf(request) === operation)), host);
    }
  };
  // IPv6 routes by way of a gateway that is still being looked for as a duplicate would not be usable.
  if (dad && ips.some(({ gateway }) => gateway?.family === 6)) {
    change(requests.slice(0, ips.length + 1));
    settle(pod, ifIndex, name);
    change(requests.slice(ips.length + 1));
  } else {
    change(requests);
  }
}

/** A route as the Go plugin words it in this error, which people search for. */
function describe({ dst, gw, priority = 0, scope = 0, table = 0 }: ContainerRoute, ifName: string): string {
  const scopes: Readonly<Record<number, string>> = {
    0: "global",
    200: "site",
    253: "link",
    254: "host",
    255: "nowhere",
  };
  const via = gw === undefined ? "<nil>" : formatIp(gw);
  return `${formatPrefix(dst)} via ${via} dev ${ifName} metric ${priority} (Scope: ${scopes[scope] ?? scope}, Table: ${table})`;
}

/** IPv6, and addresses that outlive the link being down: without them the attachment is not what was asked for. */
function prepareIpv6(host: Host, netns: Netns, name: string): void {
  for (const wanted of ["lo", name].map(ipv6IsOn)) {
    const setting = settingName(wanted);
    let value: string;
    try {
      value = host.readSysctl(setting, netns);
    } catch (error) {
      host.log(`failed to read sysctl "${setting}": ${(error as Error).message}`);
      continue;
    }
    if (value === wanted.value) continue;
    try {
      host.writeSysctl(setting, wanted.value, netns);
    } catch (error) {
      throw inContext(error, `failed to enable IPv6 for interface "${wanted.link}" (${setting}=${value})`, host);
    }
  }
  try {
    const wanted = keepsAddresses(name);
    host.writeSysctl(settingName(wanted), wanted.value, netns);
  } catch (error) {
    throw inContext(error, `failed to enable keep_addr_on_down for interface "${name}"`, host);
  }
}

/** Waits for duplicate address detection. Where the time is up, only a link that carries traffic is a failure. */
function settle(pod: Places["pod"], ifIndex: number, name: string): void {
  const failure = `failed to settle addresses for "${name}"`;
  const addrs = pod.waitForAddrs(
    ifIndex,
    (seen) => seen.some(({ dadFailed }) => dadFailed) || !seen.some(({ tentative }) => tentative),
    settleMs,
  );
  const duplicate = addrs.find(({ dadFailed }) => dadFailed);
  if (duplicate !== undefined) {
    throw new CniError(
      "internal",
      `${failure}: link ${name} has address ${formatIp(duplicate.prefix.ip)} in DADFAILED state`,
      {
        hint: "another machine on this link has the same address: release it there",
      },
    );
  }
  if (addrs.some(({ tentative }) => tentative) && pod.link.get(ifIndex)?.operState === "up") {
    throw new CniError(
      "internal",
      `${failure}: link ${name} still has tentative addresses after ${settleMs / 1000} s`,
      {
        hint: "see dad_transmits and retrans_time_ms of this link",
      },
    );
  }
}
