// portmap with the nftables backend, judged by nft and by asking the ports.
import { afterEach, beforeEach, expect, test } from "vitest";
import { sys } from "../../lib/host/node.ts";
import type { Sys } from "../../lib/host/sys.ts";
import { describeWith } from "../../testing/needs.ts";
import { nft, nftJson, rulesIn } from "../../testing/nft.ts";
import { makePortNode, silent, type PortNode } from "../../testing/ports.ts";

const AF_NETLINK = 16;
const web = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
const dns = { hostPort: 5353, containerPort: 53, protocol: "udp" };
const dual = ["10.1.0.5/24", "fd00:1::5/64"];
const conf = (portMappings: object[], more: object = {}) => ({
  backend: "nftables",
  runtimeConfig: { portMappings },
  ...more,
});

describeWith(["cell", "ip", "nft"], "portmap over nftables", () => {
  let on: PortNode;
  beforeEach(async () => {
    on = await makePortNode();
  });
  afterEach(async () => on.close());

  const rules = async (chain: string, family = "ip") =>
    rulesIn(await nft(`list chain ${family} cni_hostport ${chain}`)).map((line) => line.replace(/ # handle.*/, ""));
  const del = (more: object = {}) => on.runtime.call({ verb: "DEL", conf: {}, ...more });

  test("ADD makes the chains, the mappings of each family, and nothing else", async () => {
    await on.add(
      conf([
        web,
        { ...dns, hostIP: "192.0.2.1" },
        { hostPort: 9000, containerPort: 9, protocol: "SCTP", hostIP: "2001:db8::1" },
        { hostPort: 7000, containerPort: 7, hostIP: "::" },
      ]),
      { ips: dual },
    );
    expect(await nft("list ruleset")).toMatchInlineSnapshot(`
      "table ip cni_hostport {
      	comment "CNI portmap plugin"
      	chain hostports {
      		tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"
      		ip daddr 192.0.2.1 udp dport 5353 dnat to 10.1.0.5:53 comment "c0"
      	}

      	chain hostip_hostports {
      	}

      	chain hostports_all {
      		jump hostip_hostports
      		jump hostports
      	}

      	chain prerouting {
      		type nat hook prerouting priority dstnat; policy accept;
      		fib daddr type local jump hostports_all
      	}

      	chain output {
      		type nat hook output priority -100; policy accept;
      		fib daddr type local jump hostports_all
      	}

      	chain masquerading {
      		type nat hook postrouting priority srcnat; policy accept;
      		ip saddr 10.1.0.5 ip daddr 10.1.0.5 masquerade comment "c0"
      		ip saddr 127.0.0.1 ip daddr 10.1.0.5 masquerade comment "c0"
      	}
      }
      table ip6 cni_hostport {
      	comment "CNI portmap plugin"
      	chain hostports {
      		tcp dport 8080 dnat to [fd00:1::5]:80 comment "c0"
      		ip6 daddr 2001:db8::1 sctp dport 9000 dnat to [fd00:1::5]:9 comment "c0"
      		tcp dport 7000 dnat to [fd00:1::5]:7 comment "c0"
      	}

      	chain hostip_hostports {
      	}

      	chain hostports_all {
      		jump hostip_hostports
      		jump hostports
      	}

      	chain prerouting {
      		type nat hook prerouting priority dstnat; policy accept;
      		fib daddr type local jump hostports_all
      	}

      	chain output {
      		type nat hook output priority -100; policy accept;
      		fib daddr type local jump hostports_all
      	}

      	chain masquerading {
      		type nat hook postrouting priority srcnat; policy accept;
      		ip6 saddr fd00:1::5 ip6 daddr fd00:1::5 masquerade comment "c0"
      	}
      }"
    `);
  });

  test("ports answer from outside, from the node by every address, from the container itself and from its neighbour", async () => {
    await on.add(conf([web, dns]), { ips: dual });
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
    expect(await on.ask("outside", "tcp", "[2001:db8::1]:8080")).toBe("a sees 2001:db8::2");
    expect(await on.ask("outside", "udp", "192.0.2.1:5353")).toBe("a sees 192.0.2.2");
    expect(await on.ask("node", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.1");
    expect(await on.ask("node", "tcp", "127.0.0.1:8080")).toBe("a sees 10.1.0.1");
    expect(await on.ask("node", "udp", "127.0.0.1:5353")).toBe("a sees 10.1.0.1");
    expect(await on.ask("a", "tcp", "192.0.2.1:8080")).toBe("a sees 10.1.0.1");
    expect(await on.ask("a", "tcp", "[2001:db8::1]:8080")).toBe("a sees fd00:1::1");
    expect(await on.ask("b", "tcp", "192.0.2.1:8080")).toBe("a sees 10.1.0.6");
    // A port of somebody else's is none of ours.
    expect(await on.ask("outside", "tcp", "10.1.0.6:8080", silent)).toBe("no answer");
    await del();
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080", silent)).toBe("no answer");
  });

  test("ADD again changes nothing; with other mappings or another address it leaves none of the old", async () => {
    await on.add(conf([web, dns]));
    const before = await nft("-a list ruleset");
    await on.add(conf([web, dns]));
    expect(await nft("-a list ruleset")).toBe(before);
    await on.add(conf([dns, { ...web, hostPort: 8081 }]), { ips: ["10.1.0.9/24"] });
    expect(await rules("hostports")).toEqual([
      'udp dport 5353 dnat to 10.1.0.9:53 comment "c0"',
      'tcp dport 8081 dnat to 10.1.0.9:80 comment "c0"',
    ]);
    expect(await rules("masquerading")).toEqual([
      'ip saddr 10.1.0.9 ip daddr 10.1.0.9 masquerade comment "c0"',
      'ip saddr 127.0.0.1 ip daddr 10.1.0.9 masquerade comment "c0"',
    ]);
  });

  test("DEL takes what is of the attachment, knowing neither mappings nor netns, and nobody else's", async () => {
    await nft("-f -", {
      input: `table ip other {
        chain nat { type nat hook prerouting priority -110; tcp dport 8080 counter accept comment "c0"
        }
      }`,
    });
    await on.add(conf([{ ...web, hostPort: 8081 }]), {
      pod: "b",
      containerId: "c1",
      ips: ["10.1.0.6/24", "fd00:1::6/64"],
    });
    const before = await nftJson();
    await on.add(conf([web, dns]), { ips: dual });
    await del();
    expect(await nftJson()).toEqual(before);
    await del();
    await del({ containerId: "c9", conf: conf([web]) });
    expect(await nftJson()).toEqual(before);
  });

  test("DEL of one attachment leaves the container's other one", async () => {
    await on.add(conf([web]));
    const before = await nftJson();
    await on.runtime.call({
      verb: "ADD",
      ifName: "net1",
      netns: on.pods.a,
      conf: { ...conf([web]), prevResult: { cniVersion: "1.0.0", ips: [{ address: "10.1.0.7/24" }] } },
    });
    expect(await rules("hostports")).toHaveLength(2);
    await del({ ifName: "net1" });
    expect(await nftJson()).toEqual(before);
  });

  test("DEL takes rules that the Go plugin made, in the chain of its older versions, too", async () => {
    await on.add(conf([web]));
    await del();
    const before = await nftJson();
    await nft("-f -", {
      input: `add rule ip cni_hostport hostports tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"
        add rule ip cni_hostport hostip_hostports ip daddr 192.0.2.1 tcp dport 8083 dnat to 10.1.0.5:83 comment "c0"
        add rule ip cni_hostport masquerading ip saddr 10.1.0.5 ip daddr 10.1.0.5 masquerade comment "c0"`,
    });
    await del();
    expect(await nftJson()).toEqual(before);
  });

  test("the Go plugin's rules of another attachment of the container stay, whatever the DEL knows", async () => {
    await on.add(conf([{ ...web, hostPort: 8081 }]), { pod: "b", containerId: "c1" });
    await nft("-f -", {
      input: `add rule ip cni_hostport hostports tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"
        add rule ip cni_hostport masquerading ip saddr 10.1.0.5 ip daddr 10.1.0.5 masquerade comment "c0"`,
    });
    const before = await nftJson();
    const ips = ["10.1.0.7/24"];
    const second = { ifName: "net1", netns: on.pods.a };
    await on.add(conf([{ ...web, hostPort: 8082 }]), { ...second, ips });
    expect(await rules("hostports")).toContain('tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"');
    await del(second);
    expect(await nftJson()).toEqual(before);
    await del({ ...second, conf: on.after({}, "a", ips) });
    expect(await nftJson()).toEqual(before);
    // Its own DEL takes them, and leaves those of a link that has none.
    await del({ netns: on.pods.a });
    expect(await rules("hostports")).toEqual(['tcp dport 8081 dnat to 10.1.0.6:80 comment "c1"']);
  });

  test("without mappings no netfilter is looked at, and a DEL makes nothing", async () => {
    const socket: Sys["socket"] = (domain, type, protocol) => {
      if (domain === AF_NETLINK) throw new Error(`a netlink socket of protocol ${protocol}`);
      return sys.socket(domain, type, protocol);
    };
    await on.runtime.call({ verb: "ADD", netns: on.pods.a, conf: on.after(conf([])), over: { socket } });
    await on.runtime.call({ verb: "CHECK", netns: on.pods.a, conf: on.after(conf([])), over: { socket } });
    await del();
    expect(await nft("list ruleset")).toBe("");
  });

  test("conditions stand with the mappings they are for: one of several values takes as many rules", async () => {
    const conditions = {
      conditionsV4: ["ip", "saddr", "{", "192.0.2.2,", "198.51.100.0/24", "}", "iifname", "!=", "lo"],
    };
    await on.add(conf([web], { ...conditions, conditionsV6: ["ip6 saddr != { fd00:2::/64, fd00:3::/64 }"] }), {
      ips: dual,
    });
    expect(await rules("hostports")).toEqual([
      'ip saddr 192.0.2.2 iifname != "lo" tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"',
      'ip saddr 198.51.100.0/24 iifname != "lo" tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"',
    ]);
    expect(await rules("hostports", "ip6")).toEqual([
      'ip6 saddr != fd00:2::/64 ip6 saddr != fd00:3::/64 tcp dport 8080 dnat to [fd00:1::5]:80 comment "c0"',
    ]);
    expect(await rules("prerouting")).toEqual(["fib daddr type local jump hostports_all"]);
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
    expect(await on.ask("node", "tcp", "192.0.2.1:8080", silent)).toBe("no answer");
    await on.runtime.call({ verb: "CHECK", netns: on.pods.a, conf: on.after(conf([web], conditions)) });
  });

  test("conditions that the Go plugin put in the shared chains are enough, and stay there", async () => {
    const conditions = { conditionsV4: ["ip", "saddr", "192.0.2.0/24"] };
    await on.add(conf([web], conditions));
    await nft("-f -", {
      input: ["prerouting", "output"]
        .map(
          (chain) => `flush chain ip cni_hostport ${chain}
            add rule ip cni_hostport ${chain} ip saddr 192.0.2.0/24 fib daddr type local jump hostports_all`,
        )
        .concat("flush chain ip cni_hostport hostports")
        .concat('add rule ip cni_hostport hostports tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"')
        .join("\n"),
    });
    await on.runtime.call({ verb: "CHECK", netns: on.pods.a, conf: on.after(conf([web], conditions)) });
    await on.add(conf([{ ...web, hostPort: 8081 }], conditions), { pod: "b", containerId: "c1" });
    expect(await rules("prerouting")).toEqual(["ip saddr 192.0.2.0/24 fib daddr type local jump hostports_all"]);
    // Somebody without conditions must be reached by all.
    await on.add(conf([{ ...web, hostPort: 8082 }]), { pod: "b", containerId: "c2" });
    expect(await rules("prerouting")).toContain("fib daddr type local jump hostports_all");
  });

  test("masqAll masquerades every source", async () => {
    await on.add(conf([web], { masqAll: true }));
    expect(await rules("masquerading")).toEqual(['ip saddr 0.0.0.0/0 ip daddr 10.1.0.5 masquerade comment "c0"']);
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 10.1.0.1");
  });

  test("without snat nothing is masqueraded, and 127.0.0.1 stays the node's own", async () => {
    await on.add(conf([web], { snat: false }));
    expect(await nft("list ruleset")).not.toContain("masquerad");
    expect(await on.node.run("sysctl", "-n", "net.ipv4.conf.br0.route_localnet")).toBe("0");
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
  });

  test.each([
    ["whose address is ours now", { pod: "b", ips: ["10.1.0.5/24"] }],
    ["whose address leads nowhere", { ips: ["10.77.0.5/24"] }],
  ] as const)("a mapping of the port %s is deleted", async (_, old) => {
    await on.shell("ip route add unreachable 10.77.0.0/16");
    await on.add(conf([web, { ...web, hostPort: 8081 }]), { ...old, containerId: "old" });
    await on.add(conf([web]));
    expect(await rules("hostports")).toEqual([
      expect.stringContaining("tcp dport 8081"),
      'tcp dport 8080 dnat to 10.1.0.5:80 comment "c0"',
    ]);
    expect(on.runtime.stderr()).toMatch(/host port tcp 8080 leads to .* of container "old", which is gone: deleted/);
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
  });

  test("a mapping whose container cannot be seen for now stays: its bridge is down, or has a table of its own", async () => {
    for (const [hide, show] of [
      ["ip link set br0 down", "ip link set br0 up"],
      [
        "ip route add 10.1.0.0/24 dev br0 table 100; ip route del 10.1.0.0/24 dev br0",
        "ip route add 10.1.0.0/24 dev br0 src 10.1.0.1",
      ],
    ] as const) {
      await on.add(conf([web]), { pod: "b", containerId: "other" });
      await on.shell(hide);
      await on.add(conf([web], { snat: false }), { ips: ["192.0.2.77/24"] });
      expect(await rules("hostports")).toContain('tcp dport 8080 dnat to 10.1.0.6:80 comment "other"');
      expect(on.runtime.stderr()).toContain('10.1.0.6 of container "other", which keeps it while it lives');
      await on.shell(show);
      await del();
      await del({ containerId: "other" });
    }
  });

  test("a mapping of the port by a container that lives stays, and is told, or is a refusal", async () => {
    await on.add(conf([web]), { pod: "b", containerId: "other" });
    await on.add(conf([{ ...web, hostIP: "192.0.2.1" }]));
    const said = 'host port tcp 8080 leads to 10.1.0.6 of container "other"';
    expect(on.runtime.stderr()).toContain(`${said}, which keeps it while it lives`);
    expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("b sees 192.0.2.2");
    const checked = await on.runtime.refusal({
      verb: "CHECK",
      netns: on.pods.a,
      conf: on.after(conf([{ ...web, hostIP: "192.0.2.1" }])),
    });
    expect(checked.message).toBe(said);

    await del();
    const before = await nft("-a list ruleset");
    const refused = await on.runtime.refusal({
      verb: "ADD",
      netns: on.pods.a,
      conf: on.after(conf([dns, web], { hostPortConflict: "fail" })),
    });
    expect(refused.code).toBe(100);
    expect(refused.message).toBe(said);
    expect(await nft("-a list ruleset")).toBe(before);
    // Other addresses, protocols and ports are no conflict.
    await on.add(
      conf(
        [
          { ...web, protocol: "udp" },
          { ...web, hostPort: 80 },
        ],
        { hostPortConflict: "fail" },
      ),
    );
  });

  test("CHECK is content after ADD, and names whatever is missing", async () => {
    const asked = conf([web, { ...dns, hostIP: "192.0.2.1" }]);
    await on.add(asked, { ips: dual });
    const check = { verb: "CHECK", netns: on.pods.a, conf: on.after(asked, "a", dual) };
    await on.runtime.call(check);
    const whole = await nft("list ruleset");
    const lines = rulesIn(whole);
    expect(lines).toHaveLength(14);
    for (const lost of lines) {
      const at = whole.indexOf(lost);
      await nft("-f -", { input: `flush ruleset\n${whole.slice(0, at)}${whole.slice(at + lost.length)}` });
      expect((await on.runtime.refusal(check)).message).toContain(`: ${lost}`);
    }
    await nft("-f -", { input: `flush ruleset\n${whole.replaceAll("10.1.0.5:80", "10.1.0.5:81")}` });
    expect((await on.runtime.refusal(check)).message).toContain("tcp dport 8080 dnat to 10.1.0.5:80");
    await nft("flush ruleset");
    expect((await on.runtime.refusal(check)).message).toContain("ip cni_hostport hostports: no such chain");
    await nft("-f -", { input: whole });
    await on.runtime.call(check);
    await on.shell("sysctl -qw net.ipv4.conf.br0.route_localnet=0");
    expect((await on.runtime.refusal(check)).message).toBe("net/ipv4/conf/br0/route_localnet is not 1");
  });

  test("CHECK of thousands of ports grows no faster than their ADD", async () => {
    const asked = conf(Array.from({ length: 16_000 }, (_, at) => ({ hostPort: 10_000 + at, containerPort: 80 })));
    // What this process has used: what others use of the machine meanwhile is chance.
    const timed = async (call: () => Promise<unknown>) => {
      const since = process.cpuUsage();
      await call();
      const { user, system } = process.cpuUsage(since);
      return user + system;
    };
    const added = await timed(() => on.add(asked));
    const checked = await timed(() => on.runtime.call({ verb: "CHECK", netns: on.pods.a, conf: on.after(asked) }));
    expect(checked).toBeLessThan(4 * added);
  });

  test("UDP flows that were there before the mapping come to it, and end with it", async () => {
    // The rules make the kernel keep track of flows at all.
    await on.add(conf([web]), { pod: "b", containerId: "c1", ips: ["10.1.0.6/24", "fd00:1::6/64"] });
    const flows = async () =>
      (await on.shell("cat /proc/net/nf_conntrack")).split("\n").filter((line) => line.includes("dport=5353"));
    expect(await on.ask("outside", "udp", "192.0.2.1:5353", { ...silent, fromPort: 4000 })).toBe("no answer");
    await on.ask("outside", "udp", "10.1.0.6:5353", { ...silent, fromPort: 4001 });
    await on.ask("outside", "udp", "[2001:db8::1]:5353", { ...silent, fromPort: 4000 });
    expect(await flows()).toHaveLength(3);
    await on.add(conf([dns, { ...dns, hostPort: 5354 }]), { ips: dual });
    expect(await flows()).toEqual([expect.stringContaining("dst=10.1.0.6 ")]);
    expect(await on.ask("outside", "udp", "192.0.2.1:5353", { fromPort: 4000 })).toBe("a sees 192.0.2.2");
    expect(await flows()).toHaveLength(2);
    await del({ conf: conf([dns]) });
    expect(await flows()).toHaveLength(1);
  });

  test("GC takes the rules of the network's attachments that are not valid, and no others", async () => {
    await on.add(conf([{ ...web, hostPort: 8001 }]), { containerId: "valid" });
    await on.add(conf([{ ...web, hostPort: 8003 }], { name: "another" }), { containerId: "elsewhere" });
    await nft("-f -", { input: 'add rule ip cni_hostport hostports tcp dport 8004 dnat to 10.1.0.5:80 comment "go"' });
    const before = await nftJson();
    await on.add(conf([{ ...web, hostPort: 8002 }]), { containerId: "gone" });
    expect(await nft("list ruleset")).toContain("8002");
    await on.runtime.call({
      verb: "GC",
      conf: { cniVersion: "1.1.0", "cni.dev/valid-attachments": [{ containerID: "valid", ifname: "eth0" }] },
    });
    expect(await nftJson()).toEqual(before);
  });

  test("STATUS is content, and says what cannot be", async () => {
    const status = { verb: "STATUS", conf: { cniVersion: "1.1.0", backend: "nftables" } };
    await on.runtime.call(status);
    const refused = await on.runtime.refusal({
      ...status,
      over: {
        socket: () => {
          throw Object.assign(new Error("socket"), { errno: 93 });
        },
      },
    });
    expect(refused.code).toBe(50);
    const words = { ...status.conf, conditionsV4: ["ct", "state", "new"] };
    const unread = await on.runtime.refusal({ ...status, conf: words });
    expect([unread.code, unread.message]).toEqual([7, 'cannot read "conditionsV4" at "ct"']);
  });
});
