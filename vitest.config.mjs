import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["{lib,plugins,weft,build,host,testing,conformance,bench}/**/*.test.ts"],
    // setns moves one thread, so tests run in processes; and one file after the other, because they share the cell's node.
    pool: "forks",
    fileParallelism: false,
    // node:ffi, under lib/host/node.ts, is experimental and says so.
    execArgv: ["--no-warnings"],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
