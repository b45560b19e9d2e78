// host-local: an IPAM plugin that hands out addresses of ranges, one file for each on the local disk. It touches no
// network namespace. Read on in add.ts; store.ts is the format on disk.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { check } from "./check.ts";
import { conf } from "./conf.ts";
import { del } from "./del.ts";
import { status } from "./status.ts";

/** Reading code is a large part of what a short call costs: a verb of some size is read when it is called. */
export const hostLocal = definePlugin({
  name: "host-local",
  versions: allVersions,
  conf,
  add: async (...call) => (await import("./add.ts")).add(...call),
  del,
  check,
  status,
  gc: async (...call) => (await import("./gc.ts")).gc(...call),
});
