// host-local in this process over a real file system: what a runtime would ask of it, and what is on disk afterwards.
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import { formatIp } from "../lib/ip/ip.ts";
import { sys } from "../lib/host/node.ts";
import { hostOver } from "../lib/host/open.ts";
import type { Sys } from "../lib/host/sys.ts";
import { toCniError } from "../lib/cni/boundary.ts";
import type { CniError } from "../lib/cni/error.ts";
import { hostLocal } from "../plugins/host-local-ipam/index.ts";
import { makeRuntime } from "./runtime.ts";

export interface Asked {
  readonly containerId?: string;
  readonly ifName?: string;
  readonly args?: string;
  /** Members of the configuration beside "ipam". */
  readonly conf?: object;
  readonly over?: Partial<Sys>;
}

/** What one file of a store is: its text, or the kind of what is no file. */
export type Entries = Record<string, string>;

export interface TestIpamStore {
  /** The parent of the network's directory. */
  readonly dataDir: string;
  /** The network's directory, which nobody has made yet. */
  readonly directory: string;
  /** The system calls it runs on, to put faults into. */
  readonly sys: Sys;
  /** Lines on standard error so far. */
  readonly said: string[];
  /** Runs a verb with this "ipam" object ("subnet" or a list of range sets); the addresses of ADD's result. */
  call(verb: string, ipam: object, asked?: Asked): Promise<string[]>;
  /** The error of a call that must fail. */
  refusal(verb: string, ipam: object, asked?: Asked): Promise<CniError>;
  /** Puts a file there, as another process would have left it; `age` is how many seconds ago. */
  put(name: string, text: string, age?: number): void;
  /** What is in the network's directory. */
  entries(): Entries;
  /** Addresses that are taken. */
  taken(): string[];
  mode(name?: string): number;
  close(): void;
}

/** A store in a directory of its own; with `mount`, on a tmpfs of its own with these options. */
export function makeIpamStore(mount?: string): TestIpamStore {
  const dataDir = fs.mkdtempSync(join(tmpdir(), "weft-ipam-"));
  if (mount !== undefined) execFileSync("mount", ["-t", "tmpfs", "-o", mount, "tmpfs", dataDir]);
  const directory = join(dataDir, "net");
  const said: string[] = [];
  const write: Sys["write"] = (fd, data) => {
    if (fd === 2) said.push(String(data).trimEnd());
    else sys.write(fd, data);
  };
  const host = (over: Partial<Sys> = {}) => hostOver({ ...sys, write, ...over });
  const runtime = makeRuntime({ host }, hostLocal);
  const callOf = (verb: string, ipam: object, { conf = {}, over = {}, ...asked }: Asked = {}) => ({
    verb,
    ...asked,
    over: { write, ...over },
    conf: { cniVersion: "1.1.0", ipam: { type: "host-local", dataDir, ...ipam }, ...conf },
  });
  const entryOf = (name: string): string => {
    const stat = fs.lstatSync(join(directory, name));
    return stat.isFile() ? fs.readFileSync(join(directory, name), "utf8") : stat.isDirectory() ? "directory" : "other";
  };
  const entries = () =>
    fs.existsSync(directory)
      ? Object.fromEntries(
          fs
            .readdirSync(directory)
            .sort()
            .map((name) => [name, entryOf(name)]),
        )
      : {};
  return {
    dataDir,
    directory,
    sys: { ...sys, write },
    said,
    async call(verb, ipam, asked) {
      const result = await runtime.call(callOf(verb, ipam, asked));
      return result?.ips.map(({ address }) => formatIp(address.ip)) ?? [];
    },
    async refusal(verb, ipam, asked) {
      try {
        await runtime.call(callOf(verb, ipam, asked));
      } catch (error) {
        // As dispatch says it.
        return toCniError(error, host());
      }
      throw new Error(`${verb} was not refused`);
    },
    put(name, text, age) {
      fs.mkdirSync(directory, { recursive: true });
      fs.writeFileSync(join(directory, name), text, { mode: 0o600 });
      const then = Date.now() / 1000 - (age ?? 0);
      if (age !== undefined) fs.utimesSync(join(directory, name), then, then);
    },
    entries,
    taken: () => Object.keys(entries()).filter((name) => /^[0-9a-f]*[.:]/.test(name)),
    mode: (name = "") => fs.statSync(join(directory, name)).mode & 0o7777,
    close() {
      runtime.close();
      if (mount !== undefined) execFileSync("umount", [dataDir]);
      fs.rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
