// The Go plugins that ours are compared with and measured beside, built from the Go module proxy where missing. Plain
// JavaScript for Node 20: it runs before a cell without a network is entered.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "./bootstrap.mjs";

const plugins = "github.com/containernetworking/plugins/plugins";

/**
 * The versions whose behaviour is compared. flannel's plugin left this module after 0.9.1, and its own repository cannot
 * be had by `go install`: beyond CNI 0.4.0 Go's bridge is fed the configuration that flannel would write.
 */
export const goPeers = [
  { name: "flannel", version: "v0.9.1", path: `${plugins}/meta/flannel` },
  { name: "bridge", version: "v1.9.1", path: `${plugins}/main/bridge` },
  { name: "loopback", version: "v1.9.1", path: `${plugins}/main/loopback` },
  { name: "host-local", version: "v1.9.1", path: `${plugins}/ipam/host-local` },
  { name: "portmap", version: "v1.9.1", path: `${plugins}/meta/portmap` },
  { name: "bandwidth", version: "v1.9.1", path: `${plugins}/meta/bandwidth` },
  { name: "firewall", version: "v1.9.1", path: `${plugins}/meta/firewall` },
  { name: "tuning", version: "v1.9.1", path: `${plugins}/meta/tuning` },
  { name: "cnitool", version: "v1.3.0", path: "github.com/containernetworking/cni/cnitool" },
];

/** Where they are once built. `cgo`: dynamically linked, as a plain `go install` makes them; releases are static. */
export const goPeersDirectory = (cgo = false) => join(root, ".cache", cgo ? "go-bin-cgo" : "go-bin");

/** Whether an executable is there, of this version and linked this way. */
function fits(file, { version }, cgo) {
  if (!existsSync(file)) return false;
  const { stdout } = spawnSync("go", ["version", "-m", file], { encoding: "utf8" });
  return stdout.includes(`\t${version}\t`) && stdout.includes(`CGO_ENABLED=${cgo ? 1 : 0}`);
}

/** Builds what is missing. Returns the directory; undefined where there is no Go. Throws when a build fails. */
export function buildGoPeers(cgo = false) {
  if (spawnSync("go", ["version"], { stdio: "ignore" }).status !== 0) return undefined;
  const bin = goPeersDirectory(cgo);
  const env = { ...process.env, GOBIN: bin, CGO_ENABLED: cgo ? "1" : "0" };
  for (const peer of goPeers) {
    if (fits(join(bin, peer.name), peer, cgo)) continue;
    console.log(`go install ${peer.path}@${peer.version}`);
    const args = ["install", "-trimpath", "-ldflags=-s -w", `${peer.path}@${peer.version}`];
    const done = spawnSync("go", args, { stdio: "inherit", env });
    if (done.status !== 0) throw new Error(`go install ${peer.path}@${peer.version} failed`);
  }
  return bin;
}
