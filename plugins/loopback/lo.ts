import type { Host, Netns } from "../../lib/host/host.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";

/** The kernel gives `lo` this index in every netns. */
export const LOOPBACK_IFINDEX = 1;

/** Runs `body` with rtnetlink in a container's netns, then closes both. */
export function inContainer<T>(netns: Netns, host: Host, body: (route: RouteSocket) => T): T {
  try {
    const route = openRoute(host, netns);
    try {
      return body(route);
    } finally {
      route.close();
    }
  } finally {
    netns.close();
  }
}
