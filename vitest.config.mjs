import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{lib,plugins,weft,build,host,testing,conformance,bench}/**/*.test.ts"],
    // setns moves one thread, so tests run in processes; and one file after the other, because they share the cell's node.
    pool: "forks",
    fileParallelism: false,
    // node:ffi, under lib/host/node.ts, is experimental and says so.
    execArgv: ["--no-warnings"],
    // Ends what hangs, and nothing else: some tests take a minute where others use the machine, too, and more on a slow one.
    testTimeout: 900_000,
    hookTimeout: 900_000,
  },
});
