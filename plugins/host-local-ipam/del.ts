import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import { namedOwner } from "./owner.ts";
import { openStore } from "./store.ts";

/** Frees what the attachment holds; done when it holds nothing, and where there is no store. Makes no file. */
export function del({ conf, attachment }: AttachmentRequest<HostLocalConf>, host: Host): void {
  openStore(host, conf.directory, { create: false }).locked((store) => {
    const held = store.heldBy(attachment);
    // The container id alone stands for all its interfaces: it counts where nothing stands for this one.
    const own = held.filter(({ owner }) => namedOwner(owner)?.ifName !== undefined);
    const failures: Error[] = [];
    for (const { name } of own.length > 0 ? own : held) {
      try {
        store.free(name);
      } catch (error) {
        failures.push(error as Error);
      }
    }
    if (failures.length > 0)
      throw new CniError("ioFailure", failures.map(({ message }) => message).join("; "), {
        details: `these addresses of ${attachment.containerId} stay held`,
        hint: "is the file system read-only, or the file immutable (lsattr)?",
        cause: failures[0],
      });
  });
}
