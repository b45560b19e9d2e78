// portmap with the iptables backend, both kinds of iptables, judged by iptables-save, `iptables -C`, and by asking the ports.
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Sys } from "../../lib/host/sys.ts";
import { iptables, pathWith, saved, type Variant } from "../../testing/iptables.ts";
import { describeWith } from "../../testing/needs.ts";
import { nft } from "../../testing/nft.ts";
import { makePortNode, silent, type PortNode } from "../../testing/ports.ts";
import { quietSpawn } from "../../testing/host.ts";

const web = { hostPort: 8080, containerPort: 80, protocol: "tcp" };
const dns = { hostPort: 5353, containerPort: 53, protocol: "udp" };
const dual = ["10.1.0.5/24", "fd00:1::5/64"];
/** SHA-512 of "netc0". */
const chain = "CNI-DN-dd34dce8d67024646de32";
const conf = (portMappings: object[], more: object = {}) => ({
  backend: "iptables",
  runtimeConfig: { portMappings },
  ...more,
});

describe4("nft");
describe4("legacy");

function describe4(variant: Variant): void {
  describeWith(["cell", "ip", "nft", "iptables", "legacy iptables"], `portmap over iptables-${variant}`, () => {
    let on: PortNode;
    let path: ReturnType<typeof pathWith>;
    let started: string[];
    beforeEach(async () => {
      on = await makePortNode();
      path = pathWith(variant);
      started = [];
    });
    afterEach(async () => {
      path.remove();
      await on.close();
    });

    const over = {
      spawn: ((file, argv, ...rest) => {
        started.push(argv.join(" "));
        return quietSpawn(file, argv, ...rest);
      }) satisfies Sys["spawn"],
    };
    const more = () => ({ searchPath: path.path, over });
    const add = (asked: object, other: Parameters<PortNode["add"]>[1] = {}) => on.add(asked, { ...more(), ...other });
    const del = (other: object = {}) => on.runtime.call({ verb: "DEL", conf: {}, ...more(), ...other });
    const rules = async (family: 4 | 6 = 4) => (await saved(variant, family)).filter((line) => line.startsWith("-A"));

    test("ADD makes the chains and the rules, without a process where iptables has them in nf_tables", async () => {
      await add(
        conf([
          web,
          { ...dns, hostIP: "192.0.2.1" },
          { hostPort: 9000, containerPort: 9, protocol: "SCTP", hostIP: "2001:db8::1" },
          { ...web, hostPort: 8443, containerPort: 443, hostIP: "0.0.0.0" },
        ]),
        { ips: dual },
      );
      if (variant === "nft") expect(started).toEqual([]);
      const comment = '-m comment --comment "dnat name: \\"net\\" id: \\"c0\\""';
      const shared = [
        "-A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "-A OUTPUT -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
      ];
      const entries = [
        `-A CNI-HOSTPORT-DNAT -p sctp ${comment} -m multiport --dports 9000 -j ${chain}`,
        `-A CNI-HOSTPORT-DNAT -p tcp ${comment} -m multiport --dports 8080,8443 -j ${chain}`,
        `-A CNI-HOSTPORT-DNAT -p udp ${comment} -m multiport --dports 5353 -j ${chain}`,
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
      ];
      const [mark, own] = ["-j CNI-HOSTPORT-SETMARK", `-A ${chain}`];
      expect(await rules(4)).toEqual([
        ...shared,
        `${own} -s 10.1.0.0/24 -p tcp -m tcp --dport 8080 ${mark}`,
        `${own} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 ${mark}`,
        `${own} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.5:80`,
        `${own} -s 10.1.0.0/24 -d 192.0.2.1/32 -p udp -m udp --dport 5353 ${mark}`,
        `${own} -s 127.0.0.1/32 -d 192.0.2.1/32 -p udp -m udp --dport 5353 ${mark}`,
        `${own} -d 192.0.2.1/32 -p udp -m udp --dport 5353 -j DNAT --to-destination 10.1.0.5:53`,
        `${own} -s 10.1.0.0/24 -p tcp -m tcp --dport 8443 ${mark}`,
        `${own} -s 127.0.0.1/32 -p tcp -m tcp --dport 8443 ${mark}`,
        `${own} -p tcp -m tcp --dport 8443 -j DNAT --to-destination 10.1.0.5:443`,
        ...entries,
      ]);
      expect(await rules(6)).toEqual([
        ...shared,
        `${own} -s fd00:1::/64 -p tcp -m tcp --dport 8080 ${mark}`,
        `${own} -p tcp -m tcp --dport 8080 -j DNAT --to-destination [fd00:1::5]:80`,
        `${own} -s fd00:1::/64 -d 2001:db8::1/128 -p sctp -m sctp --dport 9000 ${mark}`,
        `${own} -d 2001:db8::1/128 -p sctp -m sctp --dport 9000 -j DNAT --to-destination [fd00:1::5]:9`,
        ...entries,
      ]);
    });

    test("iptables finds each rule that is made, and the same made by iptables lacks nothing", async () => {
      const many = Array.from({ length: 17 }, (_, at) => ({ ...web, hostPort: 9000 + at }));
      const asked = conf(
        [web, ...many, { ...web, protocol: "dccp" }, { ...web, protocol: "sctp", hostIP: "192.0.2.1" }],
        {
          markMasqBit: 0,
        },
      );
      await add(asked);
      const whole = await saved(variant, 4);
      for (const line of await rules()) await on.shell(`iptables-${variant} -t nat -C ${line.slice(3)}`);
      expect(whole.filter((line) => line.includes("multiport"))).toHaveLength(4);

      await iptables(variant, "restore", { input: `${whole.join("\n")}\n` });
      expect(await saved(variant, 4)).toEqual(whole);
      started.length = 0;
      await add(asked);
      expect(await saved(variant, 4)).toEqual(whole);
      expect(started.filter((words) => words.includes("restore"))).toEqual([]);
      await on.runtime.call({ verb: "CHECK", netns: on.pods.a, conf: on.after(asked), ...more() });
    });

    test("ports answer from outside, from the node, from the container itself and from its neighbour", async () => {
      await add(conf([web, dns]), { ips: dual });
      expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
      expect(await on.ask("outside", "tcp", "[2001:db8::1]:8080")).toBe("a sees 2001:db8::2");
      expect(await on.ask("outside", "udp", "192.0.2.1:5353")).toBe("a sees 192.0.2.2");
      expect(await on.ask("node", "tcp", "127.0.0.1:8080")).toBe("a sees 10.1.0.1");
      expect(await on.ask("a", "tcp", "192.0.2.1:8080")).toBe("a sees 10.1.0.1");
      expect(await on.ask("a", "tcp", "[2001:db8::1]:8080")).toBe("a sees fd00:1::1");
      expect(await on.ask("b", "tcp", "192.0.2.1:8080")).toBe("a sees 10.1.0.1");
      await del();
      expect(await on.ask("outside", "tcp", "192.0.2.1:8080", silent)).toBe("no answer");
    });

    test("DEL takes what is of the container, knowing neither mappings nor netns, and nobody else's", async () => {
      await on.shell(`iptables-${variant} -t nat -A PREROUTING -p tcp --dport 8080 -m comment --comment c0 -j ACCEPT`);
      await add(conf([{ ...web, hostPort: 8081 }]), {
        pod: "b",
        containerId: "c1",
        ips: ["10.1.0.6/24", "fd00:1::6/64"],
      });
      const before = [await saved(variant, 4), await saved(variant, 6)];
      await add(conf([web, dns]), { ips: dual });
      started.length = 0;
      await del();
      if (variant === "nft") expect(started).toEqual([]);
      expect([await saved(variant, 4), await saved(variant, 6)]).toEqual(before);
      await del();
      await del({ containerId: "c9", conf: conf([web]) });
      expect([await saved(variant, 4), await saved(variant, 6)]).toEqual(before);
    });

    test("DEL finds a container whose network has another name by now, and one with an old chain", async () => {
      await add(conf([{ ...web, hostPort: 8081 }]), { pod: "b", containerId: "c1" });
      await on.shell(`iptables-${variant} -t nat -N CNI-HOSTPORT-SNAT`);
      const before = await saved(variant, 4);
      await add(conf([web], { name: "before" }));
      await del({ conf: { name: "after" } });
      expect(await saved(variant, 4)).toEqual(before);

      const old = chain.replace("DN", "SN");
      await on.shell(`iptables-${variant} -t nat -N ${old}; iptables-${variant} -t nat -A CNI-HOSTPORT-SNAT -j ${old}`);
      await del();
      expect(await saved(variant, 4)).toEqual(before);
    });

    test("DEL that knows no address leaves the container's attachment to another network", async () => {
      await add(conf([web], { name: "another" }));
      const before = await saved(variant, 4);
      await del({ ifName: "net1", netns: on.pods.a });
      expect(await saved(variant, 4)).toEqual(before);
      await del({ netns: on.pods.a });
      expect((await saved(variant, 4)).join()).not.toContain("CNI-DN");
    });

    test("the container's other attachment to the network keeps its ports through ADD, CHECK and DEL", async () => {
      const other = { ...web, hostPort: 8081 };
      const ips = ["10.1.0.7/24"];
      await on.shell("ip link add net1 type veth peer name net1x; ip addr add 10.1.0.7/24 dev net1", on.pods.a);
      await add(conf([web]));
      const before = (await saved(variant, 4)).sort();
      const second = { ifName: "net1", netns: on.pods.a };
      const result = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.7/24" }] };
      await on.runtime.call({ verb: "ADD", conf: { ...conf([other]), prevResult: result }, ...second, ...more() });
      const both = await rules();
      expect(both.filter((line) => line.includes("--to-destination"))).toHaveLength(2);
      expect(both.filter((line) => line.includes("--dports"))).toHaveLength(2);
      await on.runtime.call({ verb: "CHECK", netns: on.pods.a, conf: on.after(conf([web])), ...more() });
      await on.runtime.call({ verb: "CHECK", conf: { ...conf([other]), prevResult: result }, ...second, ...more() });
      await del({ ...second, conf: on.after({}, "a", ips) });
      expect((await saved(variant, 4)).sort()).toEqual(before);
      await del({ netns: on.pods.a });
      expect((await saved(variant, 4)).join()).not.toContain("CNI-DN");
    });

    test("ADD again changes nothing; with other mappings it leaves none of the old", async () => {
      await add(conf([web, dns]));
      const before = await saved(variant, 4);
      await add(conf([web, dns]));
      expect(await saved(variant, 4)).toEqual(before);
      await add(conf([{ ...dns, hostPort: 5354 }]), { ips: ["10.1.0.9/24"] });
      expect((await rules()).filter((line) => line.includes(chain))).toEqual([
        `-A ${chain} -s 10.1.0.0/24 -p udp -m udp --dport 5354 -j CNI-HOSTPORT-SETMARK`,
        `-A ${chain} -s 127.0.0.1/32 -p udp -m udp --dport 5354 -j CNI-HOSTPORT-SETMARK`,
        `-A ${chain} -p udp -m udp --dport 5354 -j DNAT --to-destination 10.1.0.9:53`,
        `-A CNI-HOSTPORT-DNAT -p udp -m comment --comment "dnat name: \\"net\\" id: \\"c0\\"" -m multiport --dports 5354 -j ${chain}`,
      ]);
    });

    test("masqueraded packets are marked ahead of other plugins' rules; another bit has rules of its own", async () => {
      await on.shell(`iptables-${variant} -t nat -A POSTROUTING -s 10.1.0.0/24 -j ACCEPT`);
      await add(conf([web]));
      await add(conf([{ ...web, hostPort: 8081 }], { markMasqBit: 4, masqAll: true }), { pod: "b", containerId: "c1" });
      expect((await rules()).filter((line) => /^-A (POST|CNI-HOSTPORT-(MASQ|SETMARK))/.test(line))).toEqual([
        '-A POSTROUTING -m comment --comment "CNI portfwd requiring masquerade" -j CNI-HOSTPORT-MASQ',
        "-A POSTROUTING -s 10.1.0.0/24 -j ACCEPT",
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x2000/0x2000 -j MASQUERADE",
        "-A CNI-HOSTPORT-MASQ -m mark --mark 0x10/0x10 -j MASQUERADE",
        '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x2000/0x2000',
        '-A CNI-HOSTPORT-SETMARK -m comment --comment "CNI portfwd masquerade mark" -j MARK --set-xmark 0x10/0x10',
      ]);
      expect(await on.ask("outside", "tcp", "192.0.2.1:8081")).toBe("b sees 10.1.0.1");
    });

    test("somebody else's chain marks in place of ours; without it nothing is made", async () => {
      const asked = conf([web], { externalSetMarkChain: "KUBE-MARK-MASQ" });
      const before = await saved(variant, 4);
      const refused = await on.runtime.refusal({ verb: "ADD", netns: on.pods.a, conf: on.after(asked), ...more() });
      expect(refused.message).toContain("KUBE-MARK-MASQ");
      if (variant === "legacy") expect(await saved(variant, 4)).toEqual(before);
      else expect(await nft("list ruleset")).not.toContain("CNI");
      await on.shell(`iptables-${variant} -t nat -N KUBE-MARK-MASQ`);
      await add(asked);
      expect(await rules()).toContain(`-A ${chain} -s 127.0.0.1/32 -p tcp -m tcp --dport 8080 -j KUBE-MARK-MASQ`);
      expect((await saved(variant, 4)).join()).not.toContain("CNI-HOSTPORT-MASQ");
    });

    test("conditions go to iptables as they are", async () => {
      const asked = conf([web], {
        conditionsV4: ["-s", "192.0.2.2", "!", "-i", "lo", "-m", "comment", "--comment", 'a "b" \\\\ $(c)'],
      });
      await add(asked, { ips: ["10.1.0.5/24"] });
      const entry = (await rules()).find((line) => line.startsWith("-A CNI-HOSTPORT-DNAT"));
      expect(entry).toMatch(/-s 192\.0\.2\.2\/32 ! -i lo -p tcp .*--dports 8080/);
      const before = await saved(variant, 4);
      await add(asked);
      expect((await saved(variant, 4)).sort()).toEqual(before.sort());
      const check = { verb: "CHECK", netns: on.pods.a, conf: on.after(asked), ...more() };
      await on.runtime.call(check);
      expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
      await on.shell(`iptables-${variant} -t nat -F CNI-HOSTPORT-DNAT`);
      expect((await on.runtime.refusal(check)).message).toContain("--dports 8080");
      await del();
      expect((await saved(variant, 4)).join()).not.toContain(chain);

      const refused = await on.runtime.refusal({
        ...check,
        verb: "ADD",
        conf: on.after(conf([web], { conditionsV4: ["-s", "x\ny"] })),
      });
      expect(refused.code).toBe(7);
      const unheardOf = await on.runtime.refusal({
        ...check,
        verb: "ADD",
        conf: on.after(conf([web], { conditionsV4: ["--bogus"] })),
      });
      expect([unheardOf.code, unheardOf.message]).toEqual([
        7,
        expect.stringMatching(/^"conditionsV4" \["--bogus"\]: .*bogus/),
      ]);
      expect((await saved(variant, 4)).join()).not.toContain(chain);
    });

    test.each([
      ["whose address is ours now", { pod: "b", ips: ["10.1.0.5/24"] }],
      ["whose address leads nowhere", { ips: ["10.77.0.5/24"] }],
    ] as const)("a mapping of the port by a container %s is deleted with its chain", async (_, old) => {
      await on.shell("ip route add unreachable 10.77.0.0/16");
      await add(conf([dns]), { pod: "b", containerId: "c1" });
      await add(conf([web]));
      await del();
      const before = await saved(variant, 4);
      await add(conf([web, { ...web, hostPort: 8081 }]), { ...old, containerId: "old" });
      await add(conf([web]));
      expect(on.runtime.stderr()).toMatch(/host port tcp 8080 leads to .* of container "old", which is gone: deleted/);
      expect(await on.ask("outside", "tcp", "192.0.2.1:8080")).toBe("a sees 192.0.2.2");
      await del();
      expect(await saved(variant, 4)).toEqual(before);
    });

    test("a mapping of the port by a container that lives stays, and is told, or is a refusal", async () => {
      await add(conf([web]), { pod: "b", containerId: "other" });
      const asked = conf([{ ...web, hostIP: "192.0.2.1" }]);
      await add(asked);
      const said = 'host port tcp 8080 leads to 10.1.0.6 of container "other"';
      expect(on.runtime.stderr()).toContain(`${said}, which keeps it while it lives`);
      const checked = await on.runtime.refusal({ verb: "CHECK", netns: on.pods.a, conf: on.after(asked), ...more() });
      expect(checked.message).toBe(said);
      await del();
      const before = await saved(variant, 4);
      const refused = await on.runtime.refusal({
        verb: "ADD",
        netns: on.pods.a,
        conf: on.after(conf([dns, web], { hostPortConflict: "fail" })),
        ...more(),
      });
      expect([refused.code, refused.message]).toEqual([100, said]);
      expect(await saved(variant, 4)).toEqual(before);
    });

    test("CHECK is content after ADD, and names whatever is missing", async () => {
      const asked = conf([web, { ...dns, hostIP: "192.0.2.1" }]);
      await add(asked, { ips: dual });
      const check = { verb: "CHECK", netns: on.pods.a, conf: on.after(asked, "a", dual), ...more() };
      await on.runtime.call(check);
      const lines = await rules();
      expect(lines).toHaveLength(13);
      for (const lost of lines) {
        await iptables(variant, "restore --noflush", { input: `*nat\n${lost.replace("-A", "-D")}\nCOMMIT\n` });
        await expect(on.runtime.call(check), lost).rejects.toThrow("missing rule: ");
        await on.runtime.call({ verb: "DEL", conf: {}, ...more() });
        await on.shell(`iptables-${variant} -t nat -F; iptables-${variant} -t nat -X`);
        await add(asked, { ips: dual });
      }
      await on.runtime.call(check);
    });

    test("GC takes the chains of the network's containers that are not valid, and no others", async () => {
      await add(conf([{ ...web, hostPort: 8001 }]), { containerId: "valid" });
      await add(conf([{ ...web, hostPort: 8003 }], { name: "another" }), { containerId: "elsewhere" });
      const before = await saved(variant, 4);
      await add(conf([{ ...web, hostPort: 8002 }]), { containerId: "gone" });
      await on.runtime.call({
        verb: "GC",
        conf: { cniVersion: "1.1.0", "cni.dev/valid-attachments": [{ containerID: "valid", ifname: "eth0" }] },
        ...more(),
      });
      expect(await saved(variant, 4)).toEqual(before);
    });

    test("STATUS is content, and says what cannot be; the other backend's words are refused", async () => {
      const status = { verb: "STATUS", conf: { cniVersion: "1.1.0", backend: "iptables" }, ...more() };
      await on.runtime.call(status);
      const refused = await on.runtime.refusal({ ...status, searchPath: "/nowhere" });
      expect(refused.code).toBe(50);
      const words = { ...status.conf, conditionsV4: ["ip", "saddr", "10.0.0.0/8"] };
      expect((await on.runtime.refusal({ ...status, conf: words })).message).toBe(
        "iptables backend was requested but configuration contains nftables-specific options [conditionsV4]",
      );
    });

    test("where nothing is configured the rules are where Go's plugin would put them", async () => {
      await add({ runtimeConfig: { portMappings: [web] } });
      expect(await rules()).toContain(`-A ${chain} -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.5:80`);
      await del();
      path.remove();
      path = pathWith("none");
      await add({ runtimeConfig: { portMappings: [web] } });
      expect(await nft("list chain ip cni_hostport hostports")).toContain("tcp dport 8080 dnat to 10.1.0.5:80");
      await del();
      expect(await nft("list chain ip cni_hostport hostports")).not.toContain("dnat");
    });
  });
}
