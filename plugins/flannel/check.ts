import { inContext } from "../../lib/cni/boundary.ts";
import { composeConfig, memberOf } from "../../lib/cni/config.ts";
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { plainJson } from "../../lib/cni/json.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host } from "../../lib/host/host.ts";
import type { FlannelConf } from "./conf.ts";
import { generate, readSubnetEnv, type DelegateConf } from "./generate.ts";
import { findSaved } from "./saved.ts";

/** Has the delegate check, with the configuration of ADD, today's version and the result that the runtime holds. */
export function check(request: AttachmentRequest<FlannelConf>, host: Host): void {
  const { conf, network, attachment } = request;
  const saved = findSaved(conf.dataDir, attachment, host);
  const { type, fields } =
    saved?.text === undefined
      ? generate(conf, network, readSubnetEnv(conf.subnetFile, host))
      : { type: saved.type, fields: plainJson(saved.config.tree) as DelegateConf["fields"] };
  const prevResult = memberOf(request.source.tree, "prevResult");
  const config = composeConfig({
    ...fields,
    cniVersion: request.cniVersion,
    ...(prevResult === undefined ? {} : { prevResult: plainJson(prevResult) }),
  });
  try {
    delegateVerb(request, host, "CHECK", type, config);
  } catch (error) {
    throw inContext(error, "failed to delegate check", host);
  }
}
