// Where the engine's crates come from. What becomes of them is build/image.test.ts's to see.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { engine } from "../testing/binaries.ts";
import { engineCrates, fetchCrates } from "./quickjs.mjs";

/** The Node engine has no crates. */
const testEmbedded = engine === "embedded" ? test : () => {};

testEmbedded(
  "crates come from the mirror that cargo's own configuration names",
  async () => {
    const directory = mkdtempSync(join(tmpdir(), "weft-crates-"));
    try {
      const [home, fetched] = [join(directory, "home"), join(directory, "crates")];
      const mirror = await engineCrates();
      mkdirSync(home);
      writeFileSync(
        join(home, "config.toml"),
        `[source]\ncrates-io.replace-with = "mirror"\nmirror.directory = ${JSON.stringify(mirror)}\n`,
      );
      // Tests have no network: there is nowhere else to fetch them from.
      await fetchCrates(fetched, { CARGO_HOME: home });
      expect(readdirSync(fetched).sort()).toEqual(readdirSync(mirror).sort());
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
  60_000,
);
