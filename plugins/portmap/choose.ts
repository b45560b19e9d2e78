// Which backend keeps the rules: the configured one, or else the one that the Go plugin would choose on this node, which
// after a roll-back looks for them there.
import { automaticBackend, type Backend } from "../../lib/firewall/backend.ts";
import type { Host } from "../../lib/host/host.ts";
import type { RulesBackend } from "./backend.ts";
import { refuseOtherBackends, type PortmapConf } from "./conf.ts";
import { iptables } from "./iptables-backend.ts";
import { nftables } from "./nft-backend.ts";

const backends: Readonly<Record<Backend, RulesBackend>> = { nftables, iptables };

/** Throws a CniError (7) where conditions are in the words of the other. */
export function chooseBackend(conf: PortmapConf, host: Host): RulesBackend {
  if (conf.backend !== undefined) return backends[conf.backend];
  const chosen = automaticBackend(host);
  refuseOtherBackends(conf, chosen);
  return backends[chosen];
}
