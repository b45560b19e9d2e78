// The container's end of the pair: its settings, addresses and routes, all in one datagram once IPAM has answered.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import { formatIp } from "../../lib/ip/ip.ts";
import { formatPrefix } from "../../lib/ip/prefix.ts";
import { addAddr } from "../../lib/netlink/route/addr.ts";
import { setLink } from "../../lib/netlink/route/link.ts";
import { addRoute } from "../../lib/netlink/route/route.ts";
import type { Request } from "../../lib/netlink/wire/conversation.ts";
import { NetlinkError } from "../../lib/netlink/wire/error.ts";
import type { BridgeConf } from "./conf.ts";
import type { ContainerRoute, Layer3 } from "./desired.ts";
import type { End, Places } from "./pair.ts";
import { ipv6IsOn, keepsAddresses, linkSettings, settingName } from "./settings.ts";
import { writeSetting } from "./sysctl.ts";

const settleMs = 5_000;

/** One request, and what to say when the kernel refuses it. */
interface Step {
  readonly request: Request;
  readonly failure: () => string;
}

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

  const steps: Step[] = ips.map(({ address }) => ({
    request: addAddr(ifIndex, address, { noDad: !dad }),
    failure: () => `failed to add IP addr ${formatPrefix(address)} to "${name}"`,
  }));
  steps.push({ request: setLink(ifIndex, { up: true }), failure: () => `failed to set "${name}" up` });
  const routes: Step[] = containerRoutes.map((route) => ({
    request: addRoute({ ...route, ifIndex, table: route.table === 0 ? undefined : route.table }),
    failure: () => `failed to add route '${describe(route, name)}'`,
  }));
  // IPv6 routes by way of a gateway that is still being looked for as a duplicate would not be usable.
  if (dad && ips.some(({ gateway }) => gateway?.family === 6)) {
    change(host, pod, steps);
    settle(pod, ifIndex, name);
    change(host, pod, routes);
  } else {
    change(host, pod, [...steps, ...routes]);
  }
}

function change(host: Host, pod: Places["pod"], steps: readonly Step[]): void {
  try {
    pod.change(...steps.map(({ request }) => request));
  } catch (error) {
    const operation = error instanceof NetlinkError ? error.operation : undefined;
    const refused = steps.find(({ request }) => request.operation === operation);
    throw inContext(error, refused?.failure() ?? "failed to configure the container's link", host);
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
