// nft, the judge of what we make in nf_tables; and the tables that the plugins of the field make there, as nft reads them
// and as plans of ours.
import { execa } from "execa";
import { parseIp } from "../lib/ip/ip.ts";
import { bitsOf } from "../lib/ip/ip.ts";
import { parsePrefix, type Prefix } from "../lib/ip/prefix.ts";
import type { Plan } from "../lib/firewall/plan.ts";
import type { Match } from "../lib/netlink/nft/match.ts";
import type { Rule, Verdict } from "../lib/netlink/nft/phrase.ts";

/** Runs nft in the netns this thread stands in, or in another; its standard output. */
export async function nft(args: string, { input = "", netns = "" } = {}): Promise<string> {
  const [command = "", ...rest] = [
    ...(netns === "" ? [] : ["ip", "netns", "exec", netns.slice(netns.lastIndexOf("/") + 1)]),
    "nft",
    ...args.split(" "),
  ];
  return (await execa(command, rest, { input })).stdout;
}

/** What passes by, and in what order things were made. */
const passing = new Set(["handle", "packets", "bytes"]);

/** What `nft -j list ruleset` says, without handles and counts. */
export async function nftJson(netns = ""): Promise<unknown[]> {
  const { nftables } = JSON.parse(await nft("-j list ruleset", { netns })) as { nftables: Record<string, unknown>[] };
  return nftables
    .filter((each) => !("metainfo" in each))
    .map((each) => JSON.parse(JSON.stringify(each, (key, value) => (passing.has(key) ? undefined : value))));
}

export function prefix(text: string): Prefix {
  const ip = parseIp(text);
  const found = ip === undefined ? parsePrefix(text) : { ip, length: bitsOf(ip.family) };
  if (found === undefined) throw new Error(`no address: ${text}`);
  return found;
}

export const saddr = (text: string): Match => ({ field: "saddr", is: prefix(text) });
export const daddr = (text: string): Match => ({ field: "daddr", is: prefix(text) });
export const dport = (protocol: "tcp" | "udp" | "sctp", port: number): Match => ({
  field: "dport",
  is: { protocol, port },
});
export const not = (match: Match): Match => ({ ...match, not: true });
export const rule = (match: readonly Match[], verdict: Verdict, comment?: string): Rule => ({
  match,
  verdict,
  comment,
});
export const dnat = (address: string, port: number): Verdict => ({ dnat: { ip: prefix(address).ip, port } });

export interface Layout {
  readonly plan: Plan;
  /** The same for `nft -f -`; each rule on a line as `nft list` writes it. */
  readonly text: string;
}

const comment = "8a1d6e0a3b6c2f41-0c5d9a7e1b3f2468, net: podnet, if: eth0, id: 5f3c2d6a9b1e";

/** bridge's ipMasq with the nftables backend. */
export const masquerade: Layout = {
  text: `table inet cni_plugins_masquerade {
  comment "Masquerading for plugins from github.com/containernetworking/plugins"
  chain masq_checks {
    comment "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet"
    ip saddr 10.1.0.5 ip daddr != 10.1.0.0/24 masquerade comment "${comment}"
    ip saddr 10.1.2.70 ip daddr != 10.1.2.64/26 masquerade comment "${comment}"
    ip6 saddr fd00::5 ip6 daddr != fd00::/64 masquerade comment "${comment}"
  }
  chain postrouting {
    type nat hook postrouting priority 100
    ip daddr 224.0.0.0/4 return
    ip6 daddr ff00::/8 return
    goto masq_checks
  }
}`,
  plan: {
    family: "inet",
    table: "cni_plugins_masquerade",
    comment: "Masquerading for plugins from github.com/containernetworking/plugins",
    chains: [
      {
        chain: "masq_checks",
        comment: "Masquerade traffic from certain IPs to any (non-multicast) IP outside their subnet",
        owns: { begins: "8a1d6e0a3b6c2f41-0c5d9a7e1b3f2468" },
        rules: [
          rule([saddr("10.1.0.5"), not(daddr("10.1.0.0/24"))], "masquerade", comment),
          rule([saddr("10.1.2.70"), not(daddr("10.1.2.70/26"))], "masquerade", comment),
          rule([saddr("fd00::5"), not(daddr("fd00::/64"))], "masquerade", comment),
        ],
      },
      {
        chain: "postrouting",
        base: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
        rules: [
          rule([daddr("224.0.0.0/4")], "return"),
          rule([daddr("ff00::/8")], "return"),
          rule([], { goto: "masq_checks" }),
        ],
      },
    ],
  },
};

const spoof = "macspoofchk-5f3c2d6a9b1e-eth0";

/** bridge's macspoofchk. */
export const macspoofchk: Layout = {
  text: `table bridge nat {
  chain cni-br-iface-5f3c2d6a9b1e-eth0-mac {
    ether saddr 0a:58:0a:f4:01:02 return comment "${spoof}"
    drop comment "${spoof}"
  }
  chain cni-br-iface-5f3c2d6a9b1e-eth0 {
    jump cni-br-iface-5f3c2d6a9b1e-eth0-mac comment "${spoof}"
  }
  chain PREROUTING {
    type filter hook prerouting priority -300; policy accept;
    iifname "veth0a1b2c3d" jump cni-br-iface-5f3c2d6a9b1e-eth0 comment "${spoof}"
  }
}`,
  plan: {
    family: "bridge",
    table: "nat",
    chains: [
      {
        chain: "cni-br-iface-5f3c2d6a9b1e-eth0-mac",
        rules: [rule([{ field: "etherSaddr", is: "0a:58:0a:f4:01:02" }], "return", spoof), rule([], "drop", spoof)],
      },
      {
        chain: "cni-br-iface-5f3c2d6a9b1e-eth0",
        rules: [rule([], { jump: "cni-br-iface-5f3c2d6a9b1e-eth0-mac" }, spoof)],
      },
      {
        chain: "PREROUTING",
        base: { type: "filter", hook: "prerouting", priority: -300, policy: "accept" },
        rules: [rule([{ field: "iifname", is: "veth0a1b2c3d" }], { jump: "cni-br-iface-5f3c2d6a9b1e-eth0" }, spoof)],
      },
    ],
  },
};

const id = "5f3c2d6a9b1e4c7d8f0a1b2c3d4e5f60718293a4b5c6d7e8f9012345678abcde";
const local: Rule = rule([{ field: "fibDaddrType", is: "local" }], { jump: "hostports_all" });

/** portmap's table of one family, with the nftables backend. */
const portmap = (
  family: "ip" | "ip6",
  lines: readonly string[],
  hostports: readonly Rule[],
  masquerading: readonly Rule[],
): Layout => ({
  text: `table ${family} cni_hostport {
  comment "CNI portmap plugin"
  chain hostports {
    ${lines.filter((line) => line.includes("dnat")).join("\n    ")}
  }
  chain hostip_hostports {
  }
  chain hostports_all {
    jump hostip_hostports
    jump hostports
  }
  chain prerouting {
    type nat hook prerouting priority -100
    fib daddr type local jump hostports_all
  }
  chain output {
    type nat hook output priority -100
    fib daddr type local jump hostports_all
  }
  chain masquerading {
    type nat hook postrouting priority 100
    ${lines.filter((line) => line.includes("masq")).join("\n    ")}
  }
}`,
  plan: {
    family,
    table: "cni_hostport",
    comment: "CNI portmap plugin",
    chains: [
      { chain: "hostports", owns: { is: id }, rules: hostports },
      { chain: "hostip_hostports", rules: [] },
      { chain: "hostports_all", rules: [rule([], { jump: "hostip_hostports" }), rule([], { jump: "hostports" })] },
      {
        chain: "prerouting",
        base: { type: "nat", hook: "prerouting", priority: -100, policy: "accept" },
        rules: [local],
      },
      { chain: "output", base: { type: "nat", hook: "output", priority: -100, policy: "accept" }, rules: [local] },
      {
        chain: "masquerading",
        base: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
        owns: { is: id },
        rules: masquerading,
      },
    ],
  },
});

export const portmap4 = portmap(
  "ip",
  [
    `tcp dport 8080 dnat to 10.1.0.5:80 comment "${id}"`,
    `ip daddr 192.0.2.1 tcp dport 8083 dnat to 10.1.0.5:83 comment "${id}"`,
    `udp dport 5353 dnat to 10.1.0.5:53 comment "${id}"`,
    `ip saddr 10.1.0.5 ip daddr 10.1.0.5 masquerade comment "${id}"`,
    `ip saddr 127.0.0.1 ip daddr 10.1.0.5 masquerade comment "${id}"`,
    `ip saddr 0.0.0.0/0 ip daddr 10.1.0.5 masquerade comment "${id}"`,
  ],
  [
    rule([dport("tcp", 8080)], dnat("10.1.0.5", 80), id),
    rule([daddr("192.0.2.1"), dport("tcp", 8083)], dnat("10.1.0.5", 83), id),
    rule([dport("udp", 5353)], dnat("10.1.0.5", 53), id),
  ],
  [
    rule([saddr("10.1.0.5"), daddr("10.1.0.5")], "masquerade", id),
    rule([saddr("127.0.0.1"), daddr("10.1.0.5")], "masquerade", id),
    rule([saddr("0.0.0.0/0"), daddr("10.1.0.5")], "masquerade", id),
  ],
);

export const portmap6 = portmap(
  "ip6",
  [
    `sctp dport 8080 dnat to [fd00::5]:80 comment "${id}"`,
    `ip6 daddr 2001:db8::1 tcp dport 8083 dnat to [fd00::5]:83 comment "${id}"`,
    `ip6 saddr fd00::5 ip6 daddr fd00::5 masquerade comment "${id}"`,
    `ip6 saddr ::/0 ip6 daddr fd00::5 masquerade comment "${id}"`,
  ],
  [
    rule([dport("sctp", 8080)], dnat("fd00::5", 80), id),
    rule([daddr("2001:db8::1"), dport("tcp", 8083)], dnat("fd00::5", 83), id),
  ],
  [
    rule([saddr("fd00::5"), daddr("fd00::5")], "masquerade", id),
    rule([saddr("::/0"), daddr("fd00::5")], "masquerade", id),
  ],
);

export const layouts: Readonly<Record<string, Layout>> = { masquerade, macspoofchk, portmap4, portmap6 };

/** The rules of a listing, each as `nft list` writes it. */
export const rulesIn = (listing: string): string[] =>
  listing
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^(table |chain |comment |type |\})/.test(line));
