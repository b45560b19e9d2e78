// node build/rehearsal/record.mjs
//
// Records anew (recorded.json) what the kernel answers to the calls that a build rehearses (calls.mjs). Wanted when the calls
// have come to ask something else: the build says so, and build/image.test.ts fails.
import { spawnSync } from "node:child_process";
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readVersion, root, unshareFlags } from "../bootstrap.mjs";
import { bundle, linkBlank } from "../embedded.mjs";
import { homeTarget } from "../engine.mjs";
import { writeValidators } from "../schemas.mjs";
import { bin, makeCalls, makeNode } from "./calls.mjs";

/** Where the executable writes what it was answered, one JSON array a line. */
const recordFd = 3;
const work = join(root, "dist/embedded/recording");

/** Replaces the module "host" by one that hands on and writes down. */
const recordingHost = {
  name: "recording host",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^host$/ }, ({ namespace }) =>
      namespace === "recording" ? { path: "host", external: true } : { path: "host", namespace: "recording" },
    );
    onLoad({ filter: /.*/, namespace: "recording" }, () => {
      const declared = readFileSync(join(root, "lib/host/native.d.ts"), "utf8");
      const names = Array.from(declared.matchAll(/export const (\w+):/g), ([, name]) => name);
      return {
        contents: `
          import * as native from "host";
          export const onError = native.onError;
          const keep = (...entry) => native.write(${recordFd}, JSON.stringify(entry) + "\\n");
          const plain = (value) => (value instanceof Uint8Array ? { bytes: value.toBase64() } : value);
          const recorded = (name) => (...args) => {
            try {
              const value = native[name](...args);
              keep(name, plain(value));
              return value;
            } catch (error) {
              keep(name, null, [error.syscall, error.errno, error.path]);
              throw error;
            }
          };
          ${names.map((name) => `export const ${name} = recorded("${name}");`).join("\n")}`,
      };
    });
  },
};

/** Runs one call, and keeps what the host answered it, one JSON array each. */
function record(plugin, env, conf) {
  const [path, confFile] = [join(work, "answers"), join(work, "conf")];
  writeFileSync(confFile, conf);
  const files = [openSync(confFile, "r"), openSync(path, "w")];
  const options = { env, stdio: [files[0], "pipe", "inherit", files[1]], encoding: "utf8" };
  const { status, stdout } = spawnSync(join(bin, plugin), [], options);
  for (const file of files) closeSync(file);
  return { status, stdout, kept: readFileSync(path, "utf8").trimEnd().split("\n") };
}

/** One answer a line, so that a change shows. */
function print(recorded) {
  const calls = recorded.map(([name, answers]) => `${JSON.stringify(name)}: [\n${answers.join(",\n")}\n]`);
  return `{\n${calls.join(",\n")}\n}\n`;
}

const [executable] = process.argv.slice(2);
if (executable !== undefined) {
  makeNode(executable);
  writeFileSync(join(work, "recorded.json"), print(await makeCalls(record)));
} else {
  await writeValidators();
  mkdirSync(work, { recursive: true });
  const facts = { version: readVersion(), buildId: "recording", target: homeTarget };
  const blank = await linkBlank(await bundle(facts, join(work, "js"), [recordingHost]), homeTarget);
  const self = fileURLToPath(import.meta.url);
  const { status } = spawnSync("unshare", [...unshareFlags(), process.execPath, self, blank], { stdio: "inherit" });
  if (status !== 0) process.exit(1);
  copyFileSync(join(work, "recorded.json"), join(root, "build/rehearsal/recorded.json"));
}
