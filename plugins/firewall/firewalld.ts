// Whether firewalld keeps this node's rules, found out without D-Bus. What rules elsewhere accept it drops all the same, so
// that where it runs nobody but the operator can say what is meant.
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import { openNftIfThere } from "../../lib/firewall/backend.ts";

/** systemd has a cgroup for a service as long as it runs: in the one hierarchy, and in the older ones. */
const cgroups = [
  "/sys/fs/cgroup/system.slice/firewalld.service",
  "/sys/fs/cgroup/systemd/system.slice/firewalld.service",
];
/** Where something else started it. */
const pidFile = "/run/firewalld.pid";

/** What shows that firewalld is there; undefined where nothing does. */
export function signOfFirewalld(host: Host): string | undefined {
  const cgroup = cgroups.find((path) => host.files.stat(path) !== undefined);
  if (cgroup !== undefined) return `its service runs: there is ${cgroup}`;
  const pid = pidIn(host);
  if (pid !== undefined && host.files.stat(`/proc/${pid}`) !== undefined) return `${pidFile} names process ${pid}`;
  return hasTable(host) ? "nf_tables has a table inet firewalld" : undefined;
}

function pidIn(host: Host): number | undefined {
  try {
    return Number.parseInt(host.files.read(pidFile), 10) || undefined;
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

/** Its own, of the backend that it has unless told. */
function hasTable(host: Host): boolean {
  const nft = openNftIfThere(host);
  try {
    return nft?.table.get({ family: "inet", table: "firewalld" }) !== undefined;
  } finally {
    nft?.close();
  }
}
