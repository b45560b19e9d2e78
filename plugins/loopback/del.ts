import { openIfThere } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { setLink } from "../../lib/netlink/route/link.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { LOOPBACK_IFINDEX } from "./lo.ts";

/** Takes `lo` down; done when the netns is gone. */
export function del(request: AttachmentRequest<unknown>, host: Host): void {
  const netns = openIfThere(request.netns, host);
  if (netns === undefined) return;
  const route = openRoute(host, netns);
  try {
    route.change(setLink(LOOPBACK_IFINDEX, { up: false }));
  } finally {
    route.close();
    netns.close();
  }
}
