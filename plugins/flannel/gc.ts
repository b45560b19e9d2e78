import { inContext } from "../../lib/cni/boundary.ts";
import { composeConfig } from "../../lib/cni/config.ts";
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { Faults } from "../../lib/cni/faults.ts";
import type { GcRequest } from "../../lib/cni/plugin.ts";
import { validAttachmentsKeys } from "../../lib/cni/valid-attachments.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import { generateBestEffort } from "./generate.ts";
import { listSaved, type Saved } from "./saved.ts";

/** What an attachment's interface is called unless a runtime says otherwise; Go's saved files do not name it. */
const usualIfName = "eth0";

/**
 * Deletes the attachments whose saved configuration names this network and which are not valid, then has the delegate
 * collect what is left: its own state without a saved configuration.
 */
export function gc(request: GcRequest<FlannelConf>, host: Host): void {
  const { conf, network, valid } = request;
  const faults = new Faults(host);
  for (const file of listSaved(conf.dataDir, host)) {
    if (file.text === undefined)
      host.log(`flannel: ${file.path} is no delegate configuration; only its DEL removes it`);
    else if (file.network === network && !isValid(file, valid)) faults.attempt(() => delStale(request, file, host));
  }
  faults.attempt(() => {
    const delegate = generateBestEffort(conf, network, host);
    const attachments = valid.map(({ containerId, ifName }) => ({ containerID: containerId, ifname: ifName }));
    const keys = Object.fromEntries(validAttachmentsKeys.map((key) => [key, attachments]));
    try {
      delegateVerb(request, host, "GC", delegate.type, composeConfig({ ...delegate.fields, ...keys }));
    } catch (error) {
      throw inContext(error, "failed to delegate gc", host);
    }
  });
  faults.attempt(() => host.files.removeAbandoned(conf.dataDir));
  faults.end();
}

const isValid = ({ containerId, ifName }: Saved, valid: GcRequest<FlannelConf>["valid"]): boolean =>
  valid.some((each) => each.containerId === containerId && (ifName ?? each.ifName) === each.ifName);

function delStale(request: GcRequest<FlannelConf>, file: Saved, host: Host): void {
  const { containerId, ifName = usualIfName } = file;
  try {
    delegateVerb(request, host, "DEL", file.type, file.config, { containerId, ifName, netns: "" });
  } catch (error) {
    throw inContext(error, `failed to delegate delete of ${containerId} ${ifName}`, host);
  }
  host.files.remove(file.path);
}
