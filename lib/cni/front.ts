// What a plugin answers before any of its code, or any configuration, is read: VERSION, and who it is. A runtime asks for
// the version again and again, so nothing else is loaded for it.
import type { Host } from "../host/host.ts";
import { version } from "./build.ts";
import type { Suite } from "./plugin.ts";
import { newestVersion } from "./version.ts";

/** The name this executable was called by. */
export function calledAs(host: Host): string {
  const path = host.argv[0] ?? "";
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Runs the plugin of this name. Returns the exit status. */
export async function runPlugin(name: string, host: Host, suite: Suite): Promise<number> {
  const command = host.env("CNI_COMMAND") ?? "";
  const versions = suite[name]?.versions;
  if (versions !== undefined && command === "VERSION") {
    host.writeStdout(`${JSON.stringify({ cniVersion: newestVersion, supportedVersions: versions })}\n`);
    return 0;
  }
  if (versions !== undefined && command === "") {
    host.log(`CNI ${name} plugin v${version}`);
    host.log(`CNI protocol versions supported: ${versions.join(", ")}`);
    return 0;
  }
  return (await import("./dispatch.ts")).dispatch(name, host, suite);
}
