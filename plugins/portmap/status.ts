// STATUS: whether an ADD with mappings could work.
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { chooseBackend } from "./choose.ts";
import type { PortmapConf } from "./conf.ts";

/** Throws a CniError (50) where the backend cannot be used. */
export function status({ conf }: Request<PortmapConf>, host: Host): void {
  chooseBackend(conf, host).checkUsable(conf, host);
}
