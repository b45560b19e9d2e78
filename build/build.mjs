// The build as a whole: which engine, then its steps, then one file under every name.
import { linkSync, mkdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { binDirectory, buildIdOf, readVersion, root } from "./bootstrap.mjs";
import { buildEmbedded } from "./embedded.mjs";
import { chooseEngine, homeTarget } from "./engine.mjs";
import { names } from "./names.mjs";
import { buildNodeEngine } from "./node-engine.mjs";
import { writeNotice } from "./notice.mjs";
import { writeValidators } from "./schemas.mjs";

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
  // The id first: what changes while the build runs makes the executable stale.
  const facts = { version: readVersion(), buildId: buildIdOf(engine), target };
  await writeValidators();
  const file = engine === "embedded" ? await buildEmbedded(facts) : await buildNodeEngine(facts);
  const bin = target === homeTarget ? binDirectory(engine) : join(root, "dist", target, "bin");
  linkNames(file, bin);
  writeNotice(engine, target, join(dirname(bin), "NOTICE"));
  const size = (statSync(join(bin, "weft")).size / 1e6).toFixed(2);
  console.log(
    `${bin.slice(root.length + 1)}: ${names.join(", ")} (one file, ${size} MB; ${engine} engine, build ${facts.buildId})`,
  );
}
