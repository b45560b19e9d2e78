// ADD: the container's packets come to pass. What several containers share stays when anything fails.
import { Faults } from "../../lib/cni/faults.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import { Undo } from "../../lib/cni/undo.ts";
import type { Host } from "../../lib/host/host.ts";
import { chooseBackend, ensureRules, removeRules } from "./backend.ts";
import type { FirewallConf } from "./conf.ts";
import { wishOf } from "./wish.ts";

/** Lets the addresses of the result before it pass, and passes that on. */
export async function add(request: AttachmentRequest<FirewallConf>, host: Host): Promise<Result> {
  const { before, ...wish } = wishOf(request);
  const backend = chooseBackend(request.conf, host);
  const undo = new Undo();
  undo.push("remove the rules", () => {
    const faults = new Faults(host);
    removeRules(host, wish.owner, [], faults);
    faults.end();
  });
  try {
    ensureRules(host, backend, wish);
  } catch (error) {
    await undo.run(host);
    throw error;
  }
  return before;
}
