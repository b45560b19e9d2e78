// The embedded engine: bundle, compile to bytecode, link into the Rust program in host/.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  writeFileSync,
  readFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { spawnSync } from "node:child_process";
import { build as esbuild } from "esbuild";
import { execa } from "execa";
import { root } from "./bootstrap.mjs";

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
function environmentFor(triple) {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const sysroot = output("rustc", "--print", "sysroot");
  const maps = [
    [root, "weft"],
    [cargoHome, "cargo"],
    [sysroot, "rust"],
  ];
  // One file without libraries; not position independent, so nothing is relocated at start.
  const flags = [
    "-Ctarget-feature=+crt-static",
    "-Crelocation-model=static",
    ...maps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`),
  ];
  const cflags = ["-U_FORTIFY_SOURCE", ...maps.map(([from, to]) => `-ffile-prefix-map=${from}=${to}`)];
  const key = triple.replaceAll("-", "_");
  const cross = triple.startsWith("aarch64") && process.arch !== "arm64";
  const compiler = cross ? "aarch64-linux-gnu-gcc" : triple.endsWith("musl") && runs("musl-gcc") ? "musl-gcc" : "gcc";
  if (cross) flags.push(triple.endsWith("musl") ? "-Clinker=rust-lld" : "-Clinker=aarch64-linux-gnu-gcc");
  return { CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f"), [`CFLAGS_${key}`]: cflags.join(" "), [`CC_${key}`]: compiler };
}

async function cargo(triple, bin, table) {
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
  ];
  await execa("cargo", args, {
    env: { ...environmentFor(triple), WEFT_TABLE: table },
    stdout: "inherit",
    stderr: "inherit",
  });
  return join(root, "host/target", triple, "release", bin);
}

/** What every verb reads before anything else, and small things that most come to need: one chunk. */
const firstRead = [
  "lib/cni/dispatch.ts",
  "lib/host/embedded-host.ts",
  "lib/host/utf8.ts",
  "lib/cni/args.ts",
  "lib/cni/faults.ts",
  "lib/cni/lock.ts",
  "lib/cni/netns.ts",
].map((file) => join(root, file));

/**
 * Has all that is read on demand import what is read first. That changes nothing when it runs, since it is there by then,
 * but it changes how esbuild cuts: a chunk for each set of readers would be thirty for an ADD, and each costs what a
 * kilobyte of code costs.
 */
const fewerChunks = {
  name: "fewer-chunks",
  setup({ onLoad }) {
    const onDemand =
      /\/(plugins\/[^/]+\/(index|add|del|check|status|gc)|weft\/main|lib\/cni\/dispatch|lib\/host\/embedded-host)\.ts$/;
    const imports = firstRead.map((file) => `import ${JSON.stringify(file)};`).join("");
    onLoad({ filter: onDemand }, ({ path }) => ({ contents: imports + readFileSync(path, "utf8"), loader: "ts" }));
  },
};

/** The TypeScript as modules of plain JavaScript: one for the start, one for each plugin, and what they share. */
async function bundle(version, buildId) {
  const js = join(work, "js");
  rmSync(js, { recursive: true, force: true });
  await esbuild({
    entryPoints: { main: join(root, "plugins/main.ts") },
    outdir: js,
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2024",
    conditions: ["weft-embedded"],
    external: ["host"],
    plugins: [fewerChunks],
    // Identifiers stay: an operator's stack trace names functions, and esbuild's way to keep the names of minified ones
    // is a call for each function at every start.
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: "external",
    define: { WEFT_VERSION: JSON.stringify(version), WEFT_BUILD_ID: JSON.stringify(buildId) },
    logLevel: "warning",
  });
  return readdirSync(js)
    .filter((name) => name.endsWith(".js"))
    .sort()
    .map((name) => join(js, name));
}

const lastResort = ['{"cniVersion":"1.1.0","code":999,"msg":', "}\n"];

/** The Rust source that carries the bytecode; main.rs includes it. */
function writeTable(modules) {
  const rows = modules.map(
    ({ name, file }) => `    (${JSON.stringify(name)}, include_bytes!(${JSON.stringify(file)})),`,
  );
  const table = join(work, "table.rs");
  const quoted = lastResort.map((part) => JSON.stringify(part)).join(", ");
  writeFileSync(
    table,
    `pub static MODULES: &[(&str, &[u8])] = &[\n${rows.join("\n")}\n];\npub static LAST_RESORT: (&str, &str) = (${quoted});\n`,
  );
  return table;
}

/** Returns the finished executable. */
export async function buildEmbedded({ version, buildId, target }) {
  mkdirSync(work, { recursive: true });
  const here = process.arch === "arm64" ? "aarch64" : "x86_64";
  const tripleFor = (arch) => [`${arch}-unknown-linux-musl`, `${arch}-unknown-linux-gnu`].find(hasTarget);
  const [home, goal] = [tripleFor(here), tripleFor(target)];
  if (home === undefined || goal === undefined)
    throw new Error(`rustc has no library for ${target}: rustup target add ${target}-unknown-linux-musl`);
  if (!goal.endsWith("musl"))
    console.log(
      `no musl here (rustup target add ${target}-unknown-linux-musl): linking glibc, larger and slower to start`,
    );

  console.log("bundling the TypeScript, compiling it to bytecode");
  const files = await bundle(version, buildId);
  const emptyTable = writeTable([]);
  const compile = await cargo(home, "compile", emptyTable);
  const modules = [];
  for (const file of files) {
    const name = file.slice(file.lastIndexOf("/") + 1);
    const bytecode = `${file}.bc`;
    await execa(compile, [name, file, bytecode], { stderr: "inherit" });
    modules.push({ name, file: bytecode });
  }
  console.log(`linking for ${goal}`);
  const linked = await cargo(goal, "plugin", writeTable(modules));
  const executable = join(work, `weft-${target}`);
  rmSync(executable, { force: true });
  copyFileSync(linked, executable);
  // A copy of this executable knows another by this last line (lib/cni/delegate.ts).
  appendFileSync(executable, `\nweft-build:${buildId}\n`);
  checkForPaths(executable);
  return executable;
}

/** No path of the build machine may be in what is shipped. */
function checkForPaths(executable) {
  const found = [root, homedir()].filter((path) => path.length > 1 && readFileSync(executable).includes(`${path}/`));
  if (found.length > 0) throw new Error(`the executable carries paths of this machine: ${found.join(", ")}`);
}
