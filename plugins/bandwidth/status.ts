import { toCniError } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { BandwidthConf } from "./conf.ts";
import { ticksPerMicrosecond } from "./tbf.ts";

/** Of no attachment there is a link to look at; the kernel's packet scheduler is there, or it is not: CniError (50). */
export function status(_: Request<BandwidthConf>, host: Host): void {
  try {
    ticksPerMicrosecond(host);
  } catch (error) {
    const { message, details } = toCniError(error, host);
    throw new CniError("unavailable", `no traffic can be shaped: ${message}`, { details, cause: error });
  }
}
