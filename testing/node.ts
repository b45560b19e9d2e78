// A node for one test: a network namespace of its own that this process's main thread stands in, with containers beside
// it. Everything in it is judged with iproute2, never with our own decoder alone.
import { mkdirSync, rmSync } from "node:fs";
import { execa } from "execa";
import type { Host } from "../lib/host/host.ts";
import { sys } from "../lib/host/node.ts";
import { hostOver } from "../lib/host/open.ts";
import type { Sys } from "../lib/host/sys.ts";
import { quietSpawn } from "./host.ts";

const CLONE_NEWNET = 0x40000000;
let count = 0;

export interface TestNode {
  /** Its netns is /run/netns/<name>. */
  readonly name: string;
  /** Opens the host inside this node. `over` replaces system calls, for faults and for the request of a plugin. */
  host(over?: Partial<Sys>): Host;
  /** Makes a container's netns; returns its path. */
  container(name: string): Promise<string>;
  /** What `ip -j` says in the node, or in the netns of a container. */
  ip(args: string, netns?: string): Promise<Record<string, unknown>[]>;
  /** Runs a command in the node; its standard output. */
  run(command: string, ...args: string[]): Promise<string>;
  /**
   * Whether an address answers an echo request, from the node or from a container. Who expects no answer says how many seconds
   * are enough to wait for it; who expects one waits for a machine that has other things to do.
   */
  ping(address: string, netns?: string, seconds?: number): Promise<boolean>;
  close(): Promise<void>;
}

const netnsName = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/** Makes a node and stands in it until it is closed. Refuses outside of the test run's own cell. */
export async function makeNode(): Promise<TestNode> {
  if (process.env.WEFT_TEST_CELL !== "1") throw new Error("tests that change a node run by npm test, in a cell");
  const name = `node${process.pid}-${++count}`;
  const home = sys.open("/proc/thread-self/ns/net", 0, 0);
  mkdirSync("/run/netns", { recursive: true });
  await execa("ip", ["netns", "add", name]);
  const own = sys.open(`/run/netns/${name}`, 0, 0);
  const containers: string[] = [];
  sys.setns(own, CLONE_NEWNET);
  await execa("ip", ["link", "set", "lo", "up"]);

  const run = async (command: string, ...args: string[]) => (await execa(command, args)).stdout;
  return {
    name,
    host: (over = {}) => hostOver({ ...sys, spawn: quietSpawn, ...over }),
    async container(label) {
      const netns = `${name}-${label}`;
      await execa("ip", ["netns", "add", netns]);
      containers.push(netns);
      return `/run/netns/${netns}`;
    },
    async ip(args, netns) {
      const inside = netns === undefined ? [] : ["-n", netnsName(netns)];
      const out = await run("ip", ...inside, "-j", "-d", ...args.split(" "));
      return JSON.parse(out === "" ? "[]" : out);
    },
    run,
    async ping(address, netns, seconds = 20) {
      const inside = netns === undefined ? [] : ["ip", "netns", "exec", netnsName(netns)];
      const [command = "", ...args] = [...inside, "ping", "-c", "1", "-W", `${seconds}`, "-q", address];
      return (await execa(command, args, { reject: false })).exitCode === 0;
    },
    async close() {
      sys.setns(home, CLONE_NEWNET);
      sys.close(home);
      sys.close(own);
      for (const netns of [...containers, name]) {
        await execa("ip", ["netns", "del", netns], { reject: false });
        rmSync(`/run/netns/${netns}`, { force: true });
      }
    },
  };
}
