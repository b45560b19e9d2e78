// What keeps the rules of attachments: nftables (nft-backend.ts) or iptables (iptables-backend.ts).
import type { Attachment, Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Addresses } from "./address.ts";
import type { PortmapConf } from "./conf.ts";
import type { Holder, Judge } from "./holder.ts";

/** Whose rules they are. */
export interface Owner {
  readonly network: string;
  readonly attachment: Attachment;
}

/** The rules that an attachment shall have. */
export interface Wanted extends Owner, Pick<Request<PortmapConf>, "conf"> {
  readonly addresses: Addresses;
}

export interface Compared {
  /** What the kernel lacks, a line each. */
  readonly missing: readonly string[];
  /** Mappings of others that packets for ours meet first. */
  readonly holders: readonly Holder[];
}

export interface RulesBackend {
  /** Makes all of it or nothing, in each family; what is there stays. Throws what the judge throws. */
  ensure(wanted: Wanted, judge: Judge, host: Host): void;
  compare(wanted: Wanted, host: Host): Compared;
  /** Takes an attachment's rules away, whatever made them; fine where there are none, or no such backend. */
  remove(owner: Owner, host: Host): void;
  /** Takes away the rules of a network's attachments that are none of the valid. */
  removeStale(network: string, valid: readonly Attachment[], host: Host): void;
  /** Throws a CniError (50) where `ensure` could not work, or one (7) where it cannot do what is configured. */
  checkUsable(conf: PortmapConf, host: Host): void;
}
