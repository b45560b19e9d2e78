import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { inContainer, LOOPBACK_IFINDEX } from "./lo.ts";

/** `lo` is up. */
export function check(request: AttachmentRequest<unknown>, host: Host): void {
  const netns = openContainer(request.netns, host);
  if (inContainer(netns, host, (route) => route.link.isUp(LOOPBACK_IFINDEX) === true)) return;
  throw new CniError("internal", "loopback interface is down", {
    hint: `take it up: nsenter --net=${request.netns} ip link set lo up`,
  });
}
