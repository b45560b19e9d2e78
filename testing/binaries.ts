// The built executables that black-box tests run.
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** The engine the run was asked for. */
export const engine: "embedded" | "node" = process.env.WEFT_TEST_ENGINE === "node" ? "node" : "embedded";

/** The plugins of this build, in the order in which weft names them. */
export const plugins = ["flannel", "bridge", "host-local", "loopback", "portmap"] as const;

/** Where ours are, of that engine. */
export const ours: string = join(root, "dist", ...(engine === "node" ? ["node"] : []), "bin");

/** Where those of the embedded engine are, whatever the run was asked for. */
export const embedded: string = join(root, "dist/bin");

/** Where the Go plugins and cnitool are, built by npm test before it enters its cell. */
export const reference: string = join(root, ".cache/go-bin");
