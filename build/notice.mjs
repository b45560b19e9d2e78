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

/** The crates linked into the executable, as cargo knows them, and the engine's C sources inside one of them. */
function crates() {
  const args = [
    "metadata",
    "--format-version=1",
    "--locked",
    "--offline",
    "--manifest-path",
    join(root, "host/Cargo.toml"),
  ];
  const asked = spawnSync("cargo", args, { encoding: "utf8", maxBuffer: 64 << 20 });
  if (asked.status !== 0) return [];
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

export function writeNotice(engine, file) {
  const parts = ["Weft: Apache-2.0, see LICENSE. This executable also carries:\n"];
  if (engine === "node") {
    parts.push("Node.js: MIT, with the licences of its parts: https://github.com/nodejs/node/blob/main/LICENSE");
  } else {
    parts.push(musl);
    for (const { name, version, license, directory } of crates()) {
      parts.push([`${name} ${version}: ${license}`, ...textsIn(directory)].join("\n\n"));
      if (name === "rquickjs-sys")
        parts.push([`QuickJS-ng, the engine inside ${name}: MIT`, ...textsIn(join(directory, "quickjs"))].join("\n\n"));
    }
  }
  writeFileSync(file, `${parts.join(`\n\n${"-".repeat(80)}\n\n`)}\n`);
}
