// The real host for one plugin call in this process: what a runtime gives is a value, what the plugin says is kept. The
// system calls below are this machine's, in the netns this thread stands in.
import type { Host } from "../lib/host/host.ts";
import { sys } from "../lib/host/node.ts";
import { spawnTo } from "../lib/host/node-spawn.ts";
import { hostOver } from "../lib/host/open.ts";
import type { Sys } from "../lib/host/sys.ts";

/** Whatever children complain of on purpose, a test run does not: the caller gets it, and nobody else. */
export const quietSpawn: Sys["spawn"] = spawnTo(undefined);

export interface TestCall {
  /** What the process is called by, arguments after it. */
  readonly argv?: readonly string[];
  /** The whole environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Replaces system calls, for faults. */
  readonly over?: Partial<Sys>;
}

export interface TestHost {
  readonly host: Host;
  /** What was written to standard output so far. */
  stdout(): string;
  /** What was written to standard error; not what children wrote there. */
  stderr(): string;
}

export function testHost({ argv = ["bridge"], env = {}, stdin = "", over = {} }: TestCall): TestHost {
  const written = { 1: "", 2: "" };
  const lines = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const host = hostOver({
    ...sys,
    argv: () => [...argv],
    getenv: (name) => env[name],
    readStdin: () => stdin,
    write(fd, data) {
      if (fd !== 1 && fd !== 2) sys.write(fd, data);
      else written[fd] += typeof data === "string" ? data : Buffer.from(data).toString("utf8");
    },
    // A child's environment is ours, this process's own, under the request's.
    spawn: (path, argv, overlay, input, timeoutMs) => quietSpawn(path, argv, [...lines, ...overlay], input, timeoutMs),
    ...over,
  });
  return { host, stdout: () => written[1], stderr: () => written[2] };
}
