// rtnetlink in one netns: links, addresses, routes. A socket belongs to the netns it was opened in for good, so a call
// site shows which one it means: `openRoute(host)` is the node, `openRoute(host, netns)` the container.
//
// It asks and changes; it decides nothing. The requests are pure values (link.ts, port.ts, addr.ts, route.ts): `change`
// sends several in one datagram.
import type { Host, Netns } from "../../host/host.ts";
import { isErrno } from "../../host/errno.ts";
import type { Family } from "../../ip/ip.ts";
import { Conversation, NLM_F_DUMP, type Message, type Request } from "../wire/conversation.ts";
import { decodeAddr, listAddrs, type Addr } from "./addr.ts";
import { decodeLink, delLink, getLink, listLinks, type Link } from "./link.ts";
import { decodeVlans, listVlans, type PortVlan } from "./port.ts";
import { decodeRoute, listRoutes, RT_TABLE_MAIN, type Route } from "./route.ts";

const NETLINK_ROUTE = 0;
const RTNLGRP_LINK = 1;

export interface RouteSocket {
  /** Sends all in one datagram, waits for all, throws the first refusal (a NetlinkError). */
  change(...requests: readonly Request[]): void;
  link: {
    /** undefined when there is no such link. */
    get(which: string | number): Link | undefined;
    list(): Link[];
    /** false when there was no such link. The kernel takes 10 to 20 ms for it. */
    del(which: string | number): boolean;
  };
  addr: { list(ifIndex: number): Addr[] };
  /** Routes of a family in the main table. */
  route: { list(family: Family): Route[] };
  vlan: { list(portIfIndex: number): PortVlan[] };
  /** Waits until the link satisfies `done`; the link as last seen, whether it does or the time is up. */
  waitForLink(ifIndex: number, done: (link: Link) => boolean, timeoutMs: number): Link | undefined;
  close(): void;
}

/** Opens rtnetlink in the netns, or in our own. */
export function openRoute(host: Host, netns?: Netns): RouteSocket {
  const conversation = new Conversation(host.netlink(NETLINK_ROUTE, netns));

  function dump<T>(request: Request, decode: (payload: Uint8Array) => T | undefined): T[] {
    return conversation.dump(request).flatMap((message: Message) => decode(message.payload) ?? []);
  }

  function get(which: string | number): Link | undefined {
    try {
      const [reply] = conversation.exchange([getLink(which)]);
      return reply === undefined ? undefined : decodeLink(reply.payload);
    } catch (error) {
      if (isErrno(error, "ENODEV")) return undefined;
      throw error;
    }
  }

  return {
    change(...requests) {
      if (requests.length > 0) conversation.exchange(requests);
    },

    link: {
      get,
      list: () => dump(listLinks(NLM_F_DUMP), decodeLink),
      del(which) {
        try {
          conversation.exchange([delLink(which)]);
          return true;
        } catch (error) {
          if (isErrno(error, "ENODEV")) return false;
          throw error;
        }
      },
    },

    addr: { list: (ifIndex) => dump(listAddrs(ifIndex), decodeAddr).filter((addr) => addr.ifIndex === ifIndex) },

    route: {
      list: (family) =>
        dump(listRoutes(family), (payload) => decodeRoute(payload, family)).filter(
          (route) => route.table === RT_TABLE_MAIN,
        ),
    },

    vlan: {
      list: (portIfIndex) => dump(listVlans(), (payload) => decodeVlans(payload, portIfIndex)).flat(),
    },

    waitForLink(ifIndex, done, timeoutMs) {
      const watch = new Conversation(host.netlink(NETLINK_ROUTE, netns));
      try {
        watch.join(RTNLGRP_LINK);
        // Asked only after joining, so that no change falls between the look and the watch.
        let link = get(ifIndex);
        const deadline = host.monotonicMs() + timeoutMs;
        while (link !== undefined && !done(link)) {
          const leftMs = Math.ceil(deadline - host.monotonicMs());
          if (leftMs <= 0) return link;
          try {
            watch.notifications(leftMs);
          } catch (error) {
            if (!isErrno(error, "EAGAIN", "ENOBUFS")) throw error;
          }
          link = get(ifIndex);
        }
        return link;
      } finally {
        watch.close();
      }
    },

    close: () => conversation.close(),
  };
}
