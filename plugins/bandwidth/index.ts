// bandwidth: limits to what a container receives and sends, by token buckets on the node's end of its veth pair. It makes
// no attachment. Start reading at add.ts; tbf.ts has the numbers, ifb.ts the link that what is sent goes through.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { versionsSince } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { readBandwidthConf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const bandwidth = definePlugin({
  name: "bandwidth",
  // Before, a result had no place for links.
  versions: versionsSince("0.3.0"),
  conf: readBandwidthConf,
  add,
  del,
  check,
  status,
  gc,
});
