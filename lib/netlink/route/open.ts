// rtnetlink in one netns: links, addresses, routes. A socket belongs to the netns it was opened in for good, so a call
// site shows which one it means: `openRoute(host)` is the node, `openRoute(host, netns)` the container.
//
// It asks and changes; it decides nothing. The requests are pure values (link.ts, port.ts, addr.ts, route.ts): `change`
// sends several in one datagram.
import type { Host, Netns } from "../../host/host.ts";
import { isErrno } from "../../host/errno.ts";
import type { Family, Ip } from "../../ip/ip.ts";
import { Conversation, NLM_F_DUMP, type Message, type Request } from "../wire/conversation.ts";
import { NetlinkError } from "../wire/error.ts";
import { decodeAddr, listAddrs, type Addr } from "./addr.ts";
import { decodeLink, delLink, getLink, listLinks, type Link } from "./link.ts";
import { decodeVlans, listVlans, type PortVlan } from "./port.ts";
import { decodeWay, lookUpRoute, type Way } from "./lookup.ts";
import { decodeRoute, listRoutes, type Route } from "./route.ts";

const NETLINK_ROUTE = 0;
const RTNLGRP_LINK = 1;
const RTNLGRP_IPV6_IFADDR = 9;

/** A list that changes again and again while it is read is EAGAIN, so that nothing seems gone that is there. */
export interface RouteSocket {
  /** Sends all in one datagram, waits for all, throws the first refusal (a NetlinkError). */
  change(...requests: readonly Request[]): void;
  /** Sends all in one datagram, waits for all, returns every refusal. */
  attempt(...requests: readonly Request[]): NetlinkError[];
  link: {
    /** undefined when there is no such link. */
    get(which: string | number): Link | undefined;
    list(): Link[];
    /** false when there was no such link. The kernel takes 10 to 20 ms for it. */
    del(which: string | number): boolean;
  };
  addr: {
    list(ifIndex: number): Addr[];
    /** Never EAGAIN: what is in the list was there, what is not in it may be. */
    listLoosely(ifIndex: number): Addr[];
    /** Addresses of a link in the netns of this number; undefined where the kernel does not tell. */
    listIn(netnsId: number, ifIndex: number): Addr[] | undefined;
  };
  route: {
    /** Routes of a family, all tables. */
    list(family: Family): Route[];
    /** The way to an address; undefined where there is none. */
    lookUp(address: Ip): Way | undefined;
  };
  vlan: { list(portIfIndex: number): PortVlan[] };
  /** Waits until the link satisfies `done`; the link as last seen, whether it does or the time is up. */
  waitForLink(ifIndex: number, done: (link: Link) => boolean, timeoutMs: number): Link | undefined;
  /** The same for the IPv6 addresses of a link; what is asked for at a change are all its addresses. */
  waitForAddrs(ifIndex: number, done: (addrs: readonly Addr[]) => boolean, timeoutMs: number): Addr[];
  close(): void;
}

const decoded = <T>(messages: readonly Message[], decode: (payload: Uint8Array) => T | undefined): T[] =>
  messages.flatMap(({ payload }) => decode(payload) ?? []);

/** Opens rtnetlink in the netns, or in our own. */
export function openRoute(host: Host, netns?: Netns): RouteSocket {
  const conversation = new Conversation(host.netlink(NETLINK_ROUTE, netns));

  function dump<T>(request: Request, decode: (payload: Uint8Array) => T | undefined): T[] {
    return decoded(conversation.dumpWhole(request), decode);
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

  const of = (ifIndex: number, addrs: readonly Addr[]): Addr[] => addrs.filter((addr) => addr.ifIndex === ifIndex);
  const listOf = (ifIndex: number): Addr[] => of(ifIndex, dump(listAddrs(ifIndex), decodeAddr));

  /** Looks, and looks again at each change the group tells of, until it is as wanted or the time is up. */
  function watch<T>(group: number, look: () => T, done: (seen: T) => boolean, timeoutMs: number): T {
    const changes = new Conversation(host.netlink(NETLINK_ROUTE, netns));
    try {
      changes.join(group);
      const deadline = host.monotonicMs() + timeoutMs;
      for (;;) {
        // The first look comes only after joining, so that no change falls between.
        const seen = look();
        const leftMs = Math.ceil(deadline - host.monotonicMs());
        if (leftMs <= 0 || done(seen)) return seen;
        try {
          changes.notifications(leftMs);
        } catch (error) {
          // The time is up, or so much happened that the kernel dropped some of it: either way the next look tells.
          if (!isErrno(error, "EAGAIN", "ENOBUFS")) throw error;
        }
      }
    } finally {
      changes.close();
    }
  }

  return {
    change(...requests) {
      if (requests.length > 0) conversation.exchange(requests);
    },

    attempt: (...requests) => (requests.length > 0 ? conversation.attempt(requests) : []),

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

    addr: {
      list: listOf,
      listLoosely: (ifIndex) => of(ifIndex, decoded(conversation.dump(listAddrs(ifIndex)), decodeAddr)),
      listIn(netnsId, ifIndex) {
        try {
          const addrs = dump(listAddrs(ifIndex, netnsId), decodeAddr);
          if (addrs.some((addr) => addr.netnsId !== netnsId)) return undefined;
          return of(ifIndex, addrs);
        } catch (error) {
          if (error instanceof NetlinkError) return undefined;
          throw error;
        }
      },
    },

    route: {
      list: (family) => dump(listRoutes(family), (payload) => decodeRoute(payload, family)),
      lookUp(address) {
        try {
          const [reply] = conversation.exchange([lookUpRoute(address)]);
          return reply && decodeWay(reply.payload);
        } catch (error) {
          // EINVAL is a blackhole's answer, EACCES a prohibition's.
          if (isErrno(error, "ENETUNREACH", "EHOSTUNREACH", "EINVAL", "EACCES")) return undefined;
          throw error;
        }
      },
    },

    vlan: {
      list: (portIfIndex) => dump(listVlans(), (payload) => decodeVlans(payload, portIfIndex)).flat(),
    },

    waitForLink: (ifIndex, done, timeoutMs) =>
      watch(
        RTNLGRP_LINK,
        () => get(ifIndex),
        (link) => link === undefined || done(link),
        timeoutMs,
      ),

    waitForAddrs: (ifIndex, done, timeoutMs) => watch(RTNLGRP_IPV6_IFADDR, () => listOf(ifIndex), done, timeoutMs),

    close: () => conversation.close(),
  };
}
