// Which of the two keeps a plugin's rules where its configuration does not say. The choice is the one that the Go plugins
// make: a node may go back to them, and they look for rules where they would have put them.
import { isErrno } from "../host/errno.ts";
import type { Host } from "../host/host.ts";
import { openNft, type NftSocket } from "../netlink/nft/open.ts";
import { findExecutable, findIptables, isLegacyLoaded } from "./iptables/find.ts";
import { runIptables } from "./iptables/run.ts";

export type Backend = "iptables" | "nftables";

/**
 * iptables, unless it cannot be used and nftables can. A process is started only where the older tables are meant and
 * none are in use yet, or where nobody can tell what `iptables` is.
 */
export function automaticBackend(host: Host): Backend {
  return !isIptablesUsable(host) && isNftUsable(host) ? "nftables" : "iptables";
}

/** Whether iptables can look at its filter table; that the table lacks the chain asked for is an answer, too. */
export function isIptablesUsable(host: Host): boolean {
  const tool = findIptables(host, 4);
  if (tool === undefined) return false;
  // It needs of the kernel what nftables needs: where that is missing there is no better choice.
  if (tool.variant === "nft") return true;
  if (tool.variant === "legacy" && isLegacyLoaded(host, 4, "filter")) return true;
  return runIptables(host, tool, ["-t", "filter", "-S", "INPUT", "1", "--wait"]).status <= 1;
}

/** Go's plugins write nf_tables by way of `nft`, and choose it only where there is one. */
function isNftUsable(host: Host): boolean {
  if (findExecutable(host, "nft") === undefined && findIptables(host, 4) !== undefined) return false;
  const nft = openNftIfThere(host);
  nft?.close();
  return nft !== undefined;
}

/**
 * Opens nf_tables in our netns; undefined where this kernel has none. Only a question shows that: who has one to ask
 * anyhow gives it.
 */
export function openNftIfThere(
  host: Host,
  ask: (nft: NftSocket) => void = (nft) => void nft.generation(),
): NftSocket | undefined {
  let nft: NftSocket | undefined;
  try {
    nft = openNft(host);
    ask(nft);
    return nft;
  } catch (error) {
    nft?.close();
    // The socket's protocol is unknown, or what it carries is.
    if (isErrno(error, "EPROTONOSUPPORT", "EINVAL", "EOPNOTSUPP")) return undefined;
    throw error;
  }
}
