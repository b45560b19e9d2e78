// host-local: an IPAM plugin that hands out addresses of ranges, one file for each on the local disk. It touches no
// network namespace. Read on in add.ts; store.ts is the format on disk.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { conf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const hostLocal = definePlugin({
  name: "host-local",
  versions: allVersions,
  conf,
  add,
  del,
  check,
  status,
  gc,
});
