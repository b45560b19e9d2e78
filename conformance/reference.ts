// The Go plugins that ours are held beside, built once into .cache/go-bin from the Go module proxy. No Go, no comparison:
// `needs` in testing/ then says so loudly, and in CI that is a failure.
import { existsSync, mkdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";

const root = join(import.meta.dirname, "..");
const cache = join(root, ".cache");

/** Where the executables are once built. */
export const referenceBin = join(cache, "go-bin");

/**
 * The packages, at the versions whose behaviour is compared. flannel's plugin left this repository after 0.9.1; the later
 * ones cannot be built from the proxy alone, so beyond CNI 0.4.0 Go's bridge is fed flannel's delegate configuration.
 */
export const referencePackages = [
  "github.com/containernetworking/plugins/plugins/main/bridge@v1.9.1",
  "github.com/containernetworking/plugins/plugins/main/loopback@v1.9.1",
  "github.com/containernetworking/plugins/plugins/ipam/host-local@v1.9.1",
  "github.com/containernetworking/plugins/plugins/meta/flannel@v0.9.1",
  "github.com/containernetworking/cni/cnitool@v1.3.0",
] as const;

async function hasGo(): Promise<boolean> {
  const { failed } = await execa("go", ["version"], { reject: false });
  return !failed;
}

/**
 * Builds what is missing. Test files run side by side: the first takes a lock, the others wait for it.
 * Returns the folder, or undefined where there is no Go and nothing was built before. A failing build throws.
 */
export async function buildReference(): Promise<string | undefined> {
  const stamp = join(referenceBin, "built");
  const want = referencePackages.join("\n");
  if (existsSync(stamp) && (await readFile(stamp, "utf8")) === want) return referenceBin;
  if (!(await hasGo())) return undefined;
  mkdirSync(referenceBin, { recursive: true });
  const installs = referencePackages.map((name) => `go install -trimpath -ldflags=-s\\ -w ${name}`).join(" && ");
  await execa(
    "flock",
    [
      join(cache, "go-bin.lock"),
      "sh",
      "-c",
      `test "$(cat "$STAMP" 2>&1)" = "$WANT" || { ${installs} && printf %s "$WANT" >"$STAMP"; }`,
    ],
    {
      env: { GOBIN: referenceBin, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false", STAMP: stamp, WANT: want },
    },
  );
  return referenceBin;
}
