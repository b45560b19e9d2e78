// What Weft is measured with: the Go plugins, the C floor and the harness, built where missing.
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "../build/bootstrap.mjs";
import { buildGoPeers, goPeers } from "../build/go-peers.mjs";

const cache = join(root, ".cache");
const has = async (command) => (await execa(command, ["--version"], { reject: false })).code !== "ENOENT";

/** When the last of the C files here was changed: they include one another. */
const changedAt = () =>
  Math.max(
    ...readdirSync(join(root, "bench"))
      .filter((name) => /\.[ch]$/.test(name))
      .map((name) => statSync(join(root, "bench", name)).mtimeMs),
  );

/** Compiles a C file of this directory when one is newer than the program. musl has no kernel headers of its own. */
async function compile(compiler, source, program) {
  const file = join(cache, "bench", program);
  const from = join(root, "bench", source);
  const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made > changedAt()) return file;
  const { stdout: arch } = await execa("gcc", ["-print-multiarch"]);
  const headers =
    compiler === "musl-gcc" ? ["/usr/include", `/usr/include/${arch}`].flatMap((path) => ["-idirafter", path]) : [];
  await execa(compiler, ["-O2", "-static", "-Wall", ...headers, from, "-o", file], { stderr: "inherit" });
  return file;
}

/** Returns the harness, the measure of page faults, and the directory or file of each peer: what is there to be copied before it is measured. */
export async function buildPrograms(cgo) {
  mkdirSync(join(cache, "bench"), { recursive: true });
  const go = buildGoPeers(cgo);
  if (go === undefined)
    throw new Error("there is no go here, and without the Go plugins there is nothing to compare with");
  if (!(await has("gcc"))) throw new Error("there is no gcc here for the floor and the harness");
  const musl = await has("musl-gcc");
  if (!musl) console.log("NOT MEASURED: the floor on musl, because there is no musl-gcc (Debian: musl-tools)");
  return {
    harness: await compile(musl ? "musl-gcc" : "gcc", "harness.c", "harness"),
    pages: await compile(musl ? "musl-gcc" : "gcc", "pages.c", "pages"),
    peers: Object.fromEntries(goPeers.map(({ name, version }) => [name, version])),
    lanes: {
      go,
      floorGlibc: await compile("gcc", "floor.c", "floor-glibc"),
      ...(musl ? { floorMusl: await compile("musl-gcc", "floor.c", "floor-musl") } : {}),
    },
  };
}
