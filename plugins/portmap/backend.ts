// What keeps the rules of attachments: nftables (nft-backend.ts) or iptables (iptables-backend.ts).
import type { Attachment, Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Addresses } from "./address.ts";
import type { PortmapConf } from "./conf.ts";
import type { Holder, Judge } from "./holder.ts";
import type { Whose } from "./own.ts";

/** Whose rules they are. */
export interface Owner extends Whose {
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

/** To take rules away there is remove.ts, for both at once: a configuration may have changed since. */
export interface RulesBackend {
  /** Makes what is missing and nothing twice. What was made before it fails is for the caller to take away. */
  ensure(wanted: Wanted, judge: Judge, host: Host): void;
  compare(wanted: Wanted, host: Host): Compared;
  /** Throws a CniError (50) where `ensure` could not work, or one (7) where it cannot do what is configured. */
  checkUsable(conf: PortmapConf, host: Host): void;
}
