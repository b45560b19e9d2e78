// Which iptables a node has, found out without starting it: behind its symlinks is one executable for all of its names,
// and what that is called says whether it keeps rules in nf_tables or in the kernel's older tables ("legacy").
import type { Host } from "../../host/host.ts";
import { isErrno } from "../../host/errno.ts";
import type { Family } from "../../ip/ip.ts";

/** The tables of iptables that have rules of plugins. */
export type IptablesTable = "nat" | "filter";

export interface Iptables {
  readonly family: Family;
  /** unknown: a script, or a name nobody here has heard of; it can only be asked. */
  readonly variant: "nft" | "legacy" | "unknown";
  /** What is run for one of its names: `restore` for iptables-restore. */
  readonly command: (suffix?: "restore" | "save") => { readonly path: string; readonly argv0: string };
}

export const iptablesName = (family: Family): string => (family === 4 ? "iptables" : "ip6tables");

/** The first file of this name in PATH that may be executed, as a shell would find it, and what its symlinks lead to. */
export function findExecutable(host: Host, name: string): { path: string; real: string } | undefined {
  for (const directory of (host.env("PATH") ?? "").split(":")) {
    // A relative path would have the plugin run what lies in its working directory.
    if (!directory.startsWith("/")) continue;
    const path = `${directory}/${name}`;
    const real = host.files.executable(path);
    if (real !== undefined) return { path, real };
  }
  return undefined;
}

const variants = [
  ["xtables-nft-multi", "nft"],
  ["xtables-legacy-multi", "legacy"],
  // Of iptables before 1.8.
  ["xtables-multi", "legacy"],
] as const;

/** The node's iptables for a family; undefined where PATH has none. */
export const findIptables = (host: Host, family: Family): Iptables | undefined =>
  find(host, family, iptablesName(family));

/** The iptables that reaches the older tables, be it the one that is called so or an alternative beside it. */
export function findLegacyIptables(host: Host, family: Family): Iptables | undefined {
  const usual = findIptables(host, family);
  if (usual?.variant === "legacy") return usual;
  return find(host, family, `${iptablesName(family)}-legacy`) ?? (usual?.variant === "unknown" ? usual : undefined);
}

function find(host: Host, family: Family, name: string): Iptables | undefined {
  const found = findExecutable(host, name);
  if (found === undefined) return undefined;
  const { path, real } = found;
  const variant = variants.find(([multi]) => real.endsWith(`/${multi}`))?.[1] ?? "unknown";
  return {
    family,
    variant,
    command: (suffix) => {
      const argv0 = suffix === undefined ? iptablesName(family) : `${iptablesName(family)}-${suffix}`;
      // The one executable does what the name says that it is called by. A script has its siblings beside it.
      return { argv0, path: variant === "unknown" ? `${path.slice(0, path.lastIndexOf("/"))}/${argv0}` : real };
    },
  };
}

/** Whether the older tables of this name are in use in our netns. Asking iptables itself would bring them into being. */
export function isLegacyLoaded(host: Host, family: Family, table: IptablesTable): boolean {
  try {
    return host.files
      .read(`/proc/net/${family === 4 ? "ip" : "ip6"}_tables_names`)
      .split("\n")
      .includes(table);
  } catch (error) {
    if (isErrno(error, "ENOENT")) return false;
    // In a user namespace nobody may read it. Then only a node whose own iptables keeps them there can have any.
    if (isErrno(error, "EACCES", "EPERM")) return findIptables(host, family)?.variant === "legacy";
    throw error;
  }
}
