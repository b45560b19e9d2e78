// CHECK: every rule that lets the container's packets pass is there, the way to them, and what keeps its bridge apart; and no
// other attachment has its addresses by now.
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { formatIp } from "../../lib/ip/ip.ts";
import { chooseBackend, missingRules } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { isSameAttachment, noted } from "./records.ts";
import { wishOf } from "./wish.ts";

/** Throws a CniError that names every difference. Makes nothing. */
export function check(request: AttachmentRequest<FirewallConf>, host: Host): void {
  const wish = wishOf(request, host);
  if (wish.addresses.length === 0) return;
  const missing = missingRules(host, chooseBackend(request.conf, host), wish);
  const taken = wish.addresses.flatMap((ip) => {
    const owner = noted(host, ip);
    // The Go plugin notes nobody.
    if (owner === undefined || isSameAttachment(owner, wish.owner)) return [];
    return [`${formatIp(ip)} passes for "${owner.ifName}" of container "${owner.containerId}"`];
  });
  const differences = [...missing.map((line) => `missing rule: ${line}`), ...taken];
  if (differences.length === 0) return;
  throw new CniError("internal", differences.join("; "), {
    hint: "delete the container and let it be made again; did something flush or reload the firewall?",
  });
}
