// bridge: a container on a Linux bridge of the node. It makes the bridge where missing and a veth pair for each
// attachment, asks an IPAM plugin for addresses, and gives the bridge the gateway's. It does not touch packets: no
// masquerading, no filters. Start reading at add.ts; desired.ts holds the decisions, check.ts what must stay true.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { readBridgeConf } from "./conf.ts";
import { status } from "./status.ts";

/** Reading code is a large part of what a short call costs: a verb of some size is read when it is called. */
export const bridge = definePlugin({
  name: "bridge",
  versions: allVersions,
  conf: readBridgeConf,
  add: async (...call) => (await import("./add.ts")).add(...call),
  del: async (...call) => (await import("./del.ts")).del(...call),
  check: async (...call) => (await import("./check.ts")).check(...call),
  status,
  gc: async (...call) => (await import("./gc.ts")).gc(...call),
});
