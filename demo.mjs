#!/usr/bin/env node
// npm run demo: builds Weft, then shows it at work in a private node made of its own network and mount namespaces.
// Needs no root (an ordinary user gets a user namespace), no `ip` and no `ping`. `--engine node` shows the Node build.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ensureBuilt, ensureInstalled, modernNode, root } from "./build/bootstrap.mjs";

const engine = process.argv.includes("node") ? "node" : "embedded";

/** The switch that forbids unprivileged namespaces here, as far as the system says it. */
function namespaceSwitch() {
  const switches = [
    ["kernel.unprivileged_userns_clone", "0"],
    ["user.max_user_namespaces", "0"],
    ["kernel.apparmor_restrict_unprivileged_userns", "1"],
  ];
  for (const [name, forbidding] of switches) {
    try {
      const value = readFileSync(`/proc/sys/${name.replaceAll(".", "/")}`, "utf8").trim();
      if (value === forbidding) return `sysctl ${name} is ${value}`;
    } catch {
      // This kernel has no such switch.
    }
  }
  return "a container without CAP_SYS_ADMIN, or a seccomp filter, is the usual reason";
}

ensureInstalled();
const bin = ensureBuilt(engine);

const asUser = process.getuid() === 0 ? [] : ["--user", "--map-root-user"];
const unshare = [...asUser, "--net", "--mount"];
if (spawnSync("unshare", [...unshare, "true"], { stdio: "ignore" }).status !== 0) {
  console.error(`demo: this system forbids making network namespaces: ${namespaceSwitch()}`);
  process.exit(1);
}
const script = 'mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/lib && exec "$@"';
const inside = [modernNode(), "--no-warnings", join(root, "demo/inside.ts"), bin];
const done = spawnSync("unshare", [...unshare, "sh", "-c", script, "sh", ...inside], { stdio: "inherit", cwd: root });
process.exit(done.status ?? 1);
