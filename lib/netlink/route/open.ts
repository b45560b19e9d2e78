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
import {
  decodeLink,
  delLink,
  faceOf,
  getLink,
  isLinkUp,
  listLinks,
  operStateOf,
  vethEndOf,
  type Link,
  type OperState,
} from "./link.ts";
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
    /** The same for who wants to know no more of it than this, which is sooner read. */
    isUp(which: string | number): boolean | undefined;
    operState(which: string | number): OperState | undefined;
    face(which: string | number): Pick<Link, "name" | "mac" | "mtu"> | undefined;
    /** Of a link that is known to be a veth. */
    vethEnd(which: string | number): Pick<Link, "ifIndex" | "mtu" | "peerIfIndex"> | undefined;
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

function decoded<T>(messages: readonly Message[], decode: (payload: Uint8Array) => T | undefined): T[] {
  const all: T[] = [];
  for (const { payload } of messages) {
    const each = decode(payload);
    if (each !== undefined) all.push(each);
  }
  return all;
}

const ofLink = (ifIndex: number, addrs: readonly Addr[]): Addr[] => addrs.filter((addr) => addr.ifIndex === ifIndex);

/** Opens rtnetlink in the netns, or in our own. */
export const openRoute = (host: Host, netns?: Netns): RouteSocket => new OpenRoute(host, netns);

// Classes, for their methods are there when a process starts: an object of functions would be made anew for each socket.
// Their members are private to TypeScript alone: where they begin with #, the engine has more to do for each object.

class OpenRoute implements RouteSocket {
  readonly link: Links;
  readonly addr: Addrs;
  readonly route: Routes;
  readonly vlan: Vlans;
  private readonly host: Host;
  private readonly netns: Netns | undefined;
  private readonly conversation: Conversation;

  constructor(host: Host, netns: Netns | undefined) {
    const conversation = new Conversation(host.netlink(NETLINK_ROUTE, netns));
    this.host = host;
    this.netns = netns;
    this.conversation = conversation;
    this.link = new Links(conversation);
    this.addr = new Addrs(conversation);
    this.route = new Routes(conversation);
    this.vlan = new Vlans(conversation);
  }

  change(...requests: readonly Request[]): void {
    if (requests.length > 0) this.conversation.exchange(requests);
  }

  attempt(...requests: readonly Request[]): NetlinkError[] {
    return requests.length > 0 ? this.conversation.attempt(requests) : [];
  }

  waitForLink(ifIndex: number, done: (link: Link) => boolean, timeoutMs: number): Link | undefined {
    const isDone = (link: Link | undefined) => link === undefined || done(link);
    return this.watch(RTNLGRP_LINK, () => this.link.get(ifIndex), isDone, timeoutMs);
  }

  waitForAddrs(ifIndex: number, done: (addrs: readonly Addr[]) => boolean, timeoutMs: number): Addr[] {
    return this.watch(RTNLGRP_IPV6_IFADDR, () => this.addr.list(ifIndex), done, timeoutMs);
  }

  close(): void {
    this.conversation.close();
  }

  /** Looks, and looks again at each change the group tells of, until it is as wanted or the time is up. */
  private watch<T>(group: number, look: () => T, done: (seen: T) => boolean, timeoutMs: number): T {
    const host = this.host;
    const changes = new Conversation(host.netlink(NETLINK_ROUTE, this.netns));
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
}

class Links {
  private readonly conversation: Conversation;

  constructor(conversation: Conversation) {
    this.conversation = conversation;
  }

  get(which: string | number): Link | undefined {
    const payload = this.answer(which);
    return payload && decodeLink(payload);
  }

  isUp(which: string | number): boolean | undefined {
    const payload = this.answer(which);
    return payload && isLinkUp(payload);
  }

  operState(which: string | number): OperState | undefined {
    const payload = this.answer(which);
    return payload && operStateOf(payload);
  }

  face(which: string | number): Pick<Link, "name" | "mac" | "mtu"> | undefined {
    const payload = this.answer(which);
    return payload && faceOf(payload);
  }

  vethEnd(which: string | number): Pick<Link, "ifIndex" | "mtu" | "peerIfIndex"> | undefined {
    const payload = this.answer(which);
    return payload && vethEndOf(payload);
  }

  list(): Link[] {
    return decoded(this.conversation.dumpWhole(listLinks(NLM_F_DUMP)), decodeLink);
  }

  del(which: string | number): boolean {
    try {
      this.conversation.exchange([delLink(which)]);
      return true;
    } catch (error) {
      if (isErrno(error, "ENODEV")) return false;
      throw error;
    }
  }

  private answer(which: string | number): Uint8Array | undefined {
    try {
      return this.conversation.exchange([getLink(which)])[0]?.payload;
    } catch (error) {
      if (isErrno(error, "ENODEV")) return undefined;
      throw error;
    }
  }
}

class Addrs {
  private readonly conversation: Conversation;

  constructor(conversation: Conversation) {
    this.conversation = conversation;
  }

  list(ifIndex: number): Addr[] {
    return ofLink(ifIndex, decoded(this.conversation.dumpWhole(listAddrs(ifIndex)), decodeAddr));
  }

  listLoosely(ifIndex: number): Addr[] {
    return ofLink(ifIndex, decoded(this.conversation.dump(listAddrs(ifIndex)), decodeAddr));
  }

  listIn(netnsId: number, ifIndex: number): Addr[] | undefined {
    try {
      const addrs = decoded(this.conversation.dumpWhole(listAddrs(ifIndex, netnsId)), decodeAddr);
      if (addrs.some((addr) => addr.netnsId !== netnsId)) return undefined;
      return ofLink(ifIndex, addrs);
    } catch (error) {
      if (error instanceof NetlinkError) return undefined;
      throw error;
    }
  }
}

class Routes {
  private readonly conversation: Conversation;

  constructor(conversation: Conversation) {
    this.conversation = conversation;
  }

  list(family: Family): Route[] {
    return decoded(this.conversation.dumpWhole(listRoutes(family)), (payload) => decodeRoute(payload, family));
  }

  lookUp(address: Ip): Way | undefined {
    try {
      const [reply] = this.conversation.exchange([lookUpRoute(address)]);
      return reply && decodeWay(reply.payload);
    } catch (error) {
      // EINVAL is a blackhole's answer, EACCES a prohibition's.
      if (isErrno(error, "ENETUNREACH", "EHOSTUNREACH", "EINVAL", "EACCES")) return undefined;
      throw error;
    }
  }
}

class Vlans {
  private readonly conversation: Conversation;

  constructor(conversation: Conversation) {
    this.conversation = conversation;
  }

  list(portIfIndex: number): PortVlan[] {
    return decoded(this.conversation.dumpWhole(listVlans()), (payload) => decodeVlans(payload, portIfIndex)).flat();
  }
}
