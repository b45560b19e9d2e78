#!/usr/bin/env node
// node build.mjs [--engine embedded|node] [--target x86_64|aarch64]
//
// Makes dist/bin: one executable under all its names, hard links to one file. `embedded` is QuickJS-ng in a small static
// Rust program and wants cargo and gcc; `node` is Node 26 as a single executable (dist/node/bin) and wants neither.
// Without --engine it is `embedded` where the tools are there, else `node`, and it says which.
import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";
import { ensureInstalled, modernNode } from "./build/bootstrap.mjs";

ensureInstalled();
if (Number(process.versions.node.split(".")[0]) < 26) {
  const again = spawnSync(modernNode(), ["--no-warnings", ...process.argv.slice(1)], { stdio: "inherit" });
  process.exit(again.status ?? 1);
}

const { build } = await import("./build/build.mjs");
const { values } = parseArgs({ options: { engine: { type: "string" }, target: { type: "string" } } });
try {
  await build(values);
} catch (error) {
  console.error(`build failed: ${error.message}`);
  process.exit(1);
}
