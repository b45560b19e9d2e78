// The nftables backend over nfnetlink: no process is started, and none of nft's has to be installed.
import { CniError } from "../../lib/cni/error.ts";
import type { Host } from "../../lib/host/host.ts";
import { openNft, type NftSocket } from "../../lib/netlink/nft/open.ts";
import { maxCommentBytes } from "../../lib/netlink/nft/userdata.ts";
import type { RulesBackend, Wanted } from "./backend.ts";
import { nftConditions } from "./conditions.ts";
import { oneAtATime } from "./lock.ts";
import { ownerMark } from "./names.ts";
import { compareNft, ensureNft } from "./nft.ts";
import type { NftWish } from "./nft-plan.ts";

function withNft<T>(host: Host, body: (nft: NftSocket) => T): T {
  const nft = openNft(host);
  try {
    return body(nft);
  } finally {
    nft.close();
  }
}

function wishesOf({ conf, network, attachment, isOwn, addresses }: Wanted, host: Host): NftWish[] {
  const mark = ownerMark(host, network, attachment.ifName);
  const { mappings, snat, masqAll } = conf;
  return ([4, 6] as const).flatMap((family): NftWish[] => {
    const address = addresses[family]?.ip;
    if (address === undefined) return [];
    const conditions = nftConditions(conf.conditions[family], family);
    return [{ attachment, isOwn, mark, address, mappings, snat, masqAll, conditions, conditionsIn: "mappings" }];
  });
}

export const nftables: RulesBackend = {
  ensure(wanted, judge, host) {
    const { containerId } = wanted.attachment;
    if (containerId.length > maxCommentBytes)
      throw new CniError(
        "invalidEnvironment",
        `container id of ${containerId.length} bytes: nft comments have room for ${maxCommentBytes}`,
        {
          details: containerId,
          hint: "use shorter ids, or the iptables backend",
        },
      );
    const wishes = wishesOf(wanted, host);
    withNft(host, (nft) =>
      oneAtATime(host, () => ensureNft(nft, wishes, (holder, { address }) => judge.isStale(holder, address))),
    );
  },

  compare: (wanted, host) => withNft(host, (nft) => compareNft(nft, wishesOf(wanted, host))),

  checkUsable({ conditions }, host) {
    for (const family of [4, 6] as const) nftConditions(conditions[family], family);
    try {
      withNft(host, (nft) => nft.generation());
    } catch (cause) {
      throw new CniError("unavailable", `nftables cannot be used: ${(cause as Error).message}`, {
        cause,
        hint: "the kernel needs CONFIG_NF_TABLES, this process CAP_NET_ADMIN; or choose the iptables backend",
      });
    }
  },
};
