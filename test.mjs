#!/usr/bin/env node
// npm test [-- --engine embedded|node] [vitest's own arguments]: everything this machine can run, in network and mount
// namespaces of its own, so that no test can touch the machine's. A loud line for each thing it cannot run; the last line
// is "N passed, N failed".
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, modernNode, namespaceSwitch, root, unshareFlags } from "./build/bootstrap.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--engine");
const [, asked] = at < 0 ? [] : args.splice(at, 2);

ensureInstalled();
const engine = asked ?? (existsSync(join(root, "dist/bin/weft")) || canEmbed() ? "embedded" : "node");
ensureBuilt(engine);

function canEmbed() {
  return ["cargo", "gcc"].every((command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0);
}

const scratch = mkdtempSync(join(tmpdir(), "weft-test-"));
const report = join(scratch, "report.json");
const notRun = join(scratch, "not-run");
const vitest = [
  modernNode(),
  "--no-warnings",
  join(root, "node_modules/vitest/vitest.mjs"),
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...args,
];

const flags = unshareFlags();
const inCell = spawnSync("unshare", [...flags, "true"], { stdio: "ignore" }).status === 0;
if (!inCell)
  console.error(`NOT RUN: everything that needs a network namespace: this system forbids them (${namespaceSwitch()})`);
// /run and /var/lib are the test's own, so that the product's fixed paths can be used as they are.
const enter = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && ip link set lo up 2>/dev/null; exec "$@"';
const command = inCell ? ["unshare", ...flags, "sh", "-c", enter, "sh", ...vitest] : vitest;
const environment = {
  ...process.env,
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  WEFT_TEST_ENGINE: engine,
  WEFT_TEST_CELL: inCell ? "1" : "",
  WEFT_TEST_NOT_RUN: notRun,
};
delete environment.NODE_OPTIONS;
const done = spawnSync(command[0], command.slice(1), { cwd: root, stdio: "inherit", env: environment });

let passed = 0;
let failed = 0;
try {
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  passed = numPassedTests;
  // A file that cannot even be read has no tests in it, and has failed all the same.
  for (const { status, assertionResults } of testResults) {
    const inFile = assertionResults.filter((each) => each.status === "failed").length;
    failed += inFile === 0 && status === "failed" ? 1 : inFile;
  }
} catch {
  console.error("vitest wrote no report");
}
for (const line of new Set(existsSync(notRun) ? readFileSync(notRun, "utf8").trim().split("\n") : []))
  console.log(`NOT RUN: ${line}`);
if (done.status !== 0 && failed === 0) failed = 1;
rmSync(scratch, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
