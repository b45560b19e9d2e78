#!/usr/bin/env node
// npm test [-- --engine embedded|node] [vitest's own arguments]: everything this machine can run, in network and mount
// namespaces of its own, so that no test can touch the machine's. A loud line for each thing it cannot run, one for each
// that failed; the last line is "N passed, N failed".
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { stripVTControlCharacters } from "node:util";
import {
  engineFor,
  ensureBuilt,
  ensureInstalled,
  modernNode,
  namespaceSwitch,
  root,
  unshareFlags,
} from "./build/bootstrap.mjs";
import { buildGoPeers } from "./build/go-peers.mjs";
import { fetchGuestKernel } from "./build/guest-kernel.mjs";

const args = process.argv.slice(2);
const at = args.indexOf("--engine");
const [, asked] = at < 0 ? [] : args.splice(at, 2);

ensureInstalled();
const engine = engineFor(asked);
// Tests beside the code they test need no executable, only the validators made from the schemas.
const isBesideSource = (arg) => /^(lib|plugins|testing|weft)\b/.test(arg);
// A word after one of vitest's options is that option's, unless it is a path of ours.
const files = args.filter((arg, at) => !arg.startsWith("-") && (isBesideSource(arg) || !args[at - 1]?.startsWith("-")));
if (files.length > 0 && files.every(isBesideSource))
  spawnSync(modernNode(), [join(root, "build/schemas.mjs")], { stdio: "inherit" });
else {
  ensureBuilt(engine);
  // Inside the cell there is no network to fetch these by.
  buildGoPeers();
  fetchGuestKernel();
}

// Not under a path that the cell hides.
mkdirSync(join(root, ".cache"), { recursive: true });
const scratch = mkdtempSync(join(root, ".cache/test-"));
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
// /run and /var/lib are the test's own, so that the product's fixed paths can be used as they are; where the machine has
// CNI plugins of its own, these are out of sight. /sys shows the links of the netns it was mounted in.
const enter = `
for path in /run /var/lib /etc/cni /opt/cni; do test ! -d $path || mount -t tmpfs tmpfs $path; done
mount -t sysfs sysfs /sys 2>/dev/null || true
ip link set lo up 2>/dev/null || true
exec "$@"`;
const command = inCell ? ["unshare", ...flags, "sh", "-ec", enter, "sh", ...vitest] : vitest;
const environment = {
  ...process.env,
  PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
  TMPDIR: "/tmp",
  WEFT_TEST_ENGINE: engine,
  WEFT_TEST_CELL: inCell ? "1" : "",
  WEFT_TEST_NOT_RUN: notRun,
};
delete environment.NODE_OPTIONS;
const done = spawnSync(command[0], command.slice(1), { cwd: root, stdio: "inherit", env: environment });

let passed = 0;
/** What failed: the file, the test, and the first line of what it said, which may be as long as a program. */
const failed = [];
const fail = (where, said = "") => {
  const [line] = stripVTControlCharacters(said).trim().split("\n");
  failed.push(`${where} (${engine} engine): ${line.slice(0, 300)}`);
};
const missed = new Map(
  existsSync(notRun)
    ? readFileSync(notRun, "utf8")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
    : [],
);
const skipped = [];
/** As vitest writes it, so that it can be searched for. */
const nameOf = (...parts) =>
  parts
    .flat()
    .filter((part) => part !== "")
    .join(" > ");
try {
  const { numPassedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
  passed = numPassedTests;
  for (const { name, status, message, assertionResults } of testResults) {
    const file = relative(root, name);
    const inFile = assertionResults.filter((each) => each.status === "failed");
    for (const { ancestorTitles, title, failureMessages } of inFile)
      fail(nameOf(file, ancestorTitles, title), failureMessages[0]);
    // A file that cannot even be read has no tests in it, and has failed all the same.
    if (inFile.length === 0 && status === "failed") fail(file, message || "a hook, or what is outside of its tests");
    for (const { status, fullName, ancestorTitles, title } of assertionResults)
      if (status !== "passed" && status !== "failed")
        skipped.push({ fullName, ancestorTitles, where: nameOf(file, ancestorTitles, title) });
  }
} catch (error) {
  fail("vitest wrote no report", error.message);
}
const chosen = args.some((arg) => arg === "-t" || arg.startsWith("--testNamePattern"));
for (const { fullName, ancestorTitles, where } of chosen ? [] : skipped) {
  if (ancestorTitles.some((title) => missed.has(title))) continue;
  missed.set(fullName, "skipped by its own file");
  if (process.env.CI === "true") fail(where, "skipped by its own file");
}
for (const [name, reason] of missed) console.log(`NOT RUN: ${name}: ${reason}`);
if (done.status !== 0 && failed.length === 0) fail("vitest", `ended with ${done.signal ?? `status ${done.status}`}`);
rmSync(scratch, { recursive: true, force: true });
for (const line of failed) console.log(`failed: ${line}`);
console.log(`${passed} passed, ${failed.length} failed`);
process.exit(failed.length === 0 ? 0 : 1);
