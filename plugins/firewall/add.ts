// ADD: the container's packets come to pass. What several containers share stays when anything fails.
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import { Undo } from "../../lib/cni/undo.ts";
import type { Host } from "../../lib/host/host.ts";
import { chooseBackend, ensureRules } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { removeAddresses } from "./remove.ts";
import { wishOf } from "./wish.ts";

/** Lets the addresses of the result before it pass, and passes that on. Without addresses it looks at nothing. */
export function add(request: AttachmentRequest<FirewallConf>, host: Host): Result {
  const { before, ...wish } = wishOf(request, host);
  if (wish.addresses.length === 0) return before;
  const backend = chooseBackend(request.conf, host);
  const undo = new Undo();
  undo.push("remove the rules", () => removeAddresses(host, wish.addresses));
  try {
    ensureRules(host, backend, wish);
  } catch (error) {
    undo.run(host);
    throw error;
  }
  return before;
}
