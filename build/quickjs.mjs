// The crates of host/Cargo.lock as cargo compiles them: fetched, and in the engine's C our frozen.h and arena.h (host/src).
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "./bootstrap.mjs";

const inline = (declaration) => [
  `static ${declaration}\n{`,
  `static inline __attribute__((always_inline)) ${declaration}\n{`,
];

/** What of quickjs.c is replaced, by what. */
const replacements = (frozen) => [
  // Too long for the compiler's liking since they ask where a block lies, and called everywhere.
  inline("JSValue js_dup(JSValueConst v)"),
  inline("size_t js_arena_usable_size(JSRuntime *rt, const void *ptr)"),
  inline("void js_arena_free(JSRuntime *rt, void *ptr)"),
  ["#define JS_REF_COUNT(p) (js_rc(p)->ref_count)\n", frozen],
  [
    "    h = shape_hash(1, (uintptr_t)proto);\n    if (sizeof(proto) > 4)\n        h = shape_hash(h, (uint64_t)(uintptr_t)proto >> 32);\n",
    "    h = shape_hash(shape_hash(1, (uint32_t)js_identity(proto)), (uint32_t)(js_identity(proto) >> 32));\n",
  ],
  ["static no_inline void *arena_malloc_large(", "static inline void *arena_malloc_large("],
  ["b = rt->mf.js_malloc(rt->malloc_state.opaque,", "b = arena_alloc("],
  ["b = rt->mf.js_calloc(rt->malloc_state.opaque, 1,", "b = arena_calloc("],
  ["nb = rt->mf.js_realloc(rt->malloc_state.opaque, b,", "nb = arena_realloc(b,"],
  ["rt->mf.js_free(rt->malloc_state.opaque, b);", "arena_free(b);"],
  ["size_t size = rt->mf.js_malloc_usable_size(b);", "size_t size = arena_size(b);"],
  [
    "if (2 * (rt->shape_hash_count + 1) > rt->shape_hash_size)",
    "if (js_is_full(2 * (rt->shape_hash_count + 1), rt->shape_hash_size))",
  ],
  [
    "if (unlikely(rt->atom_count >= rt->atom_count_resize))",
    "if (unlikely(js_is_full(rt->atom_count + 1, rt->atom_count_resize)))",
  ],
];

/** Puts them into one crate. The lock file vouches for the rest of it; cargo checks no file that is not listed. */
function patch(crate, frozen) {
  const file = join(crate, "quickjs/quickjs.c");
  let text = readFileSync(file, "utf8");
  for (const [theirs, ours] of replacements(frozen)) {
    const [before, after, ...more] = text.split(theirs);
    if (after === undefined || more.length > 0)
      throw new Error(`the engine is another than host/src/frozen.h was made for: no single ${theirs}`);
    text = before + ours + after;
  }
  writeFileSync(file, text);
  const checksums = join(crate, ".cargo-checksum.json");
  writeFileSync(checksums, JSON.stringify({ ...JSON.parse(readFileSync(checksums, "utf8")), files: {} }));
}

/** Fetches them, unchanged, from where this machine's cargo is told to (a mirror, where it has one). */
export async function fetchCrates(directory, env = {}) {
  const manifest = join(root, "host/Cargo.toml");
  const args = ["vendor", "--quiet", "--locked", "--respect-source-config", "--manifest-path", manifest, directory];
  await execa("cargo", args, { env, stdout: "ignore", stderr: "inherit" });
}

/** Makes them, once for each state of what they are made from. Returns their directory. */
export async function engineCrates() {
  const target = join(root, "host/target");
  const sources = ["host/Cargo.lock", "host/src/frozen.h", "host/src/arena.h", "build/quickjs.mjs"].map((file) =>
    readFileSync(join(root, file)),
  );
  const mark = createHash("sha256").update(Buffer.concat(sources)).digest("hex").slice(0, 16);
  const crates = join(target, `crates-${mark}`);
  if (existsSync(crates)) return crates;
  mkdirSync(target, { recursive: true });
  for (const old of globSync(join(target, "crates-*"))) rmSync(old, { recursive: true });
  const made = join(target, `crates-${mark}.${process.pid}`);
  await fetchCrates(made);
  patch(join(made, "rquickjs-sys"), `${sources[1]}${sources[2]}`);
  renameSync(made, crates);
  return crates;
}

/** What tells cargo to take these crates and no others. */
export const cargoArguments = (crates) => [
  "--config",
  'source.crates-io.replace-with="crates"',
  "--config",
  `source.crates.directory=${JSON.stringify(crates)}`,
];
