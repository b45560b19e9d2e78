import { inContext } from "../../lib/cni/boundary.ts";
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import { delegateConfig, generate, readSubnetEnv, type DelegateConf } from "./generate.ts";
import { listSaved } from "./saved.ts";

/** flanneld has given this node a subnet, and the delegate that ADD would use can serve. */
export function status(request: Request<FlannelConf>, host: Host): void {
  const delegate = delegateOf(request, host);
  try {
    delegateVerb(request, host, "STATUS", delegate.type, delegateConfig(delegate));
  } catch (error) {
    throw inContext(error, "failed to delegate status", host);
  }
}

function delegateOf(request: Request<FlannelConf>, host: Host): DelegateConf {
  const { conf, network } = request;
  try {
    return generate(conf, network, readSubnetEnv(conf.subnetFile, host));
  } catch (cause) {
    if (!(cause instanceof CniError)) throw cause;
    // Packets of the pods that run may go nowhere as well: without flanneld nobody carries them.
    const running = listSaved(conf.dataDir, host).some(
      (saved) => saved.text !== undefined && saved.network === network,
    );
    throw new CniError(running ? "unavailableExistingImpaired" : "unavailable", cause.message, {
      details: cause.details,
      cause,
    });
  }
}
