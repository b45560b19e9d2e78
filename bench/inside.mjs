// One run, inside the cell bench.mjs made: sets up a node, measures, reports. Its one argument is what bench.mjs built.
import { copyFileSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "../build/bootstrap.mjs";
import { count } from "./counts.mjs";
import { priceOf } from "./left.mjs";
import { runPlan } from "./plan.mjs";
import { report } from "./report.mjs";
import { scenarios } from "./rows.mjs";

const { harness, pages, peers, lanes: sources, quick, rows: only, bin, also, cgo } = JSON.parse(process.argv[2]);
const names = ["flannel", "bridge", "host-local", "loopback", "portmap"];
const work = join(root, ".cache/bench/run");
/** The measuring is spread over so many passes, each on fresh copies: a copy's place in the page cache shifts its times. */
const passes = quick ? 1 : 4;

function setUpNode() {
  for (const path of ["/run/netns", "/run/flannel", "/run/conf", "/run/state"]) mkdirSync(path);
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  const env = {
    FLANNEL_NETWORK: "10.244.0.0/16",
    FLANNEL_SUBNET: "10.244.1.1/24",
    FLANNEL_MTU: "1450",
    FLANNEL_IPMASQ: "true",
  };
  writeFileSync(
    "/run/flannel/subnet.env",
    Object.entries(env)
      .map((pair) => `${pair.join("=")}\n`)
      .join(""),
  );
}

/** Copies a lane's executables: one file under all names where it is one file, a file for each where they are many. */
function copyLane(lane, source) {
  const bin = join(work, "bin", lane);
  rmSync(bin, { recursive: true, force: true });
  mkdirSync(bin, { recursive: true });
  const copied = new Map();
  for (const name of names) {
    const from = statSync(source).isDirectory() ? join(source, name) : source;
    const { ino } = statSync(from);
    if (copied.has(ino)) linkSync(copied.get(ino), join(bin, name));
    else copyFileSync(from, join(bin, name));
    copied.set(ino, copied.get(ino) ?? join(bin, name));
  }
}

/** The type of the file system a path is on, as the mount table names it. */
function fileSystemOf(path) {
  const mounts = readFileSync("/proc/self/mounts", "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(" "));
  const holds = (point) => point === "/" || path === point || path.startsWith(`${point}/`);
  const [, , type] = mounts
    .filter(([, point]) => holds(point))
    .reduce((best, mount) => (mount[1].length >= best[1].length ? mount : best));
  return type;
}

const bytesOnDisk = (directory) => {
  const files = new Map(names.map((name) => statSync(join(directory, name))).map(({ ino, size }) => [ino, size]));
  return [...files.values()].reduce((sum, size) => sum + size, 0);
};

const lanes = Object.keys(sources).map((name) => ({
  name,
  isFloor: name.startsWith("floor"),
  exe: (plugin) => join(work, "bin", name, plugin),
  state: (place, id) => join(place === "disk" ? join(work, "state") : "/run/state", id, name),
  file(id, conf) {
    const file = `/run/conf/${name}-${id}.json`;
    writeFileSync(file, JSON.stringify(conf));
    return file;
  },
}));

/** A pod that is always there, so that the bridge stands as on a node in use. */
async function attachResident() {
  const resident = { ...lanes[0], state: () => "/run/state/resident" };
  const { steps, prepare } = scenarios("").find(({ id }) => id === "flannel-tmpfs");
  prepare(resident);
  const [{ exe, env, stdin }] = steps(resident);
  const netns = { CNI_CONTAINERID: "resident", CNI_NETNS: "/run/netns/p100" };
  await execa(exe, { env: { ...env, ...netns }, extendEnv: false, inputFile: stdin });
}

process.on("uncaughtException", ({ message }) => {
  console.error(`bench: ${message}`);
  process.exit(1);
});
setUpNode();
await execa(harness, ["netns", "/run/netns", "101"]);
const disk = fileSystemOf(work);
const wanted = new RegExp(only ?? "");
/** The executable without its heap image runs where that tells most: in the short calls, and in one long chain. */
const withBlank = ["version", "status", "loopback", "flannel-tmpfs"];
const measured = scenarios(disk)
  .filter(({ rows }) => rows.some(({ title }) => wanted.test(title)))
  .map((each) => ({
    ...each,
    steps: (lane) => (lane.name === "blank" && !withBlank.includes(each.id) ? [] : each.steps(lane)),
  }));
if (measured.length === 0) throw new Error(`no row matches ${only}`);

const refreshBinaries = () => {
  for (const { name } of lanes) copyLane(name, sources[name]);
};
refreshBinaries();
await attachResident();
for (const { prepare } of measured) for (const lane of lanes) prepare(lane);

const weft = lanes.find(({ name }) => name === "weft");
const samples = new Map(measured.map(({ id }) => [id, []]));
const share = (rounds) => Math.max(3, Math.ceil(rounds / passes / (quick ? 10 : 1) / ("node" in sources ? 4 : 1)));
for (let pass = 0; pass < passes; pass++) {
  if (pass > 0) refreshBinaries();
  for (const { id, rounds, steps, setUp, tearDown } of measured) {
    process.stderr.write(`pass ${pass + 1} of ${passes}: ${id}                \r`);
    const plan = {
      directory: "/run",
      rounds: share(rounds),
      warmup: 1,
      lanes: lanes.map((lane) => ({ name: lane.name, steps: steps(lane) })),
    };
    await setUp?.(weft.exe);
    for (const sample of await runPlan(harness, plan))
      samples.get(id).push({ ...sample, round: `${pass}.${sample.round}` });
    await tearDown?.(weft.exe);
  }
}
const counts = new Map();
for (const { id, count: many, steps } of measured) {
  if (many > 1) continue;
  process.stderr.write(`system calls: ${id}                \r`);
  for (const lane of lanes) counts.set(`${id} ${lane.name}`, await count(steps(lane)));
}
process.stderr.write("\n");
const { stdout: prices } = await execa(pages);
report({
  price: priceOf(prices),
  measured: measured.map((scenario) => ({
    ...scenario,
    rows: scenario.rows.filter(({ title }) => wanted.test(title)),
  })),
  samples,
  counts,
  lanes: lanes.map(({ name }) => name),
  bytes: Object.fromEntries(lanes.map(({ name }) => [name, bytesOnDisk(join(work, "bin", name))])),
  peers,
  cgo,
  whole: !quick && only === undefined && bin === undefined && also.length === 0 && !cgo && !("node" in sources),
});
rmSync(work, { recursive: true, force: true });
