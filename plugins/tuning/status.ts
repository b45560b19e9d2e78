import type { Request } from "../../lib/cni/plugin.ts";
import { refuseUnwritable } from "../../lib/cni/writable.ts";
import type { Host } from "../../lib/host/host.ts";
import { refuseForbidden } from "./allowlist.ts";
import { changesLink, type TuningConf } from "./conf.ts";
import { settingsOf } from "./sysctls.ts";

/** An ADD would be allowed its settings, and could keep what it changes. Of no attachment there is a link to look at. */
export function status({ conf }: Request<TuningConf>, host: Host): void {
  settingsOf(conf.sysctls, "eth0");
  refuseForbidden(conf.sysctls.keys(), host);
  if (changesLink(conf.link)) refuseUnwritable(host, conf.dataDir, "backup");
}
