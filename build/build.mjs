// The build as a whole: which engine, then its steps, then one file under every name.
import { createHash } from "node:crypto";
import { globSync, linkSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { binDirectory, root } from "./bootstrap.mjs";
import { buildEmbedded } from "./embedded.mjs";
import { chooseEngine, homeTarget } from "./engine.mjs";
import { buildNodeEngine } from "./node-engine.mjs";
import { writeNotice } from "./notice.mjs";
import { writeValidators } from "./schemas.mjs";

export const names = ["flannel", "bridge", "host-local", "loopback", "portmap", "weft"];

const sources = [
  "lib/**/*.ts",
  "plugins/**/*.ts",
  "weft/**/*.ts",
  "host/src/**/*.rs",
  "host/Cargo.*",
  "build/*.mjs",
  "package-lock.json",
];

/** Names what an executable is made from: the same sources, the same id. */
function buildIdOf(engine, version) {
  const hash = createHash("sha256").update(`${engine} ${version}\n`);
  for (const file of sources.flatMap((pattern) => globSync(pattern, { cwd: root })).sort()) {
    if (!file.endsWith(".test.ts"))
      hash
        .update(file)
        .update("\0")
        .update(readFileSync(join(root, file)));
  }
  return hash.digest("hex").slice(0, 16);
}

/** Gives the executable its names. A new file each time: the old one may be running. */
function linkNames(file, bin) {
  mkdirSync(bin, { recursive: true });
  for (const name of names) {
    rmSync(join(bin, name), { force: true });
    linkSync(file, join(bin, name));
  }
}

export async function build({ engine: asked, target = homeTarget }) {
  const engine = chooseEngine(asked, target);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  await writeValidators();
  const facts = { version, buildId: buildIdOf(engine, version), target };
  const file = engine === "embedded" ? await buildEmbedded(facts) : await buildNodeEngine(facts);
  const bin = target === homeTarget ? binDirectory(engine) : join(root, "dist", target, "bin");
  linkNames(file, bin);
  writeNotice(engine, target, join(dirname(bin), "NOTICE"));
  const size = (statSync(join(bin, "weft")).size / 1e6).toFixed(2);
  console.log(
    `${bin.slice(root.length + 1)}: ${names.join(", ")} (one file, ${size} MB; ${engine} engine, build ${facts.buildId})`,
  );
}
