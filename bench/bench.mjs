#!/usr/bin/env node
// npm run bench -- [--quick] [--rows REGEX] [--engine node] [--cgo]
//
// Measures Weft beside the Go plugins and a C floor: builds what is missing, then runs everything alternately in network
// and mount namespaces of its own, and judges by ratios within the run. A whole run writes bench/results.{md,json,svg};
// any other only prints.
//
//   --quick        few rounds: a look, not a measurement
//   --rows REGEX   only what matches, e.g. --rows 'flannel ADD'
//   --engine node  the Node build as well (fewer rounds: it takes ten times as long as the rest)
//   --bin DIR      these executables instead of this tree's
//   --also DIR     these as well, as one more lane: the way to compare two builds (may be given more than once)
//   --cgo          Go's plugins as a plain `go install` makes them where there is a gcc: dynamically linked. Releases are
//                  static, and that is what is measured without it
//
// Plain JavaScript for Node 20, because it runs before anything is installed. Where to read next: inside.mjs (one run),
// rows.mjs (what is measured), harness.c (how), floor.c, report.mjs.
import { spawnSync } from "node:child_process";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { ensureBuilt, ensureInstalled, modernNode, root } from "../build/bootstrap.mjs";
import { homeTarget } from "../build/engine.mjs";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rows: { type: "string" },
    engine: { type: "string", multiple: true, default: [] },
    bin: { type: "string" },
    also: { type: "string", multiple: true, default: [] },
    cgo: { type: "boolean", default: false },
  },
});

ensureInstalled();
const { buildPrograms } = await import("./programs.mjs");
const lanes = { weft: values.bin ?? ensureBuilt("embedded") };
if (values.bin === undefined) lanes.blank = join(root, `dist/embedded/weft-${homeTarget}-blank`);
if (values.engine.includes("node")) lanes.node = ensureBuilt("node");
for (const directory of values.also) lanes[basename(directory)] = directory;
let programs;
try {
  programs = await buildPrograms(values.cgo);
} catch (error) {
  console.error(`bench: ${error.message}`);
  process.exit(1);
}

// A cell of its own: links, addresses and mounts made here are gone with it, and the machine's are not seen.
const asUser = process.getuid() === 0 ? [] : ["--user", "--map-root-user"];
const cell = ["unshare", ...asUser, "--net", "--mount", "sh", "-c", 'mount -t tmpfs tmpfs /run && exec "$@"', "sh"];
const plan = JSON.stringify({ ...programs, lanes: { ...programs.lanes, ...lanes }, ...values });
const inside = [modernNode(), "--no-warnings", join(root, "bench/inside.mjs"), plan];
const [command, ...args] = [...cell, ...inside];
process.exit(spawnSync(command, args, { stdio: "inherit", cwd: root }).status ?? 1);
