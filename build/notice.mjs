// A small notice of what the executable carries, from the packages' own licence files.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { root } from "./bootstrap.mjs";

const licenceFile = /^(licen[cs]e|copying|copyright)/i;

function textsIn(directory) {
  const files = existsSync(directory) ? readdirSync(directory).filter((name) => licenceFile.test(name)) : [];
  // Of a dual licence one is enough, and MIT is the shorter.
  const chosen = files.filter((name) => /mit/i.test(name));
  return (chosen.length > 0 ? chosen : files.filter((name) => !/apache/i.test(name))).map((name) =>
    readFileSync(join(directory, name), "utf8").trim(),
  );
}

/** The crates linked into the executable for a target, as cargo knows them. */
function crates(target) {
  const args = [
    "metadata",
    "--format-version=1",
    "--locked",
    // Else cargo wants crates of other systems as well, which no build here has fetched.
    `--filter-platform=${target}-unknown-linux-musl`,
    "--manifest-path",
    join(root, "host/Cargo.toml"),
  ];
  const asked = spawnSync("cargo", args, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (asked.status !== 0) throw new Error(`no licences for NOTICE: cargo metadata: ${asked.stderr ?? asked.error}`);
  const { packages, resolve } = JSON.parse(asked.stdout);
  const linked = new Set();
  const visit = (id) => {
    if (linked.has(id)) return;
    linked.add(id);
    for (const { pkg, dep_kinds } of resolve.nodes.find((node) => node.id === id).deps) {
      if (dep_kinds.some(({ kind }) => kind === null)) visit(pkg);
    }
  };
  visit(resolve.root);
  return packages
    .filter(({ id, source }) => linked.has(id) && source !== null)
    .map(({ name, version, license, manifest_path }) => ({
      name,
      version,
      license,
      directory: dirname(manifest_path),
    }));
}

const musl = "musl libc: MIT. Copyright 2005-2020 Rich Felker, et al. https://musl.libc.org";
const rust = "Rust's standard library: MIT or Apache-2.0. https://github.com/rust-lang/rust/blob/main/COPYRIGHT";

export function writeNotice(engine, target, file) {
  const parts = ["Weft: Apache-2.0, see LICENSE. This executable also carries:\n"];
  if (engine === "node") {
    parts.push("Node.js: MIT, with the licences of its parts: https://github.com/nodejs/node/blob/main/LICENSE");
  } else {
    parts.push(musl, rust);
    for (const { name, version, license, directory } of crates(target)) {
      parts.push([`${name} ${version}: ${license}`, ...textsIn(directory)].join("\n\n"));
      if (name === "rquickjs-sys")
        parts.push([`QuickJS-ng, the engine inside ${name}: MIT`, ...textsIn(join(directory, "quickjs"))].join("\n\n"));
    }
  }
  writeFileSync(file, `${parts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
}
