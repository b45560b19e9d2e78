// What a plugin answers before any of its code, or any configuration, is read: VERSION, and who it is. A runtime asks for
// the version again and again, so nothing else is loaded for it.
import type { Host, Process } from "../host/host.ts";
import { version } from "./build.ts";
import type { Suite } from "./plugin.ts";
import { newestVersion } from "./version.ts";

/** The name this executable was called by. */
export function calledAs(process: Process): string {
  const path = process.argv[0] ?? "";
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Runs the plugin of this name. Returns the exit status. `openHost` is called for the verbs that need more than the process. */
export async function runPlugin(
  name: string,
  process: Process,
  suite: Suite,
  openHost: () => Promise<Host>,
): Promise<number> {
  const command = process.env("CNI_COMMAND") ?? "";
  const versions = suite[name]?.versions;
  if (versions !== undefined && command === "VERSION") {
    process.writeStdout(`${JSON.stringify({ cniVersion: newestVersion, supportedVersions: versions })}\n`);
    return 0;
  }
  if (versions !== undefined && command === "") {
    process.log(`CNI ${name} plugin v${version}`);
    process.log(`CNI protocol versions supported: ${versions.join(", ")}`);
    return 0;
  }
  return (await import("./dispatch.ts")).dispatch(name, await openHost(), suite);
}
