// The Node engine: the same TypeScript in one script, carried by Node 26 as a single executable. pkg injects it into the
// Node of the npm package, so nothing is downloaded.
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build as esbuild } from "esbuild";
import { buildMark, root } from "./bootstrap.mjs";
import { definesOf } from "./defines.mjs";

const work = join(root, "dist/node");

/**
 * What Node and its libraries would read from a plugin's environment: code to load (NODE_OPTIONS, OPENSSL_CONF), files to
 * read or write (NODE_EXTRA_CA_CERTS, NODE_V8_COVERAGE, NODE_COMPILE_CACHE), words on standard error (NODE_DEBUG), a
 * descriptor to talk over (NODE_CHANNEL_FD), a reason not to start (NODE_REPL_EXTERNAL_MODULE). Node has a setting against
 * the first of them only.
 */
const deafTo = [
  "ICU_TIMEZONE_FILES_DIR",
  "NODE_CHANNEL_FD",
  "NODE_COMPILE_CACHE",
  "NODE_DEBUG",
  "NODE_DEBUG_NATIVE",
  "NODE_EXTRA_CA_CERTS",
  "NODE_ICU_DATA",
  "NODE_OPTIONS",
  "NODE_PATH",
  "NODE_REDIRECT_WARNINGS",
  "NODE_REPL_EXTERNAL_MODULE",
  "NODE_UNIQUE_ID",
  "NODE_USE_SYSTEM_CA",
  "NODE_V8_COVERAGE",
  "OPENSSL_CONF",
  "OPENSSL_ENGINES",
  "OPENSSL_MODULES",
  "SSL_CERT_DIR",
  "SSL_CERT_FILE",
  "UV_USE_IO_URING",
];

/**
 * A copy of Node that knows these variables under names beginning with "$", which no shell can set. The length stays, and
 * a name inside Node's own JavaScript stays one.
 */
function writeDeafNode(from, to) {
  const bytes = readFileSync(from);
  for (const name of deafTo) {
    let found = 0;
    for (let at = bytes.indexOf(name); at >= 0; at = bytes.indexOf(name, at + 1)) {
      const isWord = [bytes[at - 1], bytes[at + name.length]].every((code) => !/\w/.test(String.fromCharCode(code)));
      if (!isWord) continue;
      bytes[at] = "$".charCodeAt(0);
      found++;
    }
    if (found === 0) throw new Error(`this Node does not know ${name}: look at the list in build/node-engine.mjs`);
  }
  rmSync(to, { force: true });
  writeFileSync(to, bytes, { mode: 0o755 });
}

/** What still reaches standard output when nothing else works. */
const lastResort = '{"cniVersion":"1.1.0","code":999,"msg":';

const entry = `
import main from "./plugins/main.ts";
import { writeSync } from "node:fs";
try {
  process.exit(main());
} catch (error) {
  writeSync(1, ${JSON.stringify(lastResort)} + JSON.stringify(String(error)) + "}\\n");
  process.exit(1);
}
`;

/** Node of the npm package for a target: "x86_64" or "aarch64". */
function nodeFor(target) {
  const name = `node-linux-${target === "aarch64" ? "arm64" : "x64"}`;
  const file = join(root, "node_modules", name, "bin", "node");
  if (existsSync(file)) return file;
  throw new Error(`the Node engine for ${target} is made from the npm package ${name}, which npm installs only there`);
}

async function bundle(facts) {
  const script = join(work, "weft.js");
  await esbuild({
    stdin: { contents: entry, resolveDir: root, sourcefile: "main.js" },
    outfile: script,
    bundle: true,
    platform: "node",
    format: "cjs",
    target: "node26",
    minify: true,
    keepNames: true,
    define: definesOf(facts),
    logLevel: "warning",
  });
  return script;
}

const seaConfig = {
  disableExperimentalSEAWarning: true,
  useCodeCache: true,
  // node:ffi is experimental and would say so on every start; the node's own OpenSSL settings are for others.
  execArgv: ["--no-warnings", "--openssl-config=/dev/null"],
  execArgvExtension: "none",
};

/** Returns the finished executable. */
export async function buildNodeEngine(facts) {
  const { buildId, target } = facts;
  mkdirSync(work, { recursive: true });
  const nodePath = join(work, `node-${target}`);
  writeDeafNode(nodeFor(target), nodePath);
  const script = await bundle(facts);
  const executable = join(work, `weft-${target}`);
  rmSync(executable, { force: true });
  // Past pkg's command line, which cannot pass these settings on.
  const { default: pkg } = await import("@yao-pkg/pkg/lib-es5/sea.js");
  const arch = target === "aarch64" ? "arm64" : "x64";
  await pkg.default(script, {
    targets: [{ nodeRange: `node${process.versions.node}`, platform: "linux", arch, output: executable }],
    nodePath,
    seaConfig,
  });
  rmSync(nodePath);
  // A copy of this executable knows another by this last line (lib/cni/delegate.ts).
  appendFileSync(executable, buildMark(buildId));
  return executable;
}
