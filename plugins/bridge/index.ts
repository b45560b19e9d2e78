// bridge: a container on a Linux bridge of the node. It makes the bridge where missing and a veth pair for each
// attachment, asks an IPAM plugin for addresses, and gives the bridge the gateway's. Where it is asked to, it masquerades
// and guards against foreign source addresses (rules.ts). Start reading at add.ts; desired.ts holds the decisions,
// check.ts what must stay true.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { readBridgeConf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const bridge = definePlugin({
  name: "bridge",
  versions: allVersions,
  conf: readBridgeConf,
  add,
  del,
  check,
  status,
  gc,
});
