// The kernel of the guest that runs what this machine's kernel may lack: Debian's cloud kernel and the few modules the
// tests ask for, fetched by apt and unpacked, never installed. Plain JavaScript for Node 20: it runs before a cell without
// a network is entered.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { root } from "./bootstrap.mjs";

/** In the order in which they can be loaded. */
export const guestModules = ["llc", "stp", "bridge", "veth", "garp", "mrp", "8021q"];

/** Where it is once fetched: `vmlinuz` and each module as `NAME.ko`. */
export const guestKernelDirectory = join(root, ".cache/guest-kernel");

function output(command, args, cwd) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  if (status !== 0)
    throw new Error(`${command} ${args.join(" ")}: ${(stderr ?? "not found").trim().split("\n").at(-1)}`);
  return stdout;
}

/** Downloads the package that the meta package stands for, with lists of packages of our own where the machine's are old. */
function download(work) {
  const state = join(work, "apt");
  for (const folder of ["lists/partial", "cache/archives/partial"]) mkdirSync(join(state, folder), { recursive: true });
  const own = [
    "-o",
    `Dir::State::Lists=${state}/lists`,
    "-o",
    `Dir::Cache=${state}/cache`,
    "-o",
    "APT::Sandbox::User=root",
  ];
  const attempt = (options) => {
    const depends = output("apt-cache", [...options, "depends", "linux-image-cloud-amd64"], work);
    const name = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
    if (name === undefined) throw new Error("apt-cache knows no linux-image-cloud-amd64");
    output("apt-get", [...options, "-qq", "download", name], work);
  };
  try {
    attempt([]);
  } catch {
    output("apt-get", [...own, "-qq", "update"], work);
    attempt(own);
  }
}

function unpack(work) {
  const files = join(work, "files");
  const packed = readdirSync(work).find((name) => name.endsWith(".deb"));
  output("dpkg-deb", ["-x", join(work, packed), files]);
  const kept = join(work, "kept");
  mkdirSync(kept);
  const kernel = readdirSync(join(files, "boot")).find((name) => name.startsWith("vmlinuz-"));
  copyFileSync(join(files, "boot", kernel), join(kept, "vmlinuz"));
  const paths = output("find", [files, "-name", "*.ko*"]).split("\n");
  for (const name of guestModules) {
    const path = paths.find((each) => basename(each).replace(/\.xz$/, "") === `${name}.ko`);
    if (path === undefined) throw new Error(`${packed} has no module ${name}`);
    copyFileSync(path, join(kept, basename(path)));
    if (path.endsWith(".xz")) output("xz", ["-d", basename(path)], kept);
  }
  return kept;
}

/** Fetches it where missing. Says in one line why it could not; the tests that need it are then loudly not run. */
export function fetchGuestKernel() {
  if (existsSync(guestKernelDirectory) || process.arch !== "x64") return;
  mkdirSync(join(root, ".cache"), { recursive: true });
  const work = mkdtempSync(join(root, ".cache/guest-kernel-"));
  try {
    console.log("fetching Debian's cloud kernel for the tests in a guest");
    download(work);
    renameSync(unpack(work), guestKernelDirectory);
  } catch (error) {
    console.error(`no kernel for the tests in a guest: ${error.message}`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
