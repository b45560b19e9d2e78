// Our bridge does not masquerade so far. Where it is flanneld's setting that asks for it, say so before anything is done.
import { isOwnDelegate } from "../../lib/cni/delegate.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Request } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import type { DelegateConf } from "./generate.ts";

export function refuseMasquerade({ type, fields }: DelegateConf, request: Request<FlannelConf>, host: Host): void {
  const flanneldAsks = fields.ipMasq === true && !("ipMasq" in request.conf.delegate);
  if (type !== "bridge" || !flanneldAsks || !isOwnDelegate(request, host, type)) return;
  throw new CniError(
    "invalidConfig",
    `FLANNEL_IPMASQ in ${request.conf.subnetFile} is not "true", which asks the bridge plugin for ipMasq, and it has none`,
    {
      hint: 'start flanneld with --ip-masq, or set "ipMasq": false in "delegate", or keep the Go bridge plugin on this node',
    },
  );
}
