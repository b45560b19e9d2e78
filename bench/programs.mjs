// What Weft is measured with: the Go plugins, the C floor and the harness, built where missing.
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";
import { root } from "../build/bootstrap.mjs";

const cache = join(root, ".cache");
const plugins = "github.com/containernetworking/plugins";

/** The last flannel this module had; kube-flannel's own repository cannot be had by `go install`. */
const peers = [
  { name: "flannel", version: "v0.9.1", path: `${plugins}/plugins/meta/flannel` },
  { name: "bridge", version: "v1.9.1", path: `${plugins}/plugins/main/bridge` },
  { name: "loopback", version: "v1.9.1", path: `${plugins}/plugins/main/loopback` },
  { name: "host-local", version: "v1.9.1", path: `${plugins}/plugins/ipam/host-local` },
];

const has = async (command) => (await execa(command, ["--version"], { reject: false })).code !== "ENOENT";

/** Whether a Go executable is of this version and linked this way. */
async function fits(file, { version }, cgo) {
  if (!existsSync(file)) return false;
  const { stdout } = await execa("go", ["version", "-m", file], { reject: false });
  return stdout.includes(`\t${version}\t`) && stdout.includes(`CGO_ENABLED=${cgo ? 1 : 0}`);
}

/** Builds the Go plugins. Static, as the released ones are, unless `cgo`. */
async function goPeers(cgo) {
  if (!(await has("go")))
    throw new Error("there is no go here, and without the Go plugins there is nothing to compare with");
  const bin = join(cache, cgo ? "go-bin-cgo" : "go-bin");
  for (const peer of peers) {
    if (await fits(join(bin, peer.name), peer, cgo)) continue;
    console.log(`go install ${peer.path}@${peer.version}`);
    const env = { GOBIN: bin, CGO_ENABLED: cgo ? "1" : "0" };
    await execa("go", ["install", "-trimpath", `${peer.path}@${peer.version}`], { env, stderr: "inherit" });
  }
  return bin;
}

/** Compiles a C file of this directory when it is newer than the program. musl has no kernel headers of its own. */
async function compile(compiler, source, program) {
  const file = join(cache, "bench", program);
  const from = join(root, "bench", source);
  const made = statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  if (made > statSync(from).mtimeMs) return file;
  const { stdout: arch } = await execa("gcc", ["-print-multiarch"]);
  const headers =
    compiler === "musl-gcc" ? ["/usr/include", `/usr/include/${arch}`].flatMap((path) => ["-idirafter", path]) : [];
  await execa(compiler, ["-O2", "-static", "-Wall", ...headers, from, "-o", file], { stderr: "inherit" });
  return file;
}

/** Returns the harness, and the directory or file of each peer: what is there to be copied before it is measured. */
export async function buildPrograms(cgo) {
  mkdirSync(join(cache, "bench"), { recursive: true });
  if (!(await has("gcc"))) throw new Error("there is no gcc here for the floor and the harness");
  const musl = await has("musl-gcc");
  if (!musl) console.log("NOT MEASURED: the floor on musl, because there is no musl-gcc (Debian: musl-tools)");
  return {
    harness: await compile(musl ? "musl-gcc" : "gcc", "harness.c", "harness"),
    peers: Object.fromEntries(peers.map(({ name, version }) => [name, version])),
    lanes: {
      go: await goPeers(cgo),
      floorGlibc: await compile("gcc", "floor.c", "floor-glibc"),
      ...(musl ? { floorMusl: await compile("musl-gcc", "floor.c", "floor-musl") } : {}),
    },
  };
}
