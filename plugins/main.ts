// The one executable: the name it is called by picks the plugin. VERSION is answered from this table; a plugin's code is
// read only when it is called.
import { openHost, thisProcess } from "#host";
import { calledAs, runPlugin } from "../lib/cni/front.ts";
import type { Suite } from "../lib/cni/plugin.ts";
import { allVersions } from "../lib/cni/version.ts";

const suite: Suite = {
  flannel: { versions: allVersions, load: async () => (await import("./flannel/index.ts")).flannel },
  bridge: { versions: allVersions, load: async () => (await import("./bridge/index.ts")).bridge },
  "host-local": { versions: allVersions, load: async () => (await import("./host-local-ipam/index.ts")).hostLocal },
  loopback: { versions: allVersions, load: async () => (await import("./loopback/index.ts")).loopback },
};

/** Runs what this process was called as; returns the exit status. */
export default async function main(): Promise<number> {
  const name = calledAs(thisProcess);
  if (name === "weft") return (await import("../weft/main.ts")).runWeft(await openHost(), suite);
  return runPlugin(name, thisProcess, suite, openHost);
}
