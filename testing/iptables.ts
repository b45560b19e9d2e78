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

const others: Readonly<Record<4 | 6, readonly [local: string, service: string]>> = {
  4: ["172.17.0.0/16", "10.96.0.1/32"],
  6: ["fd17::/64", "fd96::1/128"],
};
const otherChain = "CNI-0123456789abcdef01234567";
const otherComment = '-m comment --comment "name: \\"other\\" id: \\"c0\\""';

/** The rules of kube-proxy, of Docker and of another network's pod, in outline, for iptables-restore. */
export const foreignSaved = (family: 4 | 6): string => `*nat
:DOCKER - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-SERVICES - [0:0]
:${otherChain} - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A POSTROUTING -s ${others[family][0]} ! -o docker0 -j MASQUERADE
-A POSTROUTING -s ${others[family][0]} ${otherComment} -j ${otherChain}
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully
-A KUBE-SERVICES -d ${others[family][1]} -p tcp -m comment --comment "default/kubernetes:https cluster IP" -m tcp --dport 443 -j RETURN
-A ${otherChain} ${otherComment} -j ACCEPT
COMMIT
`;

/** The rules of another network's pod in the tables that bridge shares with it, for nft. */
export const foreignNft = `table inet cni_plugins_masquerade {
  comment "Masquerading for plugins from github.com/containernetworking/plugins"
  chain masq_checks {
    comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet"
    ip saddr 10.8.0.9 ip daddr != 10.8.0.0/24 masquerade comment "0123456789abcdef-0123456789abcdef, net: other, if: eth0, id: c0"
  }
  chain postrouting {
    type nat hook postrouting priority 100
    ip daddr 224.0.0.0/4 return
    ip6 daddr ff00::/8 return
    goto masq_checks
  }
}
table bridge nat {
  chain cni-br-iface-other-eth0 {
    drop comment "macspoofchk-other-eth0"
  }
  chain PREROUTING {
    type filter hook prerouting priority -300
    iifname "vethother" jump cni-br-iface-other-eth0 comment "macspoofchk-other-eth0"
  }
}`;
