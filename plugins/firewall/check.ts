// CHECK: every rule that lets the container's packets pass is there, the way to them, and what keeps its bridge apart.
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import { chooseBackend, missingRules } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { wishOf } from "./wish.ts";

/** Throws a CniError that names every rule that is missing. Makes nothing. */
export function check(request: AttachmentRequest<FirewallConf>, host: Host): void {
  const wish = wishOf(request);
  const missing = missingRules(host, chooseBackend(request.conf, host), wish);
  if (missing.length === 0) return;
  throw new CniError("internal", missing.map((line) => `missing rule: ${line}`).join("; "), {
    hint: "delete the container and let it be made again; did something flush or reload the firewall?",
  });
}
