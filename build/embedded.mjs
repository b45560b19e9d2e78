// The embedded engine: bundle, compile to bytecode, link into the Rust program in host/.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  rmSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join } from "node:path";
import { spawnSync } from "node:child_process";
import { build as esbuild } from "esbuild";
import { execa } from "execa";
import { buildMark, root } from "./bootstrap.mjs";
import { definesOf } from "./defines.mjs";
import { writeImage } from "./image.mjs";
import { cargoArguments, engineCrates } from "./quickjs.mjs";

const work = join(root, "dist/embedded");

const output = (command, ...args) => spawnSync(command, args, { encoding: "utf8" }).stdout?.trim() ?? "";
const runs = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Whether rustc can build for a triple, fetching its library where there is a rustup. */
function hasTarget(triple) {
  const there = () => existsSync(join(output("rustc", "--print", "target-libdir", "--target", triple), "."));
  if (there()) return true;
  spawnSync("rustup", ["target", "add", triple], { stdio: "ignore" });
  return there();
}

/** Rust's and the C compiler's settings for a target triple. Paths of this machine stay out of the executable. */
function environmentFor(triple, crates) {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const sysroot = output("rustc", "--print", "sysroot");
  const maps = [
    [root, "weft"],
    [crates, "cargo"],
    [cargoHome, "cargo"],
    [sysroot, "rust"],
  ];
  // One file without libraries; not position independent, so nothing is relocated at start.
  const flags = [
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
    // Names that tell apart what is made of one generic function: host/order.ld has some of them.
    "-Csymbol-mangling-version=v0",
    ...maps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
  ];
  const cflags = [
    "-U_FORTIFY_SOURCE",
    "-D__SANITIZE_ADDRESS__",
    "-O2",
    // Not for a library: functions may be inlined, and nothing is looked up in a table. No panic and no error unwinds C.
    "-fno-pic",
    "-fno-pie",
    "-fno-asynchronous-unwind-tables",
    // What fills the gaps before aligned functions, loops and labels is a thirtieth of the code and saves no time.
    ...["functions", "loops", "jumps", "labels"].map((what) => `-falign-${what}=1`),
    ...maps.map(([from, to]) => `-ffile-prefix-map=${from}=${to}`),
  ];
  const key = triple.replaceAll("-", "_");
  const cross = triple.startsWith("aarch64") && process.arch !== "arm64";
  const compiler = cross ? "aarch64-linux-gnu-gcc" : triple.endsWith("musl") && runs("musl-gcc") ? "musl-gcc" : "gcc";
  if (cross) flags.push(triple.endsWith("musl") ? "-Clinker=rust-lld" : "-Clinker=aarch64-linux-gnu-gcc");
  return { CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"), [`CFLAGS_${key}`]: cflags.join(" "), [`CC_${key}`]: compiler };
}

async function cargo(triple, bin, table) {
  const crates = await engineCrates();
  const args = [
    "build",
    "--release",
    "--locked",
    "--quiet",
    "--manifest-path",
    join(root, "host/Cargo.toml"),
    "--target",
    triple,
    "--bin",
    bin,
    ...cargoArguments(crates),
  ];
  await execa("cargo", args, {
    env: { ...environmentFor(triple, crates), WEFT_TABLE: table },
    stdout: "inherit",
    stderr: "inherit",
  });
  return join(root, "host/target", triple, "release", bin);
}

/** The TypeScript as one module of plain JavaScript. Returns its file. */
export async function bundle(facts, js = join(work, "js"), plugins = []) {
  rmSync(js, { recursive: true, force: true });
  await esbuild({
    entryPoints: { main: join(root, "plugins/main.ts") },
    outdir: js,
    bundle: true,
    format: "esm",
    target: "es2024",
    conditions: ["weft-embedded"],
    external: ["host"],
    // Identifiers stay: an operator's stack trace names functions.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: "external",
    define: definesOf(facts),
    plugins,
    logLevel: "warning",
  });
  return join(js, "main.js");
}

const lastResort = ['{"cniVersion":"1.1.0","code":999,"msg":', "}\n"];

/** The Rust source that carries the bytecode, which main.rs includes, in this directory. */
function writeTable(directory, bytecode) {
  const table = join(directory, "table.rs");
  const length = bytecode === undefined ? 0 : statSync(bytecode).size;
  const main = bytecode === undefined ? "&[]" : `include_bytes!(${JSON.stringify(bytecode)})`;
  const quoted = lastResort.map((part) => JSON.stringify(part)).join(", ");
  // More than it takes: some 0.3 MB for an empty engine, 4.5 times its bytecode for a module that was run. The rest is cut off.
  const imageSize = (512 << 10) + Math.ceil((length * 5) / 4096) * 4096;
  const lines = [
    `pub const MAIN: &[u8; ${length}] = ${main};`,
    `pub const LAST_RESORT: (&str, &str) = (${quoted});`,
    `pub const IMAGE_SIZE: usize = ${imageSize};`,
  ];
  writeFileSync(table, `${lines.join("\n")}\n`);
  return table;
}

/** What rustc calls this machine and the target. */
function triplesFor(target) {
  const here = process.arch === "arm64" ? "aarch64" : "x86_64";
  const [home, goal] = [here, target].map((arch) =>
    [`${arch}-unknown-linux-musl`, `${arch}-unknown-linux-gnu`].find(hasTarget),
  );
  if (home === undefined || goal === undefined)
    throw new Error(`rustc has no library for ${target}: rustup target add ${target}-unknown-linux-musl`);
  return { home, goal };
}

/** Compiles a module of JavaScript. Returns the file with its bytecode. */
async function compile(script, target) {
  const tool = await cargo(triplesFor(target).home, "compile", writeTable(dirname(script)));
  const bytecode = `${script}.bc`;
  await execa(tool, [basename(script), script, bytecode], { stderr: "inherit" });
  return bytecode;
}

/** Links main.js into the Rust program. Returns the blank executable; the next call replaces it. */
export async function linkBlank(script, target) {
  const bytecode = await compile(script, target);
  return cargo(triplesFor(target).goal, "plugin", writeTable(dirname(script), bytecode));
}

/** The calls that a build rehearses, as they were recorded. */
const recordedCalls = join(root, "build/rehearsal/recorded.json");

/** The bytecode that answers as recorded. */
export async function compileRehearsal(target, recorded = recordedCalls, directory = join(work, "rehearsal")) {
  const file = join(directory, "answers.js");
  await esbuild({
    entryPoints: [join(root, "build/rehearsal/answers.js")],
    outfile: file,
    bundle: true,
    format: "esm",
    target: "es2024",
    alias: { recorded },
    logLevel: "warning",
  });
  return readFileSync(await compile(file, target));
}

/** Returns the finished executable. */
export async function buildEmbedded(facts) {
  const { buildId, target } = facts;
  mkdirSync(work, { recursive: true });
  if (!triplesFor(target).goal.endsWith("musl"))
    console.log(
      `no musl here (rustup target add ${target}-unknown-linux-musl): linking glibc, larger and slower to start`,
    );
  console.log("bundling the TypeScript, compiling it to bytecode, linking");
  const blank = await linkBlank(await bundle(facts), target);
  const executable = join(work, `weft-${target}`);
  rmSync(executable, { force: true });
  writeImage(blank, target, executable, await compileRehearsal(target));
  // What the image is worth is measured beside this one.
  copyFileSync(blank, `${executable}-blank`);
  // A copy of this executable knows another by this last line (lib/cni/delegate.ts).
  for (const file of [executable, `${executable}-blank`]) appendFileSync(file, buildMark(buildId));
  checkForPaths(executable);
  return executable;
}

/** No path of the build machine may be in what is shipped. */
function checkForPaths(executable) {
  const found = [root, homedir()].filter((path) => path.length > 1 && readFileSync(executable).includes(`${path}/`));
  if (found.length > 0) throw new Error(`the executable carries paths of this machine: ${found.join(", ")}`);
}
