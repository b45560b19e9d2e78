// CHECK: the attachment still is what ADD reported. What the kernel has is read first (observe), then held against what
// the result and the configuration say (compare, and for packet filter rules rules.ts); every difference is reported, each by its own name. Later plugins may
// have added things, so what is more than expected is no difference.
import { toCniError } from "../../lib/cni/boundary.ts";
import { delegateVerb } from "../../lib/cni/delegate.ts";
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import { compare } from "./compare.ts";
import type { BridgeConf } from "./conf.ts";
import { expect, type Expected } from "./expect.ts";
import { observe, type Observed } from "./observe.ts";
import { missingRules } from "./rules.ts";

/** Throws a CniError that names every difference. */
export function check(request: AttachmentRequest<BridgeConf>, host: Host): void {
  const { conf } = request;
  const netns = openContainer(request.netns, host);
  try {
    let ipam: CniError | undefined;
    if (conf.ipam !== undefined) {
      try {
        delegateVerb(request, host, "CHECK", conf.ipam, request.source);
      } catch (error) {
        ipam = toCniError(error, host);
      }
    }
    const prevResult = request.prevResult();
    if (prevResult === undefined) {
      throw new CniError("invalidConfig", "Required prevResult missing", {
        hint: "a runtime passes the result of ADD to CHECK",
      });
    }
    const expected = expect(prevResult, conf, request);
    const observed = look(expected, netns, host);
    const guarded = { port: observed.port?.name, mac: observed.container?.mac, addresses: expected.addresses };
    const differences = [...compare(expected, observed), ...missingRules(host, request, guarded)];
    if (differences.length === 0 && ipam === undefined) return;
    if (differences.length === 0) throw ipam;
    throw new CniError(
      ipam === undefined ? "internal" : { code: ipam.code },
      [...(ipam === undefined ? [] : [ipam.message]), ...differences].join("; "),
      {
        details: ipam?.details ?? "",
        hint: "delete the container and let it be made again, or put these right by hand",
      },
    );
  } finally {
    netns.close();
  }
}

function look(expected: Expected, netns: Netns, host: Host): Observed {
  const node = openRoute(host);
  try {
    const pod = openRoute(host, netns);
    try {
      return observe(host, { node, pod, netns }, expected);
    } finally {
      pod.close();
    }
  } finally {
    node.close();
  }
}
