// A container runtime for one plugin in this process: its environment, its configuration, and IPAM plugins that answer
// what a test wants. The plugin's own code, its delegation and the kernel are real.
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { toCniError } from "../lib/cni/boundary.ts";
import { callPlugin, readCall } from "../lib/cni/call.ts";
import { CniError } from "../lib/cni/error.ts";
import { definePlugin, type AnyPlugin, type Suite } from "../lib/cni/plugin.ts";
import type { Result, ResultRoute } from "../lib/cni/result.ts";
import { allVersions } from "../lib/cni/version.ts";
import { FirewallError } from "../lib/firewall/error.ts";
import { sys } from "../lib/host/node.ts";
import type { Sys } from "../lib/host/sys.ts";
import { parseIp, type Ip } from "../lib/ip/ip.ts";
import { parsePrefix, type Prefix } from "../lib/ip/prefix.ts";
import type { TestNode } from "./node.ts";

export function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(`no prefix: ${text}`);
  return parsed;
}
export function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(`no address: ${text}`);
  return parsed;
}

/** IPAM's answer out of lines like "10.1.0.5/24 10.1.0.1" (address, gateway) and "10.0.0.0/8 via 10.1.0.9"; or a route with all it has. */
export function answer(ips: readonly string[], routes: readonly (string | ResultRoute)[] = []): Result {
  return {
    interfaces: [],
    ips: ips.map((text) => {
      const [address = "", gateway] = text.split(" ");
      return { address: prefix(address), gateway: gateway === undefined ? undefined : ip(gateway) };
    }),
    routes: routes.map((text) => {
      if (typeof text !== "string") return text;
      const [dst = "", gw] = text.split(" via ");
      return { dst: prefix(dst), gw: gw === undefined ? undefined : ip(gw) };
    }),
    dns: {},
  };
}

/** An IPAM plugin of a test: hands out one answer, and remembers what it was asked. */
export class TestIpam {
  /** Verbs in the order they came. */
  readonly asked: string[] = [];
  /** What ADD answers; an Error is thrown instead. */
  next: Result | Error;
  /** Run inside each verb, before it answers. */
  during: (verb: string) => void = () => {};
  /** What DEL and CHECK throw. */
  refusal: Error | undefined;

  constructor(next: Result | Error) {
    this.next = next;
  }

  readonly plugin: AnyPlugin = definePlugin<undefined>({
    name: "test-ipam",
    versions: allVersions,
    conf: () => undefined,
    add: () => {
      this.#came("ADD");
      if (this.next instanceof Error) throw this.next;
      return this.next;
    },
    del: () => this.#came("DEL"),
    check: () => this.#came("CHECK"),
    status: () => this.#came("STATUS"),
    gc: () => this.#came("GC"),
  });

  #came(verb: string): void {
    this.asked.push(verb);
    this.during(verb);
    if (verb !== "ADD" && this.refusal !== undefined) throw this.refusal;
  }
}

export interface Call {
  readonly verb: string;
  readonly conf: object;
  readonly netns?: string;
  readonly containerId?: string;
  readonly ifName?: string;
  readonly args?: string;
  /** PATH: where iptables and nft are looked for; this process's own unless told. */
  readonly searchPath?: string;
  readonly over?: Partial<Sys>;
}

export interface Runtime {
  /** One call of the plugin; what it throws comes through. */
  call(call: Call): Promise<Result | undefined>;
  /** The error of a call that must fail. */
  refusal(call: Call): Promise<CniError>;
  /** What the last call wrote to standard error. */
  stderr(): string;
  close(): void;
}

let count = 0;

/** Runs `plugin` in a node. A configuration with `"ipam": { "type": "test-ipam" }` gets its addresses from `ipam`. */
export function makeRuntime(node: Pick<TestNode, "host">, plugin: AnyPlugin, ipam?: TestIpam): Runtime {
  const path = `/run/weft-test-${process.pid}-${++count}`;
  mkdirSync(path);
  // Delegation stays in this process where CNI_PATH leads to this very executable.
  symlinkSync(process.execPath, `${path}/test-ipam`);
  const suite: Suite = new Map(ipam === undefined ? [] : [["test-ipam", ipam.plugin]]);

  let written = "";

  async function call({
    verb,
    conf,
    netns = "",
    containerId = "c0",
    ifName = "eth0",
    args = "",
    searchPath,
    over = {},
  }: Call) {
    const env = { command: verb, containerId, netns, ifName, args, path };
    const variables: Record<string, string> = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: ifName,
      CNI_ARGS: args,
      CNI_PATH: path,
      PATH: searchPath ?? process.env.PATH ?? "",
    };
    written = "";
    const write: Sys["write"] = (fd, data) => {
      if (fd === 2) written += typeof data === "string" ? data : Buffer.from(data).toString();
      else sys.write(fd, data);
    };
    const host = node.host({ getenv: (name) => variables[name], write, ...over });
    const text = JSON.stringify({ cniVersion: "1.0.0", name: "net", type: plugin.name, ...conf });
    return callPlugin(plugin, { name: plugin.name, env, suite }, readCall(text), host);
  }

  return {
    call,
    async refusal(asked) {
      try {
        await call(asked);
      } catch (error) {
        if (error instanceof CniError || error instanceof FirewallError) return toCniError(error, node.host());
        throw error;
      }
      throw new Error(`${asked.verb} was not refused`);
    },
    stderr: () => written,
    close: () => rmSync(path, { recursive: true }),
  };
}
