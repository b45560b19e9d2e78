// Many pods on one node, and a call for each of them: one shell inside the node makes them, side by side or in turn, so
// that the plugins meet each other and not the test.
import { readFileSync, rmSync } from "node:fs";
import { ours, plugins, reference } from "../testing/binaries.ts";
import { Cell } from "./cell.ts";
import type { Implementation } from "./scenario.ts";
import { observeFiles } from "./observe.ts";

/** What is called: a plugin or a tool by its file, and what it is given. */
export interface FleetCall {
  /** CNI_COMMAND of a plugin; for weft and cnitool their first word. */
  readonly verb: string;
  /** "flannel", or one of the tools "weft" and "cnitool". */
  readonly program?: string;
  /** Whose executables are on CNI_PATH. */
  readonly by: Implementation | ((pod: number) => Implementation);
  readonly pods: readonly number[];
  /** Standard input of a plugin. */
  readonly config?: (pod: number) => unknown;
  /** What a pod's call has in its environment beside the usual. */
  readonly env?: Readonly<Record<string, string>>;
  /** How many at once; most of what a call waits for is the kernel. */
  readonly parallel?: number;
}

export interface FleetOutcome {
  readonly pod: number;
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const containerId = (pod: number): string => `c0ffee${pod}`;
export const netnsOf = (pod: number): string => `/run/netns/pod${pod}`;
export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

const tools = ["weft", "cnitool"];

/** $1 is a pod; its call's words are in the file /run/calls/$1. */
const one = `
. /run/calls/$1
"$program" $words </run/calls/$1.in >/run/calls/$1.out 2>/run/calls/$1.err
echo $? >/run/calls/$1.exit`;

export class Fleet {
  readonly cell: Cell;
  readonly pods: readonly number[];

  private constructor(cell: Cell, pods: readonly number[]) {
    this.cell = cell;
    this.pods = pods;
  }

  /** A node without a bridge, with this many pods. */
  static async open(count: number): Promise<Fleet> {
    const cell = await Cell.open();
    const pods = range(0, count);
    const links = [
      ...plugins.flatMap((name) => [
        `ln -s ${ours}/${name} /run/bin/ours/${name}`,
        `ln -s ${reference}/${name} /run/bin/go/${name}`,
      ]),
      `ln -s ${ours}/weft ${reference}/cnitool /run/bin/`,
    ];
    await cell.shell(`mkdir -p /run/bin/ours /run/bin/go /run/calls\n${links.join("\n")}`);
    await cell.shell(
      `for pod in $(seq 0 ${count - 1}); do touch /run/netns/pod$pod; unshare --net=/run/netns/pod$pod true; done`,
    );
    return new Fleet(cell, pods);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cell.close();
  }

  /** Makes the calls; each one's outcome, in the order of the pods. */
  async call({
    verb,
    program = "flannel",
    by,
    pods,
    config = () => "",
    env = {},
    parallel = 1,
  }: FleetCall): Promise<FleetOutcome[]> {
    for (const pod of pods) {
      const bin = `/run/bin/${typeof by === "function" ? by(pod) : by}`;
      const isTool = tools.includes(program);
      const lines = [
        `program=${isTool ? `/run/bin/${program}` : `${bin}/${program}`}`,
        `words="${isTool ? `${verb} cbr0 ${netnsOf(pod)}` : ""}"`,
        `export CNI_PATH=${bin}`,
        ...(isTool
          ? ["export NETCONFPATH=/run/net.d"]
          : [
              `export CNI_COMMAND=${verb} CNI_CONTAINERID=${containerId(pod)} CNI_IFNAME=eth0 CNI_NETNS=${netnsOf(pod)}`,
            ]),
        ...Object.entries(env).map(([key, value]) => `export ${key}=${value}`),
      ];
      this.cell.write(`/run/calls/${pod}`, `${lines.join("\n")}\n`);
      this.cell.write(`/run/calls/${pod}.in`, isTool ? "" : JSON.stringify(config(pod)));
      rmSync(this.cell.path(`/run/calls/${pod}.exit`), { force: true });
    }
    this.cell.write("/run/calls/one", one);
    this.cell.write("/run/calls/pods", pods.join("\n"));
    await this.cell.shell(`xargs -n 1 -P ${parallel} sh /run/calls/one </run/calls/pods`);
    const read = (pod: number, what: string) => readFileSync(this.cell.path(`/run/calls/${pod}.${what}`), "utf8");
    return pods.map((pod) => ({
      pod,
      exit: Number(read(pod, "exit")),
      stdout: read(pod, "out"),
      stderr: read(pod, "err"),
    }));
  }

  /** Ends some pods as a node that loses power does, or a runtime that forgets: no DEL. */
  async end(pods: readonly number[]): Promise<void> {
    await this.cell.shell(pods.map((pod) => `umount /run/netns/pod${pod} && rm /run/netns/pod${pod}`).join("\n"));
  }

  /** What iproute2 says of a pod. */
  async ip(args: string, pod?: number): Promise<Record<string, unknown>[]> {
    const text = await this.cell.shell(`ip -j ${args}`, pod === undefined ? undefined : `pod${pod}`);
    return JSON.parse(text || "[]") as Record<string, unknown>[];
  }

  /** Everything that attachments leave on a node and that is there now: links, reservations, saved files. */
  async left(): Promise<string[]> {
    const onNode = (await this.ip("link"))
      .map(({ ifname }) => String(ifname))
      .filter((name) => !/^(lo|cni0)$/.test(name));
    const inPods = await this.cell.shell(
      `cd /run/netns; for pod in pod*; do test -e $pod || continue; nsenter --net=$pod ip -o link | grep -v ' lo:' | sed "s/^/$pod: /"; done; true`,
    );
    const files = Object.keys(observeFiles(this.cell)).filter(
      (path) =>
        path.startsWith("/var/lib/cni/") && !path.endsWith("/") && !/\/(lock|last_reserved_ip\.\d+)$/.test(path),
    );
    return [...onNode, ...inPods.split("\n").filter((line) => line !== ""), ...files];
  }
}

/** The addresses of a result. */
export const addressesOf = ({ stdout }: FleetOutcome): string[] =>
  (JSON.parse(stdout) as { ips: { address: string }[] }).ips.map(({ address }) => address);

/** Those that went wrong, with what they said. */
export const failures = (outcomes: readonly FleetOutcome[]): string[] =>
  outcomes
    .filter(({ exit }) => exit !== 0)
    .map(({ pod, exit, stdout, stderr }) => `pod ${pod}: ${exit}: ${stdout}${stderr}`);
