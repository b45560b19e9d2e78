#!/usr/bin/env node
// npm run demo: builds Weft, then shows it at work in a private node made of its own network and mount namespaces.
// Needs no root (an ordinary user gets a user namespace), no `ip` and no `ping`. `--engine node` shows the Node build.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  engineFor,
  ensureBuilt,
  ensureInstalled,
  modernNode,
  namespaceSwitch,
  root,
  unshareFlags,
} from "./build/bootstrap.mjs";

const { values } = parseArgs({ options: { engine: { type: "string" } } });

ensureInstalled();
const bin = ensureBuilt(engineFor(values.engine));

const unshare = unshareFlags();
if (spawnSync("unshare", [...unshare, "true"], { stdio: "ignore" }).status !== 0) {
  console.error(`demo: this system forbids making network namespaces: ${namespaceSwitch()}`);
  process.exit(1);
}
const script = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec "$@"';
const inside = [modernNode(), "--no-warnings", join(root, "demo/inside.ts"), bin];
const done = spawnSync("unshare", [...unshare, "sh", "-c", script, "sh", ...inside], {
  stdio: "inherit",
  cwd: root,
  // Reading the TypeScript anew would take longer than all that the demo shows.
  env: { ...process.env, NODE_COMPILE_CACHE: join(root, ".cache/demo") },
});
process.exit(done.status ?? 1);
