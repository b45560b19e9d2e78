// ipMasq and macspoofchk over the real kernel: iptables and nft say what is there, packets say what it does.
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer2, layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { foreignNft, foreignSaved, iptables, pathWith, saved, type Variant } from "../../testing/iptables.ts";
import { describeWith } from "../../testing/needs.ts";
import { nft, nftJson } from "../../testing/nft.ts";
import { resultText } from "../../lib/cni/result-text.ts";
import { systemError } from "../../lib/host/errno.ts";
import { sys } from "../../lib/host/node.ts";
import type { Sys } from "../../lib/host/sys.ts";
import { quietSpawn } from "../../testing/host.ts";

let on: BridgeNode;
let pod: string;
let paths: Record<Variant, ReturnType<typeof pathWith>>;
beforeEach(async () => {
  on = await makeBridgeNode();
  pod = await on.node.container("a");
  paths = { nft: pathWith("nft"), legacy: pathWith("legacy") };
});
afterEach(async () => {
  for (const { remove } of Object.values(paths)) remove();
  await on.close();
});

/** Everything that nft and both kinds of iptables have in this netns, so that it can be compared byte for byte. */
const ruleset = async () => ({
  nft: await nftJson(),
  iptables: [...(await saved("nft", 4)), ...(await saved("nft", 6))],
  legacy: [...(await saved("legacy", 4)), ...(await saved("legacy", 6))],
});
/** All rules as one text. */
const rules = async () => JSON.stringify(await ruleset());

const backends = [
  ["nftables", "nft", { ipMasqBackend: "nftables" }],
  ["iptables", "nft", { ipMasqBackend: "iptables" }],
  ["iptables", "legacy", { ipMasqBackend: "iptables" }],
] as const;
const both = ["10.1.0.5/24 10.1.0.1", "fd00:1::5/64 fd00:1::1"];
const masq = { ...layer3, isDefaultGateway: true, ipMasq: true };

/** A netns beyond the node that knows no way to pods: it can answer only what comes from the node's own address. */
async function outside(): Promise<void> {
  const far = (await on.node.container("far")).slice("/run/netns/".length);
  const ip = (args: string) => on.node.run("ip", ...args.split(" "));
  await ip(`link add up0 type veth peer name eth0 netns ${far}`);
  await ip("addr add 192.0.2.1/24 dev up0");
  await ip("addr add 2001:db8::1/64 dev up0 nodad");
  await ip("link set up0 up");
  await ip(`-n ${far} addr add 192.0.2.2/24 dev eth0`);
  await ip(`-n ${far} addr add 2001:db8::2/64 dev eth0 nodad`);
  await ip(`-n ${far} link set eth0 up`);
}

describeWith(["cell", "ip", "ping", "nft", "iptables", "legacy iptables"], "bridge ipMasq", () => {
  test.each(backends)("with %s (%s) the world sees the node, and DEL leaves nothing", async (_, variant, more) => {
    const conf = { ...masq, ...more };
    const searchPath = paths[variant].path;
    await outside();
    await on.add({ netns: pod, ips: both, conf: { ...conf, ipMasq: false } });
    expect(await on.node.ping("192.0.2.2", pod, 1)).toBe(false);
    await on.del({ netns: pod });

    await on.add({ netns: pod, ips: both, conf, searchPath });
    expect(await on.node.ping("192.0.2.2", pod)).toBe(true);
    expect(await on.node.ping("2001:db8::2", pod)).toBe(true);
    await on.del({ netns: pod, conf, searchPath });
    const before = await ruleset();
    expect(JSON.stringify(before)).not.toMatch(/CNI-|net: net/);

    const result = await on.add({ netns: pod, ips: both, conf, searchPath });
    expect(await rules()).toMatch(/net: net|CNI-/);
    await on.check(result, { netns: pod, conf, searchPath });
    // Whatever the configuration says by then.
    await on.del({ netns: "", conf: layer2, searchPath });
    expect(await ruleset()).toEqual(before);
  });

  test.each(backends)(
    "%s (%s): what goes to the pod's own subnet keeps its address, all else loses it",
    async (_, variant, more) => {
      const conf = { ...masq, ...more };
      await outside();
      await on.add({ netns: pod, conf, searchPath: paths[variant].path });
      const inside = (netns: string, words: string) =>
        on.node.run("ip", "netns", "exec", `${on.node.name}-${netns}`, ...words.split(" "));
      // An address of the pod's subnet that is beyond the node.
      await inside("far", "ip addr add 10.1.0.77/32 dev lo");
      await inside("far", "ip route add 10.1.0.5 via 192.0.2.1");
      await inside("a", "ip route add 10.1.0.77 via 10.1.0.1");
      await on.node.run("ip", "route", "add", "10.1.0.77", "via", "192.0.2.2");
      await nft("-f -", {
        netns: `${on.node.name}-far`,
        input: `table ip seen { chain c { type filter hook input priority 0;
        ip daddr 10.1.0.77 ip saddr 10.1.0.5 counter
        ip daddr 192.0.2.2 ip saddr 192.0.2.1 counter
        ip protocol icmp counter
      }
}`,
      });
      expect(await on.node.ping("10.1.0.77", pod)).toBe(true);
      expect(await on.node.ping("192.0.2.2", pod)).toBe(true);
      const seen = await nft("list chain ip seen c", { netns: `${on.node.name}-far` });
      expect([...seen.matchAll(/packets (\d+)/g)].map(([, packets]) => packets)).toEqual(["1", "1", "2"]);
    },
  );

  test.each(backends)(
    "%s (%s): others' rules stay byte for byte, through ADD, DEL and GC",
    async (_, variant, more) => {
      const conf = { ...masq, macspoofchk: true, ...more };
      const searchPath = paths[variant].path;
      for (const kind of ["nft", "legacy"] as const)
        for (const family of [4, 6] as const) await iptables(kind, "restore", { family, input: foreignSaved(family) });
      await nft("-f -", { input: foreignNft });
      // The link of the foreign rule is there.
      await on.node.run("ip", "link", "add", "vethother", "type", "bridge");
      const warm = { netns: pod, ips: both, conf, searchPath };
      await on.add(warm);
      await on.del(warm);
      const before = await ruleset();
      expect(JSON.stringify(before)).toContain("requiring SNAT");
      const foreign = JSON.stringify(before.legacy) + JSON.stringify(before.iptables);
      await on.add(warm);
      const held = await ruleset();
      const kept = (lines: string[]) =>
        lines.filter((line) => !line.includes('name: \\"net\\"') && !/:CNI-(?!0123)/.test(line));
      expect(JSON.stringify(kept(held.legacy)) + JSON.stringify(kept(held.iptables))).toBe(foreign);
      await on.runtime.call({
        verb: "GC",
        conf: { ...conf, cniVersion: "1.1.0", "cni.dev/valid-attachments": [] },
        searchPath,
      });
      expect(await ruleset()).toEqual(before);
    },
  );

  test("an ADD that finds nothing to delete deletes nothing, and starts no process where nf_tables has the rules", async () => {
    const started: string[] = [];
    const spawn: Sys["spawn"] = (path, argv, ...rest) => {
      started.push(argv[0] ?? path);
      return quietSpawn(path, argv, ...rest);
    };
    const types = new Set<number>();
    const send: Sys["send"] = (fd, data) => {
      for (let at = 0; at < data.length; at += (((data[at] ?? 0) | ((data[at + 1] ?? 0) << 8)) + 3) & ~3)
        types.add((data[at + 4] ?? 0) | ((data[at + 5] ?? 0) << 8));
      sys.send(fd, data);
    };
    for (const [, variant, more] of backends.slice(0, 2)) {
      const conf = { ...masq, macspoofchk: true, ...more };
      await on.add({ netns: pod, ips: both, conf, searchPath: paths[variant].path, over: { spawn, send } });
      // NFT_MSG_DELCHAIN, NFT_MSG_DELRULE
      expect([...types].filter((type) => type === 0xa05 || type === 0xa08)).toEqual([]);
      expect(types.has(0xa06)).toBe(true);
      types.clear();
      await on.del({ netns: pod, conf, searchPath: paths[variant].path, over: { spawn, send } });
      expect(types.has(0xa08)).toBe(true);
      types.clear();
    }
    expect(started).toEqual([]);
    const conf = { ...masq, ipMasqBackend: "iptables" };
    await on.add({ netns: pod, ips: both, conf, searchPath: paths.legacy.path, over: { spawn } });
    expect(started).toEqual(["iptables-restore", "ip6tables-restore"]);
    await on.del({ netns: pod, searchPath: paths.legacy.path, over: { spawn } });
    started.length = 0;
    // Without either in the configuration nobody asks nf_tables, and DEL only looks.
    await on.add({ netns: pod, over: { spawn, send } });
    expect([...types].filter((type) => type >= 0xa00)).toEqual([]);
    await on.del({ netns: pod, searchPath: paths.nft.path, over: { spawn, send } });
    expect(
      [...types].filter((type) => type >= 0xa00 && [0xa00, 0xa02, 0xa03, 0xa05, 0xa06, 0xa08].includes(type)),
    ).toEqual([]);
    expect(started).toEqual([]);
  });

  test("a failed ADD leaves no rule", async () => {
    for (const [, variant, more] of backends) {
      const conf = { ...masq, macspoofchk: true, ...more };
      const searchPath = paths[variant].path;
      await on.add({ netns: pod, ips: both, conf, searchPath });
      await on.del({ netns: pod, conf, searchPath });
      const before = await ruleset();
      // An address cannot be given twice: rules are there by then.
      const ips = [...both, "10.1.0.5/24 10.1.0.1"];
      await expect(on.add({ netns: pod, ips, conf, searchPath })).rejects.toThrow("file exists");
      expect(await ruleset()).toEqual(before);
    }
  });

  test("iptables that refuses is told in its own words, and IPv4's rules do not stay when IPv6's cannot be made", async () => {
    const conf = { ...masq, ipMasqBackend: "iptables" };
    const searchPath = paths.legacy.path;
    await on.add({ netns: pod, ips: both, conf, searchPath });
    await on.del({ netns: pod, conf, searchPath });
    const before = await ruleset();
    const spawn: Sys["spawn"] = (path, argv, env, stdin, timeoutMs) =>
      quietSpawn(
        path,
        argv,
        env,
        argv[0] === "ip6tables-restore" ? stdin.replace("-j ACCEPT", "-j NOSUCH") : stdin,
        timeoutMs,
      );
    await expect(on.add({ netns: pod, ips: both, conf, searchPath, over: { spawn } })).rejects.toThrow(
      /^failed to set up ipMasq or macspoofchk: ip6tables-restore of nat: .*NOSUCH/,
    );
    expect(await ruleset()).toEqual(before);
    expect(await on.veths()).toEqual([]);
  });

  test("without iptables nftables is taken; where iptables is asked for, it is missed", async () => {
    const none = pathWith("none");
    const result = await on.add({ netns: pod, conf: masq, searchPath: none.path });
    expect(await nft("list ruleset")).toContain("cni_plugins_masquerade");
    await on.check(result, { netns: pod, conf: masq, searchPath: none.path });
    await on.del({ netns: pod, conf: masq, searchPath: none.path });
    const conf = { ...masq, ipMasqBackend: "iptables", cniVersion: "1.1.0" };
    const error = await on.runtime.refusal({ verb: "ADD", conf, netns: pod, searchPath: none.path });
    expect(error.message).toMatch(/failed to locate iptables: no executable "iptables" in PATH/);
    const status = await on.runtime.refusal({ verb: "STATUS", conf, searchPath: none.path });
    expect(status).toMatchObject({ code: 50, message: '"ipMasq" needs iptables, which is not in PATH or fails' });
    for (const more of [
      { ...masq, ipMasqBackend: "nftables" },
      { ...layer3, macspoofchk: true },
    ]) {
      const socket: Sys["socket"] = (domain, type, protocol) => {
        if (protocol === 12) throw systemError("socket", 93);
        return sys.socket(domain, type, protocol);
      };
      const without = { verb: "STATUS", conf: { ...more, cniVersion: "1.1.0" }, over: { socket } };
      expect(await on.runtime.refusal(without)).toMatchObject({ code: 50, message: "this kernel has no nf_tables" });
      const failed = on.add({ netns: pod, conf: more, over: { socket } });
      await expect(failed).rejects.toThrow("failed to set up ipMasq or macspoofchk: this kernel has no nf_tables");
      // And there is nothing to take away.
      await on.del({ netns: pod, conf: more, over: { socket } });
    }
    await on.runtime.call({ verb: "STATUS", conf: { ...masq, cniVersion: "1.1.0" }, searchPath: none.path });
    none.remove();
  });

  test.each(backends)(
    "%s (%s): a second ADD of the container, and a repeated one, add what is missing",
    async (_, variant, more) => {
      const conf = { ...masq, ...more };
      const searchPath = paths[variant].path;
      await on.add({ netns: pod, conf, searchPath });
      await on.add({
        netns: pod,
        ifName: "net1",
        ips: ["10.1.1.5/24 10.1.0.1"],
        conf: { ...conf, isGateway: false, isDefaultGateway: false },
        searchPath,
      });
      const text = await rules();
      for (const each of ["10.1.0.5", "10.1.1.5"]) expect(text.split(each).length).toBeGreaterThan(1);
      await on.del({ netns: pod, ifName: "net1", conf, searchPath });
      await on.del({ netns: pod, conf, searchPath });
      expect(await rules()).not.toMatch(/CNI-|net: net|10\.1\.[01]\.5/);
    },
  );

  test.each(backends)("%s (%s): GC takes what is not valid of its network, and no more", async (_, variant, more) => {
    const conf = { ...masq, ...more };
    const searchPath = paths[variant].path;
    const attached = [
      ["c0", "net"],
      ["c1", "net"],
      ["c2", "net2"],
    ] as const;
    for (const [at, [containerId, name]] of attached.entries()) {
      const netns = at === 0 ? pod : await on.node.container(containerId);
      const ips = [`10.1.0.${at + 5}/24 10.1.0.1`, `fd00:1::${at + 5}/64 fd00:1::1`];
      await on.add({ netns, containerId, ips, conf: { ...conf, name }, searchPath });
    }
    const heldBy = async (at: number) => (await rules()).includes(`10.1.0.${at + 5}`);
    const attachments = [{ containerID: "c0", ifname: "eth0" }];
    await on.runtime.call({
      verb: "GC",
      conf: { ...conf, cniVersion: "1.1.0", "cni.dev/valid-attachments": attachments },
      searchPath,
    });
    expect([await heldBy(0), await heldBy(1), await heldBy(2)]).toEqual([true, false, true]);
    for (const each of ["fd00:1::6", '\\"c1\\"', "id: c1"]) expect(await rules()).not.toContain(each);
  });

  test.each(backends)("%s (%s): CHECK names each rule that is gone", async (_, variant, more) => {
    const conf = { ...masq, ...more };
    const searchPath = paths[variant].path;
    const result = await on.add({ netns: pod, ips: both, conf, searchPath });
    const prevResult = { ...conf, cniVersion: "1.1.0", prevResult: JSON.parse(resultText(result, "1.1.0")) };
    const said = async () =>
      (await on.runtime.refusal({ verb: "CHECK", conf: prevResult, netns: pod, searchPath })).message;
    if (more.ipMasqBackend === "nftables") {
      await nft("flush chain inet cni_plugins_masquerade postrouting");
      expect(await said()).toContain("Missing rule: inet cni_plugins_masquerade postrouting: goto masq_checks");
      await nft("flush chain inet cni_plugins_masquerade masq_checks");
      expect(await said()).toContain(
        "Missing rule: inet cni_plugins_masquerade masq_checks: ip6 saddr fd00:1::5 ip6 daddr != fd00:1::/64 masquerade",
      );
    } else {
      await iptables(variant, "- -t nat -F POSTROUTING");
      expect(await said()).toMatch(
        /^Missing rule: (ip nat POSTROUTING: ip saddr 10.1.0.5 jump CNI-|iptables -t nat: -A POSTROUTING -s 10.1.0.5\/32 .* -j CNI-)[^;]*$/,
      );
      await iptables(variant, "- -t nat -F", { family: 6 });
      expect(await said()).toMatch(/masquerade|MASQUERADE/);
    }
    // Where the other backend has everything, it works.
    await on.del({ netns: pod, conf, searchPath });
    const again = await on.add({ netns: pod, ips: both, conf, searchPath });
    const other = more.ipMasqBackend === "nftables" ? "iptables" : "nftables";
    await on.check(again, { netns: pod, conf: { ...conf, ipMasqBackend: other }, searchPath });
  });
});

describeWith(["cell", "ip", "ping", "nft"], "bridge macspoofchk", () => {
  const conf = { ...layer3, macspoofchk: true };

  test("a pod with another source address gets no answer; with its own it does", async () => {
    const result = await on.add({ netns: pod, conf });
    const { mac = "" } = result.interfaces[2] ?? {};
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
    await on.check(result, { netns: pod, conf });
    const name = pod.slice("/run/netns/".length);
    await on.node.run("ip", "-n", name, "link", "set", "eth0", "address", "02:00:00:00:00:66");
    expect(await on.node.ping("10.1.0.1", pod, 1)).toBe(false);
    await on.node.run("ip", "-n", name, "link", "set", "eth0", "address", mac);
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
    await nft("flush chain bridge nat PREROUTING");
    const prevResult = { ...conf, cniVersion: "1.1.0", prevResult: JSON.parse(resultText(result, "1.1.0")) };
    const { message } = await on.runtime.refusal({ verb: "CHECK", conf: prevResult, netns: pod });
    expect(message).toMatch(
      /^Missing rule: bridge nat PREROUTING: iifname "veth[0-9a-f]{8}" jump cni-br-iface-c0-eth0/,
    );
  });

  test("layer 2, and a MAC that is asked for", async () => {
    const l2 = { ...layer2, macspoofchk: true, runtimeConfig: { mac: "0a:58:0a:01:00:05" } };
    await on.add({ netns: pod, conf: l2 });
    expect(await nft("list chain bridge nat cni-br-iface-c0-eth0-mac")).toContain(
      "ether saddr 0a:58:0a:01:00:05 return",
    );
    await on.del({ netns: pod, conf: l2 });
    expect(await nft("list ruleset")).not.toContain("c0-eth0");
  });

  test("what an ADD that was ended left of another port and MAC is replaced, and all of it deleted", async () => {
    await nft("-f -", {
      input: `table bridge nat {
        chain cni-br-iface-c0-eth0-mac { ether saddr 02:00:00:00:00:01 return comment "macspoofchk-c0-eth0"; drop comment "macspoofchk-c0-eth0"; }
        chain cni-br-iface-c0-eth0 { jump cni-br-iface-c0-eth0-mac comment "macspoofchk-c0-eth0"; }
        chain PREROUTING { type filter hook prerouting priority -300; iifname "veth00000000" jump cni-br-iface-c0-eth0 comment "macspoofchk-c0-eth0"; }
      }`,
    });
    await on.add({ netns: pod, conf });
    expect(await nft("list chain bridge nat cni-br-iface-c0-eth0-mac")).not.toContain("02:00:00:00:00:01");
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
    await on.del({ netns: "" });
    expect(await nft("list ruleset")).not.toContain("c0-eth0");
  });

  test("GC takes what is for a port that is no more, and leaves what is valid or lives", async () => {
    const pods = [pod, await on.node.container("b"), await on.node.container("d")];
    for (const [at, netns] of pods.entries())
      await on.add({ netns, containerId: `c${at}`, ips: [`10.1.0.${at + 5}/24 10.1.0.1`], conf });
    const name = (at: number) => (pods[at] ?? "").slice("/run/netns/".length);
    for (const at of [0, 1]) await on.node.run("ip", "-n", name(at), "link", "del", "eth0");
    await on.runtime.call({
      verb: "GC",
      // As another network on the same node: none of the ports is its own.
      conf: {
        ...conf,
        name: "elsewhere",
        cniVersion: "1.1.0",
        "cni.dev/valid-attachments": [{ containerID: "c0", ifname: "eth0" }],
      },
    });
    const left = await nft("list ruleset");
    expect([0, 1, 2].map((at) => left.includes(`cni-br-iface-c${at}-eth0`))).toEqual([true, false, true]);
  });

  test("of a long container id DEL takes one attachment's guard and leaves the other's", async () => {
    const long = { netns: pod, containerId: "c".repeat(200), conf: { ...layer2, macspoofchk: true } };
    for (const ifName of ["eth0", "eth1"]) await on.add({ ...long, ifName });
    const guarded = async (ifName: string) =>
      (await nft("list ruleset")).includes(`jump cni-br-iface-${long.containerId}-${ifName} `);
    expect([await guarded("eth0"), await guarded("eth1")]).toEqual([true, true]);
    await on.del({ ...long, ifName: "eth1" });
    expect([await guarded("eth0"), await guarded("eth1")]).toEqual([true, false]);
    await on.del({ ...long, ifName: "eth0" });
    expect(await nft("list ruleset")).not.toContain(long.containerId);
  });

  test("an id for which chains have no room: ADD refuses it where it has to make them, DEL and GC have nothing to do", async () => {
    await nft("add table bridge nat");
    // 255 without "cni-br-iface-", "-eth0" and "-mac".
    for (const length of [233, 234, 238, 250]) {
      const long = { netns: pod, containerId: "c".repeat(length), conf: { ...layer2, macspoofchk: true } };
      if (length > 233) {
        await expect(on.add(long)).rejects.toMatchObject({
          code: 4,
          message: expect.stringContaining(
            `CNI_CONTAINERID of ${length} characters: the chains of macspoofchk have room for 233`,
          ),
        });
        expect(await on.veths()).toEqual([]);
      }
      await on.add({ ...long, conf: { ...layer2, macspoofchk: length <= 233 } });
      await on.del(long);
      expect(await on.veths()).toEqual([]);
      expect(await nft("list ruleset")).not.toContain(long.containerId);
    }
    const chain = `cni-br-iface-${"c".repeat(242)}`;
    await nft("-f -", {
      input: `table bridge nat {
        chain ${chain} { }
        chain PREROUTING { type filter hook prerouting priority -300; iifname "veth00000000" jump ${chain} comment "macspoofchk-c"; }
      }`,
    });
    await on.runtime.call({ verb: "GC", conf: { ...layer2, cniVersion: "1.1.0", "cni.dev/valid-attachments": [] } });
    expect(await nft("list ruleset")).not.toContain(chain);
  });
});
