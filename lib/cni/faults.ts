// For what must go on after an error, as DEL and GC must: every step is tried, and all that failed is one error at the end.
import type { Host } from "../host/host.ts";
import { toCniError } from "./boundary.ts";
import { CniError } from "./error.ts";

export class Faults {
  readonly #host: Host;
  readonly #faults: CniError[] = [];

  constructor(host: Host) {
    this.#host = host;
  }

  /** Tries one step. */
  attempt(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.add(error);
    }
  }

  add(error: unknown): void {
    this.#faults.push(toCniError(error, this.#host));
  }

  /** Throws what was collected, under the first one's code; nothing where every step succeeded. */
  end(): void {
    const [first, ...others] = this.#faults;
    if (first === undefined) return;
    if (others.length === 0) throw first;
    const details = new Set(this.#faults.map((fault) => fault.details).filter((text) => text !== ""));
    throw new CniError({ code: first.code }, this.#faults.map(({ message }) => message).join("; "), {
      details: [...details].join("; "),
      cause: first,
    });
  }
}
