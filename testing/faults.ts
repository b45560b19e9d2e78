// One fault in a call, over the real kernel: a system call that is refused, or that the process is killed before.
import { expect } from "vitest";
import { failing, type Faulty } from "./failing.ts";
import { sys } from "../lib/host/node.ts";
import type { Call, Runtime } from "./runtime.ts";

const CLONE_NEWNET = 0x40000000;
export const EIO = 5;

export type Fault = number | "killed";

/** A call whose system call number `at` fails. Says what became of it. */
export async function struck(
  runtime: Runtime,
  call: Call,
  at: number,
  fault: Fault,
): Promise<Faulty & { error?: unknown }> {
  const home = sys.open("/proc/thread-self/ns/net", 0, 0);
  const quiet: typeof sys.write = (fd, data) => (fd === 2 ? undefined : sys.write(fd, data));
  const faulty = failing({ ...sys, write: quiet }, at, fault);
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

/** Goes through the faults of a call, one after the other, until one is beyond its last system call. */
export async function everyFault(
  runtime: Runtime,
  call: () => Promise<Call>,
  fault: Fault,
  judge: (error: unknown) => Promise<void>,
): Promise<void> {
  for (let at = 0; ; at++) {
    const faulty = await struck(runtime, await call(), at, fault);
    if (faulty.failed() === undefined) {
      expect(faulty.error).toBeUndefined();
      // A verb that asks nothing of the system would pass everything.
      expect(at).toBeGreaterThan(5);
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
