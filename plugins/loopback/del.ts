import { openIfThere } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { setLink } from "../../lib/netlink/route/link.ts";
import { inContainer, LOOPBACK_IFINDEX } from "./lo.ts";

/** Takes `lo` down; done when the netns is gone. */
export function del(request: AttachmentRequest<unknown>, host: Host): void {
  const netns = openIfThere(request.netns, host);
  if (netns === undefined) return;
  inContainer(netns, host, (route) => route.change(setLink(LOOPBACK_IFINDEX, { up: false })));
}
