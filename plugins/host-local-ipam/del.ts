import { Faults } from "../../lib/cni/faults.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import { namedOwner } from "./owner.ts";
import { openStore } from "./store.ts";

/** Frees what the attachment holds; done when it holds nothing, and where there is no store. Makes no file. */
export function del({ conf, attachment }: AttachmentRequest<HostLocalConf>, host: Host): void {
  const faults = new Faults(host);
  openStore(host, conf.directory, { create: false }).locked((store) => {
    const held = store.heldBy(attachment);
    // The container id alone stands for all its interfaces: it counts where nothing stands for this one.
    const own = held.filter(({ owner }) => namedOwner(owner)?.ifName !== undefined);
    for (const { name } of own.length > 0 ? own : held) faults.attempt(() => store.free(name));
  });
  faults.end();
}
