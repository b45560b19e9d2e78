import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { HostLocalConf } from "./conf.ts";
import { openStore } from "./store.ts";

/** Frees what the attachment holds; done when it holds nothing, and where there is no store. Makes no directory. */
export function del({ conf, network, attachment }: AttachmentRequest<HostLocalConf>, host: Host): void {
  const store = openStore(host, conf.dataDir, network, { create: false });
  store?.locked((locked) => {
    for (const ip of locked.heldBy(attachment)) locked.free(ip);
  });
}
