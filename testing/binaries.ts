// The built executables that black-box tests run.
import { join } from "node:path";

const root = join(import.meta.dirname, "..");

/** Where ours are, of the engine the run was asked for. */
export const ours: string = join(root, "dist", ...(process.env.WEFT_TEST_ENGINE === "node" ? ["node"] : []), "bin");

/** Where the Go plugins and cnitool are, built by npm test before it enters its cell. */
export const reference: string = join(root, ".cache/go-bin");
