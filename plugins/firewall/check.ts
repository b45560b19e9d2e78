// CHECK: every rule that lets the container's packets pass is there, the way to them, and what keeps its bridge apart; no
// other attachment has its addresses by now, and no chain of others drops its packets all the same.
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { formatIp } from "../../lib/ip/ip.ts";
import { chooseBackend, closedChains, missingRules } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { isSameAttachment, noted } from "./records.ts";
import { wishOf } from "./wish.ts";

/** Throws a CniError that names every difference. Makes nothing. */
export function check(request: AttachmentRequest<FirewallConf>, host: Host): void {
  const wish = wishOf(request, host);
  if (wish.addresses.length === 0) return;
  const backend = chooseBackend(request.conf, host);
  const missing = missingRules(host, backend, wish);
  const taken = wish.addresses.flatMap((ip) => {
    const owner = noted(host, ip);
    // The Go plugin notes nobody.
    if (owner === undefined || isSameAttachment(owner, wish.owner)) return [];
    return [`${formatIp(ip)} passes for "${owner.ifName}" of container "${owner.containerId}"`];
  });
  const closed = closedChains(host, backend, wish).map((chain) => `nft chain ${chain} drops whatever is forwarded`);
  const differences = [...missing.map((line) => `missing rule: ${line}`), ...taken];
  if (differences.length + closed.length === 0) return;
  throw new CniError("internal", [...differences, ...closed].join("; "), {
    hint:
      differences.length > 0
        ? "delete the container and let it be made again; did something flush or reload the firewall?"
        : 'give that chain the policy accept, or rules that accept the network\'s packets; or set "backend" to iptables',
  });
}
