// The one executable: the name it is called by picks the plugin.
import { openHost } from "#host";
import { calledAs, dispatch } from "../lib/cni/dispatch.ts";
import type { Suite } from "../lib/cni/plugin.ts";
import { runWeft } from "../weft/main.ts";
import { bandwidth } from "./bandwidth/index.ts";
import { bridge } from "./bridge/index.ts";
import { firewall } from "./firewall/index.ts";
import { flannel } from "./flannel/index.ts";
import { hostLocal } from "./host-local-ipam/index.ts";
import { loopback } from "./loopback/index.ts";
import { portmap } from "./portmap/index.ts";
import { tuning } from "./tuning/index.ts";

const suite: Suite = new Map(
  [flannel, bridge, hostLocal, loopback, bandwidth, portmap, tuning, firewall].map((plugin) => [plugin.name, plugin]),
);

/** Runs what this process was called as; returns the exit status. */
export default function main(): number {
  const host = openHost();
  const name = calledAs(host);
  return name === "weft" ? runWeft(host, suite) : dispatch(name, host, suite);
}
