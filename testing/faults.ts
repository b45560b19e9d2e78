// One fault in a call, over the real kernel: a system call that is refused, or that the process is killed before.
import { expect } from "vitest";
import { sys } from "../lib/host/node.ts";
import { failing, type Faulty } from "./failing.ts";
import type { Call, Runtime } from "./runtime.ts";
import { quietSpawn } from "./host.ts";

const CLONE_NEWNET = 0x40000000;
export const EIO = 5;

/** The errno a system call is refused with, or the end of the process. */
export type Fault = number | "killed";
type Since = (name: string, args: readonly unknown[]) => boolean;

/** A call whose system call number `at`, counted from where `since` is true, fails. Says what became of it. */
export async function struck(
  runtime: Runtime,
  call: Call,
  at: number,
  fault: Fault,
  since?: Since,
): Promise<Faulty & { error?: unknown }> {
  const home = sys.open("/proc/thread-self/ns/net", 0, 0);
  const quiet: typeof sys.write = (fd, data) => (fd === 2 ? undefined : sys.write(fd, data));
  const faulty = failing({ ...sys, write: quiet, spawn: quietSpawn }, at, fault, since);
  // The request is a value of the test's, and no call of the system.
  const { getenv: _, argv: __, ...over } = faulty.sys;
  try {
    await runtime.call({ ...call, over });
    return faulty;
  } catch (error) {
    return { ...faulty, error };
  } finally {
    // A killed process would be gone, wherever it stood.
    sys.setns(home, CLONE_NEWNET);
    sys.close(home);
  }
}

/** Where a call makes very many: one in three is struck, which is a minute, or with WEFT_ALL_FAULTS=1 each. */
export const oneInThree = process.env.WEFT_ALL_FAULTS === "1" ? 1 : 3;

export interface Faults {
  readonly runtime: Runtime;
  /** Makes things ready for the call, and says which it is: once for each fault. */
  readonly call: () => Promise<Call>;
  readonly fault: Fault;
  /** What must be so after each; `error` is what the call threw. */
  readonly judge: (error: unknown) => Promise<void>;
  /** Where the counting begins. */
  readonly since?: Since;
  /** Every so manyth system call fails. */
  readonly step?: number;
  /** A verb that makes no more than so many would pass everything. */
  readonly least?: number;
}

/** Goes through the faults of a call, one after the other, until one is beyond its last system call. */
export async function everyFault({ runtime, call, fault, judge, since, step = 1, least = 5 }: Faults): Promise<void> {
  for (let at = 0; ; at += step) {
    const faulty = await struck(runtime, await call(), at, fault, since);
    if (faulty.failed() === undefined) {
      expect(faulty.error).toBeUndefined();
      expect(at).toBeGreaterThan(least);
      return;
    }
    try {
      await judge(faulty.error);
    } catch (cause) {
      const how = fault === "killed" ? "killed" : "refused";
      throw new Error(`call ${at}, ${faulty.failed()}, ${how}: ${String(cause)}`, { cause });
    }
  }
}
