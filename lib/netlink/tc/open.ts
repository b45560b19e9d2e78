// Traffic control in one netns: what shapes the traffic of links. It asks and changes; it decides nothing. The requests
// are pure values (qdisc.ts, filter.ts): `change` sends several in one datagram.
import { isErrno } from "../../host/errno.ts";
import type { Host, Netns } from "../../host/host.ts";
import { Conversation, type Request } from "../wire/conversation.ts";
import { decodeFilter, listFilters, type Filter } from "./filter.ts";
import { TC_H_INGRESS, TC_H_ROOT } from "./message.ts";
import { decodeQdisc, delQdisc, getQdisc, type Qdisc } from "./qdisc.ts";

const NETLINK_ROUTE = 0;

/** Where on a link a queueing discipline stands. */
export type Place = "root" | "ingress";
const parents = { root: TC_H_ROOT, ingress: TC_H_INGRESS } as const;

export interface TcSocket {
  /** Sends all in one datagram, waits for all, throws the first refusal (a NetlinkError). */
  change(...requests: readonly Request[]): void;
  qdisc: {
    /** undefined where the link has none, or is gone. */
    get(ifIndex: number, place: Place): Qdisc | undefined;
    /** false where there was none to delete. */
    del(ifIndex: number, place: Place): boolean;
  };
  /** The filters on what the link receives, in the order they are asked. */
  filter: { list(ifIndex: number): Filter[] };
  close(): void;
}

/** Nothing there: no such link, no ingress, or a root that is the kernel's own and has no handle. */
const isNothing = (error: unknown): boolean => isErrno(error, "ENOENT", "EINVAL", "ENODEV");

/** Opens traffic control in the netns, or in our own. */
export function openTc(host: Host, netns?: Netns): TcSocket {
  const conversation = new Conversation(host.netlink(NETLINK_ROUTE, netns));
  return {
    change(...requests) {
      if (requests.length > 0) conversation.exchange(requests);
    },

    qdisc: {
      get(ifIndex, place) {
        try {
          const [reply] = conversation.exchange([getQdisc(ifIndex, parents[place])]);
          return reply === undefined ? undefined : decodeQdisc(reply.payload);
        } catch (error) {
          if (isNothing(error)) return undefined;
          throw error;
        }
      },
      del(ifIndex, place) {
        try {
          conversation.exchange([delQdisc(ifIndex, parents[place])]);
          return true;
        } catch (error) {
          if (isNothing(error)) return false;
          throw error;
        }
      },
    },

    filter: {
      list(ifIndex) {
        try {
          return conversation.dump(listFilters(ifIndex)).map(({ payload }) => decodeFilter(payload));
        } catch (error) {
          if (isNothing(error)) return [];
          throw error;
        }
      },
    },

    close: () => conversation.close(),
  };
}
