// Which engine the executables get: `embedded` where cargo and gcc can make it, else `node`. Plain JavaScript for Node 20.
import { spawnSync } from "node:child_process";

const oldestRust = [1, 87];

/** The target of this machine. */
export const homeTarget = process.arch === "arm64" ? "aarch64" : "x86_64";

const runs = (command) => spawnSync(command, ["--version"], { stdio: "ignore" }).status === 0;

/** Why the embedded engine cannot be built here; undefined when it can. */
function whyNotEmbedded(target) {
  const asked = spawnSync("rustc", ["--version"], { encoding: "utf8" });
  const rust = asked.stdout?.match(/^rustc (\d+)\.(\d+)/);
  if (!rust || !runs("cargo")) return "there is no cargo here";
  const [major, minor] = [Number(rust[1]), Number(rust[2])];
  if (major < oldestRust[0] || (major === oldestRust[0] && minor < oldestRust[1]))
    return `rustc ${major}.${minor} is older than ${oldestRust.join(".")}`;
  const compiler = target === "aarch64" && homeTarget !== "aarch64" ? "aarch64-linux-gnu-gcc" : "gcc";
  if (!runs(compiler)) return `there is no ${compiler} here`;
  return undefined;
}

/** The engine asked for, or the one this machine can build; says so where that is not the small one. */
export function chooseEngine(asked, target = homeTarget) {
  if (asked !== undefined && asked !== "embedded" && asked !== "node")
    throw new Error(`--engine is embedded or node, got ${asked}`);
  if (asked === "node") return "node";
  const reason = whyNotEmbedded(target);
  if (reason === undefined) return "embedded";
  if (asked === "embedded") throw new Error(`the embedded engine cannot be built: ${reason}`);
  console.log(`engine: node, because ${reason}`);
  return "node";
}
