// iptables, the judge of what we make in its tables: either variant, in the netns this thread stands in or in another.
import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";

export type Variant = "nft" | "legacy";

/** Runs `iptables-<variant>-save` and the like; its standard output. */
export async function iptables(
  variant: Variant,
  args: string,
  { family = 4, input = "", netns = "" }: { family?: 4 | 6; input?: string; netns?: string } = {},
): Promise<string> {
  const [suffix = "", ...rest] = args.split(" ");
  const [command = "", ...words] = [
    ...(netns === "" ? [] : ["ip", "netns", "exec", netns.slice(netns.lastIndexOf("/") + 1)]),
    `${family === 4 ? "iptables" : "ip6tables"}-${variant}${suffix === "-" ? "" : `-${suffix}`}`,
    ...rest,
  ];
  return (await execa(command, words, { input })).stdout;
}

/** A table as iptables-save writes it, without the times and the counters. */
export async function saved(variant: Variant, family: 4 | 6, table = "nat", netns = ""): Promise<string[]> {
  const text = await iptables(variant, `save -t ${table}`, { family, netns });
  return text.split("\n").flatMap((line) => (line.startsWith("#") ? [] : line.replace(/ \[\d+:\d+\]$/, "")));
}

/** A directory for PATH in which `iptables` and `ip6tables` are of this variant, and `nft` is there. */
export function pathWith(variant: Variant | "none", nft = true): { path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), "weft-path-"));
  const link = (name: string, to: string) => symlinkSync(`/usr/sbin/${to}`, join(path, name));
  if (variant !== "none") for (const name of ["iptables", "ip6tables"]) link(name, `${name}-${variant}`);
  if (nft) link("nft", "nft");
  return { path, remove: () => rmSync(path, { recursive: true }) };
}
