// The kernel's connection tracking in one netns, over nfnetlink: finds flows and forgets them.
import { isErrno } from "../../host/errno.ts";
import type { Host } from "../../host/host.ts";
import type { Family } from "../../ip/ip.ts";
import { NETLINK_NETFILTER } from "../nft/message.ts";
import { Conversation } from "../wire/conversation.ts";
import { decodeFlow, delFlow, listFlows, type Flow } from "./flow.ts";

export interface ConntrackSocket {
  /** Flows of a protocol (IPPROTO_*) by the port they were first sent to, where one is given. */
  list(family: Family, protocol: number, dstPort?: number): Flow[];
  /** false when it had ended already. */
  del(flow: Flow): boolean;
  close(): void;
}

/** Opens connection tracking in our own netns. */
export function openConntrack(host: Host): ConntrackSocket {
  const conversation = new Conversation(host.netlink(NETLINK_NETFILTER));
  return {
    list: (family, protocol, dstPort) =>
      conversation
        .dump(listFlows(family, protocol, dstPort))
        .flatMap(({ payload }) => decodeFlow(payload) ?? [])
        .filter((flow) => flow.protocol === protocol && (dstPort === undefined || flow.dstPort === dstPort)),
    del(flow) {
      try {
        conversation.exchange([delFlow(flow)]);
        return true;
      } catch (error) {
        if (isErrno(error, "ENOENT")) return false;
        throw error;
      }
    },
    close: () => conversation.close(),
  };
}
