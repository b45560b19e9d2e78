import { inContext, saidBy } from "../../lib/cni/boundary.ts";
import type { ConfigSource } from "../../lib/cni/config.ts";
import { delegateAdd, delegateVerb } from "../../lib/cni/delegate.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import { delegateConfig, generate, readSubnetEnv } from "./generate.ts";
import { look, save, savedMode } from "./saved.ts";

/** Generates the delegate's configuration, keeps it for DEL, and has the delegate do the work. */
export function add(request: AttachmentRequest<FlannelConf>, host: Host): Result {
  const { conf, network, attachment } = request;
  const delegate = generate(conf, network, readSubnetEnv(conf.subnetFile, host));
  const before = look(conf.dataDir, attachment, host);
  const config = delegateConfig(delegate);
  const path = save(conf.dataDir, attachment, config.tree, host, before);
  try {
    return delegateAdd(request, host, delegate.type, config);
  } catch (error) {
    takeBack(request, host, delegate.type, config, path, before.file?.text);
    throw inContext(error, "failed to delegate add", host);
  }
}

/**
 * After a delegate's failed ADD. An attachment that was added before and never deleted is left as it was, its saved
 * configuration too; any other is deleted, and the configuration is kept for the runtime's DEL only where that failed.
 */
function takeBack(
  request: AttachmentRequest<FlannelConf>,
  host: Host,
  type: string,
  config: ConfigSource,
  path: string,
  before: string | undefined,
): void {
  try {
    if (before !== undefined) host.files.replace(path, before, savedMode);
    else {
      delegateVerb(request, host, "DEL", type, config);
      host.files.remove(path);
    }
  } catch (failure) {
    host.log(`flannel: undo: ${saidBy(failure)}`);
  }
}
