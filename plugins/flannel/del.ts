import { inContext } from "../../lib/cni/boundary.ts";
import { delegateVerb } from "../../lib/cni/delegate.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import { delegateConfig, generateBestEffort } from "./generate.ts";
import { findSaved, type Saved } from "./saved.ts";

/**
 * Has the delegate take back what ADD made, with the configuration of then, and forgets that only when it has. Without a
 * saved configuration it makes one as good as it can: the delegate finds by name what there may be.
 */
export function del(request: AttachmentRequest<FlannelConf>, host: Host): void {
  const { conf, network, attachment } = request;
  const saved = findSaved(conf.dataDir, attachment, host);
  if (saved !== undefined && saved.text === undefined)
    host.log(`flannel: ${saved.path} is no delegate configuration; making one from what there is`);
  const { type, config } = saved?.text === undefined ? bestEffort(conf, network, host) : saved;
  try {
    delegateVerb(request, host, "DEL", type, config);
  } catch (error) {
    throw inContext(error, "failed to delegate delete", host);
  }
  if (saved !== undefined) host.files.remove(saved.path);
  try {
    host.files.removeAbandoned(conf.dataDir);
  } catch (error) {
    // It was no part of this attachment, and holds up nobody.
    host.log(`flannel: what a killed call left stays: ${(error as Error).message}`);
  }
}

function bestEffort(conf: FlannelConf, network: string, host: Host): Pick<Saved, "type" | "config"> {
  const delegate = generateBestEffort(conf, network, host);
  return { type: delegate.type, config: delegateConfig(delegate) };
}
