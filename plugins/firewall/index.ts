// firewall: lets a container's packets through the node's firewall, by rules of iptables or nftables, and keeps bridges
// apart where it is told to. It comes after the plugin that gives the container its addresses, and passes that one's result
// on. Start reading at add.ts; iptables-rules.ts and nft.ts are the rules themselves.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { versionsSince } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { readFirewallConf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const firewall = definePlugin({
  name: "firewall",
  // What comes before has a result in a form that it can pass on from then on.
  versions: versionsSince("0.4.0"),
  conf: readFirewallConf,
  add,
  del,
  check,
  status,
  gc,
});
