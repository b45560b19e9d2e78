// tuning: settings of a container's netns (sysctls) and of the link that another plugin made in it: MAC, MTU, promiscuous
// and all-multicast mode, transmit queue. It makes no link. Start reading at add.ts; backup.ts is the format on disk.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { readTuningConf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const tuning = definePlugin({
  name: "tuning",
  versions: allVersions,
  conf: readTuningConf,
  add,
  del,
  check,
  status,
  gc,
});
