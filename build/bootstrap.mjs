// What every command of this repository starts with: the packages are there, the right Node runs, the executables are
// built. Plain JavaScript for Node 20, because it runs before anything is installed.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync, readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chooseEngine } from "./engine.mjs";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Node 26 from the npm package of this architecture: vitest, pkg and type stripping need more than Node 20. */
export function modernNode() {
  return join(root, "node_modules", `node-linux-${process.arch}`, "bin", "node");
}

/** Where an engine's executables are. */
export function binDirectory(engine) {
  return join(root, "dist", ...(engine === "node" ? ["node"] : []), "bin");
}

/** Runs `npm ci` when node_modules is not what package-lock.json says. */
export function ensureInstalled() {
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  let found = {};
  try {
    found = JSON.parse(readFileSync(join(root, "node_modules", ".package-lock.json"), "utf8")).packages;
  } catch {
    // Nothing installed so far.
  }
  const stale = Object.entries(wanted).some(
    ([path, { version, optional }]) => path !== "" && !optional && found[path]?.version !== version,
  );
  if (!stale && existsSync(modernNode())) return;
  console.log("installing the packages of package-lock.json: npm ci");
  const done = spawnSync("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: root, stdio: "inherit" });
  if (done.status !== 0) process.exit(done.status ?? 1);
  if (existsSync(modernNode())) return;
  console.error(`npm ci brought no Node 26 for ${process.arch}: is "omit=optional" set in an npmrc?`);
  process.exit(1);
}

/** Everything an executable is made from. */
const sources = ["lib", "plugins", "weft", "host", "build", "build.mjs", "package-lock.json"];

/** The files of a path, in order, without tests and what cargo makes. */
function filesOf(path) {
  if (!statSync(join(root, path)).isDirectory()) return [path];
  const names = readdirSync(join(root, path)).filter((name) => name !== "target" && !name.endsWith(".test.ts"));
  return names.sort().flatMap((name) => filesOf(`${path}/${name}`));
}

/** Names what an executable is made from: the same sources, the same id. */
export function buildIdOf(engine) {
  const hash = createHash("sha256").update(`${engine} ${readVersion()}\n`);
  for (const file of sources.flatMap(filesOf)) hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest("hex").slice(0, 16);
}

/** "0.1.0" */
export const readVersion = () => JSON.parse(readFileSync(join(root, "package.json"), "utf8")).version;

/** What every executable of a build ends with (lib/cni/delegate.ts): the id of the sources as the build found them. */
export const buildMark = (buildId) => `\nweft-build:${buildId}\n`;

/** Whether the executables are made from the sources as they are now, whenever either was written. */
function isFresh(engine) {
  const executable = join(binDirectory(engine), "weft");
  if (!existsSync(executable)) return false;
  const mark = buildMark(buildIdOf(engine));
  const file = openSync(executable, "r");
  try {
    const end = Buffer.alloc(mark.length);
    readSync(file, end, 0, end.length, Math.max(0, fstatSync(file).size - end.length));
    return end.toString() === mark;
  } finally {
    closeSync(file);
  }
}

/** The engine asked for, or the one this machine can build. Executables that are up to date need no tools. */
export function engineFor(asked) {
  if ((asked ?? "embedded") === "embedded" && isFresh("embedded")) return "embedded";
  try {
    return chooseEngine(asked);
  } catch (error) {
    console.error(error.message);
    process.exit(1);
  }
}

/** Builds the engine's executables where they are not of the sources as they are. Returns their directory. */
export function ensureBuilt(engine) {
  if (isFresh(engine)) return binDirectory(engine);
  const done = spawnSync(modernNode(), [join(root, "build.mjs"), "--engine", engine], { cwd: root, stdio: "inherit" });
  if (done.status !== 0) process.exit(done.status ?? 1);
  return binDirectory(engine);
}

/** What unshare(1) needs to give a command network and mount namespaces: an ordinary user needs a user namespace too. */
export function unshareFlags() {
  return [...(process.getuid() === 0 ? [] : ["--user", "--map-root-user"]), "--net", "--mount"];
}

/** The switch that forbids namespaces here, as far as the system says it. */
export function namespaceSwitch() {
  const switches = [
    ["kernel.unprivileged_userns_clone", "0"],
    ["user.max_user_namespaces", "0"],
    ["user.max_net_namespaces", "0"],
    ["user.max_mnt_namespaces", "0"],
    ["kernel.apparmor_restrict_unprivileged_userns", "1"],
  ];
  for (const [name, forbidding] of switches) {
    try {
      const value = readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
      if (value === forbidding) return `sysctl ${name} is ${value}`;
    } catch {
      // This kernel has no such switch.
    }
  }
  return "a container without CAP_SYS_ADMIN, or a seccomp filter, is the usual reason";
}
