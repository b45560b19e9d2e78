// Faults for tests: a set of system calls of which one fails, or after which none work any more, as after a kill.
import { systemError } from "../lib/host/errno.ts";
import type { Sys } from "../lib/host/sys.ts";

/** What every call throws once the process is supposed to be dead. */
export class Killed extends Error {}

export interface Faulty {
  readonly sys: Sys;
  /** Calls made so far that could fail. */
  count(): number;
  /** The call that failed; undefined while none has. */
  failed(): string | undefined;
}

/** Calls that cannot fail in a way that matters: no fault is put there. */
const harmless = new Set(["argv", "getenv", "monotonicMs", "wallClockMs", "sleepMs", "sha512", "close", "random"]);

/**
 * `sys` with its call number `at` (from 0) refused with `errno`; or, with "killed", everything from there on. Calls are
 * counted from the first that is `since` on.
 */
export function failing(
  sys: Sys,
  at: number,
  errno: number | "killed",
  since: (name: string, args: readonly unknown[]) => boolean = () => true,
): Faulty {
  let begun = false;
  let count = 0;
  let failed: string | undefined;
  const wrapped = Object.fromEntries(
    Object.entries(sys).map(([name, call]) => {
      const original = call as (...args: unknown[]) => unknown;
      if (harmless.has(name)) return [name, original];
      const faulty = (...args: unknown[]) => {
        begun ||= since(name, args);
        if (!begun) return original(...args);
        const number = count++;
        if (number === at) failed = `${name}(${typeof args[0] === "string" ? args[0] : ""})`;
        if (errno === "killed" && number >= at) throw new Killed(`killed before ${name}`);
        if (number === at) throw systemError(name, errno as number, typeof args[0] === "string" ? args[0] : undefined);
        return original(...args);
      };
      return [name, faulty];
    }),
  );
  return { sys: wrapped as unknown as Sys, count: () => count, failed: () => failed };
}
