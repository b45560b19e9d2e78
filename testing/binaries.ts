// The built executables that black-box tests run.
import { join } from "node:path";
import { plugins as names } from "../build/names.mjs";

const root = join(import.meta.dirname, "..");

/** The plugins among their names. */
export const plugins: readonly string[] = names;

/** The engine the run was asked for. */
export const engine: "embedded" | "node" = process.env.WEFT_TEST_ENGINE === "node" ? "node" : "embedded";

/** Where ours are, of that engine. */
export const ours: string = join(root, "dist", ...(engine === "node" ? ["node"] : []), "bin");

/** Where those of the embedded engine are, whatever the run was asked for. */
export const embedded: string = join(root, "dist/bin");

/** Where the Go plugins and cnitool are, built by npm test before it enters its cell. */
export const reference: string = join(root, ".cache/go-bin");
