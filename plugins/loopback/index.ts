// loopback: the container's own `lo`, up. A runtime calls it first for every container, so it does no more than that.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { del } from "./del.ts";

export const loopback = definePlugin({
  name: "loopback",
  versions: allVersions,
  // It has no configuration of its own.
  conf: () => undefined,
  add,
  del,
  check,
  // It needs nothing but the kernel, and keeps nothing on the node: `lo` ends with its netns.
  status: () => {},
  gc: () => {},
});
