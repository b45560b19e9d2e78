// What a test needs of the machine. A test whose need is missing is said aloud at the end of the run. In CI it fails
// instead, unless it is the kernel that lacks something: that, no CI job can install.
import { spawnSync } from "node:child_process";
import { appendFileSync, existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { guestKernelDirectory } from "../build/guest-kernel.mjs";
import { embedded, reference } from "./binaries.ts";

const has = (command: string): boolean =>
  (process.env.PATH ?? "").split(":").some((directory) => existsSync(join(directory, command)));

const inCell = (): boolean => process.env.WEFT_TEST_CELL === "1";

/** Whether the kernel makes such a link, in the cell's own netns. */
function makesLink(...args: string[]): boolean {
  if (!inCell()) return false;
  const name = `probe${process.pid % 100_000}`;
  const made = spawnSync("ip", ["link", "add", name, ...args], { stdio: "ignore" }).status === 0;
  if (made) spawnSync("ip", ["link", "del", name], { stdio: "ignore" });
  return made;
}

const machine = {
  /** Network and mount namespaces of the test run's own. */
  cell: inCell,
  /** iproute2, which judges. */
  ip: () => has("ip"),
  ping: () => has("ping"),
  /** The Go reference plugins are built. */
  go: () => existsSync(join(reference, "cnitool")),
  strace: () => has("strace"),
  tc: () => has("tc"),
  nft: () => has("nft"),
  iptables: () => has("iptables"),
  qemu: () => has("qemu-system-x86_64"),
  cpio: () => has("cpio"),
  gcc: () => has("gcc"),
  busybox: () => has("busybox"),
  /** Debian's, fetched by npm test before it enters its cell. */
  "guest kernel": () => existsSync(guestKernelDirectory),
  /** The embedded engine's executables are built, be it that the run is of the other engine. */
  "embedded build": () => existsSync(join(embedded, "bridge")),
} as const;

const kernel = {
  /** VLAN links: CONFIG_VLAN_8021Q. */
  "vlan links": () => makesLink("link", "lo", "type", "vlan", "id", "1"),
  /** Links whose queue shapes what comes in on another: CONFIG_IFB. */
  "ifb links": () => makesLink("type", "ifb"),
  /** VLANs on a bridge's ports: CONFIG_BRIDGE_VLAN_FILTERING. */
  "vlan filtering": () => makesLink("type", "bridge", "vlan_filtering", "1"),
  /** The tables that iptables had before nf_tables: CONFIG_IP_NF_IPTABLES_LEGACY. */
  "legacy iptables": () =>
    inCell() && spawnSync("unshare", ["-n", "iptables-legacy", "-t", "nat", "-S"], { stdio: "ignore" }).status === 0,
} as const;

export type Feature = keyof typeof machine | keyof typeof kernel;

const features: Record<Feature, () => boolean> = { ...machine, ...kernel };

/** `describe`, where the machine has all of these. */
export function describeWith(needed: readonly Feature[], name: string, body: () => void): void {
  const missing = needed.filter((feature) => !features[feature]());
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const promised = missing.filter((feature) => feature in machine);
  if (process.env.CI === "true" && promised.length > 0) {
    test(`${name}: has what it needs`, () => expect(promised).toEqual([]));
    return;
  }
  const lacking = missing.map((feature) => (feature === "cell" ? "network namespaces" : feature)).join(", ");
  const reason = `this ${promised.length > 0 ? "machine" : "kernel"} lacks ${lacking}`;
  const file = process.env.WEFT_TEST_NOT_RUN;
  if (file === undefined || file === "") console.error(`NOT RUN: ${name}: ${reason}`);
  else appendFileSync(file, `${JSON.stringify([name, reason])}\n`);
  describe.skip(name, body);
}
