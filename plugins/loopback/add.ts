import { saidBy } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host } from "../../lib/host/host.ts";
import { formatIp, type Ip } from "../../lib/ip/ip.ts";
import type { Addr } from "../../lib/netlink/route/addr.ts";
import { setLink } from "../../lib/netlink/route/link.ts";
import type { RouteSocket } from "../../lib/netlink/route/open.ts";
import { inContainer, LOOPBACK_IFINDEX } from "./lo.ts";

function isLoopback({ family, value }: Ip): boolean {
  return family === 4 ? value >> 24n === 127n : value === 1n;
}

/** Takes `lo` up, whatever CNI_IFNAME says, and reports it; passes on what plugins before it made. */
export function add(request: AttachmentRequest<unknown>, host: Host): Result {
  const before = request.prevResult();
  const addrs = inContainer(openContainer(request.netns, host), host, (route) => {
    const wasUp = route.link.isUp(LOOPBACK_IFINDEX) === true;
    try {
      return takeUp(route);
    } catch (error) {
      if (!wasUp) takeDown(route, host);
      throw error;
    }
  });
  if (before !== undefined) return before;
  const firsts = ([4, 6] as const).flatMap((family) => addrs.find(({ prefix }) => prefix.ip.family === family) ?? []);
  return {
    interfaces: [{ name: "lo", mac: "00:00:00:00:00:00", sandbox: request.netns }],
    ips: firsts.map(({ prefix }) => ({ address: prefix, interface: 0 })),
    routes: [],
    dns: {},
  };
}

/** The kernel gives `lo` its addresses when it comes up: these, and no others, it must have. */
function takeUp(route: RouteSocket): Addr[] {
  route.change(setLink(LOOPBACK_IFINDEX, { up: true }));
  const addrs = route.addr.list(LOOPBACK_IFINDEX);
  for (const { prefix } of addrs) {
    if (!isLoopback(prefix.ip))
      throw new CniError("internal", `loopback interface found with non-loopback address "${formatIp(prefix.ip)}"`, {
        hint: "remove that address from lo in the container's network namespace",
      });
  }
  return addrs;
}

/** As it was before an ADD that failed. */
function takeDown(route: RouteSocket, host: Host): void {
  try {
    route.change(setLink(LOOPBACK_IFINDEX, { up: false }));
  } catch (error) {
    host.log(`loopback: undo: ${saidBy(error)}`);
  }
}
