// flannel: reads what flanneld says of this node, writes the configuration of a delegate (bridge with host-local, unless
// told otherwise), and has the delegate do the work. It touches neither links nor addresses. Read on in add.ts.
import { architecture, buildId, version } from "../../lib/cni/build.ts";
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { conf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const flannel = definePlugin({
  name: "flannel",
  // In the words of the Go plugin, which is no plugin of the same repository as the others.
  introduction: `CNI Plugin flannel version v${version} (linux/${architecture}) commit ${buildId}`,
  versions: allVersions,
  conf,
  add,
  del,
  check,
  status,
  gc,
});
