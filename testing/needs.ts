// What a test needs of the machine. A test whose need is missing is said aloud at the end of the run; where CI promises
// the need, it fails instead.
import { spawnSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { describe, expect, test } from "vitest";

const has = (command: string, ...args: string[]): boolean =>
  spawnSync(command, args, { stdio: "ignore" }).error === undefined;

const features = {
  /** Network and mount namespaces of the test run's own. */
  cell: () => process.env.WEFT_TEST_CELL === "1",
  /** iproute2, which judges. */
  ip: () => has("ip", "-V"),
  /** The Go reference plugins can be built. */
  go: () => has("go", "version"),
  strace: () => has("strace", "-V"),
  qemu: () => has("qemu-system-x86_64", "--version"),
} as const;

export type Feature = keyof typeof features;

/** `describe`, where the machine has all of these. */
export function describeWith(needed: readonly Feature[], name: string, body: () => void): void {
  const missing = needed.filter((feature) => !features[feature]());
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const line = `${name}: this machine lacks ${missing.join(", ")}`;
  if (process.env.CI === "true") {
    test(name, () => expect(missing).toEqual([]));
    return;
  }
  const file = process.env.WEFT_TEST_NOT_RUN;
  if (file === undefined || file === "") console.error(`NOT RUN: ${line}`);
  else appendFileSync(file, `${line}\n`);
  describe.skip(name, body);
}
