// The network lists this repository ships, as tests and the demo use them.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Conflist {
  readonly name: string;
  readonly cniVersion: string;
  readonly plugins: readonly Readonly<Record<string, unknown>>[];
}

/** kube-flannel's list of a version that is shipped, as text. */
export function shippedConflist(version: "0.3.1" | "1.1.0"): string {
  return readFileSync(join(import.meta.dirname, `${version}/10-flannel.conflist`), "utf8");
}

/** The stock list at another version. */
export function stockConflist(cniVersion: string): Conflist {
  return { ...(JSON.parse(shippedConflist("0.3.1")) as Conflist), cniVersion };
}
