// Undo beside do: each step of an ADD says at once how it is taken back.
import type { Host } from "../host/host.ts";
import { saidBy } from "./boundary.ts";

export class Undo {
  readonly #steps: { readonly what: string; readonly run: () => void }[] = [];

  /** Remembers how to take back what was just done. */
  push(what: string, run: () => void): void {
    this.#steps.push({ what, run });
  }

  /** Takes all back, newest first. A step that fails is logged and does not keep the others from running. */
  run(host: Host): void {
    for (const { what, run } of this.#steps.splice(0).reverse()) {
      try {
        run();
      } catch (error) {
        host.log(`undo: ${what}: ${saidBy(error)}`);
      }
    }
  }
}
