// STATUS: an ADD could make its rules, and note whose they are. A chain of another's that drops what they accept is told of
// and no more: what stays within a bridge may pass all the same, and a node that is not ready gets no container at all.
import { toCniError } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import { refuseUnwritable } from "../../lib/cni/writable.ts";
import { isIptablesUsable, openNftIfThere } from "../../lib/firewall/backend.ts";
import type { Host } from "../../lib/host/host.ts";
import { chooseBackend } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { tellOfDropping } from "./nft.ts";
import { directory } from "./records.ts";

/** Throws a CniError (50) where the backend is none that this node has, or no note can be written. */
export function status({ conf }: Request<FirewallConf>, host: Host): void {
  const backend = chosen(conf, host);
  if (backend === "iptables" ? !isIptablesUsable(host) : !isNftThere(host))
    throw new CniError("unavailable", `the ${backend} backend cannot be used on this node`, {
      hint: backend === "iptables" ? "install iptables where the runtime's PATH leads" : "load the module nf_tables",
    });
  refuseUnwritable(host, directory, "note");
}

function chosen(conf: FirewallConf, host: Host): ReturnType<typeof chooseBackend> {
  try {
    return chooseBackend(conf, host);
  } catch (error) {
    const { message, details } = toCniError(error, host);
    throw new CniError("unavailable", message, { details, cause: error });
  }
}

function isNftThere(host: Host): boolean {
  const nft = openNftIfThere(host);
  if (nft === undefined) return false;
  try {
    tellOfDropping(host, nft);
  } finally {
    nft.close();
  }
  return true;
}
