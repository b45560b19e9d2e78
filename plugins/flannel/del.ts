import { inContext } from "../../lib/cni/boundary.ts";
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import { delegateText, generate, readSubnetEnv, type DelegateConf } from "./generate.ts";
import { findSaved } from "./saved.ts";

/**
 * Has the delegate take back what ADD made, with the configuration of then, and forgets that only when it has. Without a
 * saved configuration it makes one as good as it can: the delegate finds by name what there may be.
 */
export async function del(request: AttachmentRequest<FlannelConf>, host: Host): Promise<void> {
  const { conf, attachment } = request;
  const saved = findSaved(conf.dataDir, attachment, host);
  if (saved !== undefined && saved.text === undefined)
    host.log(`flannel: ${saved.path} is no delegate configuration; making one from what there is`);
  const delegate = saved?.text === undefined ? bestEffort(request, host) : saved;
  const text = saved?.text ?? delegateText(delegate);
  try {
    await delegateVerb(request, host, "DEL", delegate.type, text);
  } catch (error) {
    throw inContext(error, "failed to delegate delete", host);
  }
  if (saved !== undefined) host.files.remove(saved.path);
}

/** As ADD would have it today; without subnet.env enough to find the link and free the address. */
function bestEffort({ conf, network }: AttachmentRequest<FlannelConf>, host: Host): DelegateConf {
  try {
    return generate(conf, network, readSubnetEnv(conf.subnetFile, host));
  } catch (error) {
    if (!(error instanceof CniError)) throw error;
    return generate(conf, network, { networks: [], subnets: [], mtu: 0, ipMasq: true });
  }
}
