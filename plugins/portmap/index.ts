// portmap: ports of the node that lead to a container, by rules of iptables or nftables. It comes after the plugin that
// gives the container its addresses, and passes that one's result on. It reserves no port: who was there first keeps it.
// Start reading at add.ts; nft-plan.ts and iptables-plan.ts are the rules themselves.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { readPortmapConf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const portmap = definePlugin({
  name: "portmap",
  versions: allVersions,
  conf: readPortmapConf,
  add,
  del,
  check,
  status,
  gc,
});
