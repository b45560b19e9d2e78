// UDP has no connections, but the kernel remembers where it sent the last packet of a flow and sends the next one there,
// past any new rule: such flows are forgotten when a port comes to lead elsewhere.
import type { Host } from "../../lib/host/host.ts";
import { equalIps, type Family, type Ip } from "../../lib/ip/ip.ts";
import { openConntrack } from "../../lib/netlink/conntrack/open.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { mappingsFor, type Mapping } from "./mapping.ts";

const IPPROTO_UDP = 17;

/** Forgets the flows to these mappings. What cannot be forgotten ends by itself, so a failure is only logged. */
export function forgetFlows(host: Host, families: readonly Family[], mappings: readonly Mapping[]): void {
  const udp = mappings.filter(({ protocol }) => protocol === "udp");
  for (const family of families) {
    const concerned = mappingsFor(family, udp);
    if (concerned.length === 0) continue;
    try {
      forget(host, family, concerned);
    } catch (error) {
      host.log(`failed to delete stale UDP conntrack entries (IPv${family}): ${(error as Error).message}`);
    }
  }
}

function forget(host: Host, family: Family, mappings: readonly Mapping[]): void {
  const [only, ...others] = mappings;
  const conntrack = openConntrack(host);
  try {
    // One look for all ports: the kernel walks its whole table for each.
    const flows = conntrack.list(family, IPPROTO_UDP, others.length === 0 ? only?.hostPort : undefined);
    const concerned = flows.filter(({ dst, dstPort }) =>
      mappings.some(({ hostPort, hostIp }) => hostPort === dstPort && (hostIp === undefined || equalIps(hostIp, dst))),
    );
    if (concerned.length === 0) return;
    const isLocal = localTest(host);
    for (const flow of concerned) if (isLocal(flow.dst)) conntrack.del(flow);
  } finally {
    conntrack.close();
  }
}

/** Whether an address is the node's own: a flow past the node to the same port elsewhere is none of ours. */
function localTest(host: Host): (address: Ip) => boolean {
  const known: { readonly address: Ip; readonly local: boolean }[] = [];
  return (address) => {
    const found = known.find((each) => equalIps(each.address, address));
    if (found !== undefined) return found.local;
    const node = openRoute(host);
    try {
      const local = node.route.lookUp(address)?.type === "local";
      known.push({ address, local });
      return local;
    } finally {
      node.close();
    }
  };
}
