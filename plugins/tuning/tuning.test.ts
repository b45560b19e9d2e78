import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../testing/needs.ts";
import { checked, makeVethNode, podMac, type VethNode } from "../../testing/veth.ts";
import { tuning } from "./index.ts";

const dataDir = "/run/cni/tuning";
const backup = `${dataDir}/c0_eth0.json`;
const everything = { mac: "0A:58:0A:01:00:99", mtu: 1400, promisc: true, allmulti: true, txQLen: 321 };
const somaxconn = "net.core.somaxconn";

describeWith(["cell", "ip"], "tuning", () => {
  let on: VethNode;
  beforeEach(async () => {
    on = await makeVethNode(tuning);
    rmSync(dataDir, { recursive: true, force: true });
  });
  afterEach(async () => {
    await on.close();
  });

  const pod = async () => {
    const { address, mtu, txqlen, flags = [] } = (await on.link("eth0", on.netns)) ?? {};
    return { address, mtu, txqlen, promisc: flags.includes("PROMISC"), allmulti: flags.includes("ALLMULTI") };
  };
  const untuned = { address: podMac, mtu: 1500, txqlen: 1000, promisc: false, allmulti: false };
  const tuned = { address: "0a:58:0a:01:00:99", mtu: 1400, txqlen: 321, promisc: true, allmulti: true };
  const peerMtu = async () => (await on.link("host0"))?.mtu;
  const sysctl = (name: string) => on.inPod("cat", `/proc/sys/${name}`);
  const refusal = (conf: object, more = {}) =>
    on.runtime.refusal({
      verb: "ADD",
      netns: on.netns,
      conf: { cniVersion: "1.1.0", prevResult: on.prevResult, ...conf },
      ...more,
    });
  const files = () => {
    try {
      return readdirSync(dataDir);
    } catch {
      return [];
    }
  };

  test.each(["DEL", "GC"])("%s on a read-only /run tells of the backup that stays", async (verb) => {
    mkdirSync(dataDir, { recursive: true });
    await on.node.run("mount", "-t", "tmpfs", "tuning", dataDir);
    try {
      await on.add(everything);
      await on.node.run("mount", "-o", "remount,ro", dataDir);
      const conf = { cniVersion: "1.1.0", "cni.dev/valid-attachments": [] };
      for (let turn = 0; turn < 2; turn++) {
        await on.runtime.call({ verb, netns: on.netns, conf });
        expect(files()).toEqual(["c0_eth0.json"]);
        expect(on.runtime.stderr()).toContain("read-only file system");
      }
      expect(await pod()).toEqual(verb === "DEL" ? untuned : tuned);
    } finally {
      await on.node.run("umount", dataDir);
    }
  });

  test("ADD changes what is configured, says so in the result, and keeps what was before", async () => {
    expect(await pod()).toEqual(untuned);
    const result = await on.add(everything);
    expect(await pod()).toEqual(tuned);
    expect(await peerMtu()).toBe(1400);
    expect(result.interfaces).toEqual([
      { name: "host0", mac: "fe:00:00:00:00:01", mtu: 1400 },
      { name: "eth0", mac: "0a:58:0a:01:00:99", mtu: 1400, sandbox: on.netns },
    ]);
    expect(JSON.parse(readFileSync(backup, "utf8"))).toEqual({
      mac: podMac,
      promisc: false,
      mtu: 1500,
      allmulti: false,
      txQLen: 1000,
      "weft.network": "net",
      "weft.peer": "host0",
      "weft.peerMtu": 1500,
    });
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    expect(statSync(dataDir).mode & 0o777).toBe(0o600);
    await on.check(everything, result);
  });

  test("DEL gives everything back; again, and where nothing was changed, it is done", async () => {
    await on.add(everything);
    await on.del(everything);
    expect([await pod(), await peerMtu(), files()]).toEqual([untuned, 1500, []]);
    await on.del(everything);
    await on.del({});
    expect(await pod()).toEqual(untuned);
  });

  test("DEL reads no more of the configuration than it needs", async () => {
    await on.add(everything);
    await on.del({ mac: "none", mtu: "1400", sysctl: 7 }, { args: "MAC=1=2" });
    expect([await pod(), files()]).toEqual([untuned, []]);
  });

  test("DEL without the netns removes what was kept", async () => {
    await on.add(everything);
    await on.del(everything, { netns: "/run/netns/nobody" });
    expect(files()).toEqual([]);
    await on.add(everything);
    await on.del(everything, { netns: "" });
    expect(files()).toEqual([]);
  });

  test("DEL goes over what the kernel does not take back, and gives the rest back", async () => {
    await on.add(everything);
    writeFileSync(backup, JSON.stringify({ mac: "01:00:5e:00:00:01", mtu: 1450 }));
    await on.del(everything);
    expect(await pod()).toEqual({ ...tuned, mtu: 1450 });
    expect(on.runtime.stderr()).toMatch(
      /"eth0" does not get back what it had: failed to set mac of "eth0" to "01:00:5e:00:00:01"/,
    );
    expect(files()).toEqual([]);
  });

  test("a torn file keeps nobody: ADD writes it anew, DEL removes it", async () => {
    mkdirSync(dataDir, { recursive: true });
    writeFileSync(backup, '{\n "mtu": 14');
    await on.add({ mtu: 1400 });
    await on.del({ mtu: 1400 });
    expect((await pod()).mtu).toBe(1500);
    writeFileSync(backup, "");
    await on.del({ mtu: 1400 });
    expect(files()).toEqual([]);
  });

  test("a second ADD keeps what the first one found", async () => {
    await on.add({ mtu: 1400 });
    const result = await on.add({ mtu: 1300, txQLen: 7 });
    expect(await pod()).toEqual({ ...untuned, mtu: 1300, txqlen: 7 });
    expect([await peerMtu(), result.interfaces[0]?.mtu]).toEqual([1300, 1300]);
    await on.del({});
    expect([await pod(), await peerMtu()]).toEqual([untuned, 1500]);
  });

  test("the node's end keeps its MTU where that is asked for", async () => {
    const conf = { mtu: 1400, peerMtu: false };
    const result = await on.add(conf);
    expect([(await pod()).mtu, await peerMtu(), result.interfaces[0]?.mtu]).toEqual([1400, 1500, 1500]);
    await on.check(conf, result);
  });

  test("the port of a bridge does not take the bridge's IPv6 from it", async () => {
    await on.node.run("ip", "link", "add", "br9", "type", "bridge");
    await on.node.run("ip", "link", "set", "host0", "master", "br9");
    const result = await on.add({ mtu: 1279 });
    expect([(await pod()).mtu, await peerMtu()]).toEqual([1279, 1500]);
    expect(on.runtime.stderr()).toContain('"host0" keeps its MTU of 1500: with 1279 its bridge would have no IPv6');
    await on.check({ mtu: 1279 }, result);
    await on.add({ mtu: 1280 });
    expect([(await pod()).mtu, await peerMtu()]).toEqual([1280, 1280]);
    await on.del({});
    expect([(await pod()).mtu, await peerMtu()]).toEqual([1500, 1500]);
  });

  test("a link whose other end nobody spoke of is left alone", async () => {
    const [, eth0] = on.prevResult.interfaces as object[];
    await on.add({ mtu: 1400, prevResult: { ...on.prevResult, interfaces: [eth0] } });
    expect([(await pod()).mtu, await peerMtu()]).toEqual([1400, 1500]);
  });

  test("sysctls: dots and slashes, IFNAME, in the order written", async () => {
    const conf = {
      sysctl: {
        [somaxconn]: "500",
        "net/ipv4/conf/IFNAME/arp_notify": "1",
        "net.ipv4.ip_local_port_range": "2000 3000",
      },
      args: { cni: { sysctl: { [somaxconn]: "600", "net.ipv4.conf.IFNAME.arp_filter": "1" } } },
    };
    const result = await on.add(conf);
    expect(await sysctl("net/core/somaxconn")).toBe("600");
    expect(await sysctl("net/ipv4/conf/eth0/arp_notify")).toBe("1");
    expect(await sysctl("net/ipv4/conf/eth0/arp_filter")).toBe("1");
    expect(await sysctl("net/ipv4/ip_local_port_range")).toBe("2000\t3000");
    expect(files()).toEqual([]);
    // The kernel puts a tab there; it is the same value.
    await on.check(conf, result);
  });

  test("a setting that can only be written is written, and is no difference", async () => {
    const conf = { sysctl: { "net.ipv4.route.flush": "1" } };
    await on.check(conf, await on.add(conf));
  });

  test("args.cni wins over runtimeConfig, that over CNI_ARGS, that over the configuration", async () => {
    const mac = (last: number) => `0a:58:0a:01:00:0${last}`;
    const all = { mac: mac(1), runtimeConfig: { mac: mac(3) }, args: { cni: { mac: mac(4) } } };
    const order: [conf: object, args: string, mac: string][] = [
      [{ mac: mac(1) }, "", mac(1)],
      [{ mac: mac(1) }, `MAC=${mac(2)}`, mac(2)],
      [{ mac: mac(1), runtimeConfig: { mac: mac(3) } }, `MAC=${mac(2)}`, mac(3)],
      [all, `MAC=${mac(2)}`, mac(4)],
    ];
    for (const [conf, args, wanted] of order) {
      await on.add(conf, { args });
      expect((await pod()).address).toBe(wanted);
      await on.del(conf, { args });
    }
    // What args.cni sets to nothing is not configured.
    await on.add({ ...everything, args: { cni: { mac: "", mtu: 0, promisc: false, allmulti: false, txQLen: 0 } } });
    // iproute2 leaves a length of 0 out.
    expect(await pod()).toEqual({ ...untuned, txqlen: undefined });
  });

  test("ADD refuses before it touches anything", async () => {
    const refused: [conf: object, message: string | RegExp][] = [
      [{ prevResult: null }, "Required prevResult missing"],
      [{ sysctl: { "kernel.hostname": "x" } }, 'invalid net sysctl key: "kernel.hostname"'],
      [{ sysctl: { "net.": "x" } }, 'invalid net sysctl key: "net."'],
      [{ sysctl: { [somaxconn]: 5 } }, `failed to load netconf: "sysctl.${somaxconn}" must be a string, got 5`],
      [{ mac: "nonsense" }, "invalid args nonsense for MAC addr: invalid MAC address"],
      [{ mtu: -1 }, "invalid MTU -1"],
      [{ mtu: "1400" }, 'failed to load netconf: "mtu" must be an integer, got "1400"'],
      [{ args: { cni: { txQLen: -1 } } }, "invalid transmit queue length -1"],
    ];
    for (const [conf, message] of refused) expect((await refusal({ mtu: 1400, ...conf })).message).toBe(message);
    expect((await refusal({ mtu: 1400 }, { args: "MAC" })).message).toBe('ARGS: invalid pair "MAC"');
    expect([await pod(), files()]).toEqual([untuned, []]);
  });

  test("a name that stands twice is refused", async () => {
    const text = `{"cniVersion":"1.0.0","name":"net","type":"tuning","sysctl":{"${somaxconn}":"1","${somaxconn}":"2"}}`;
    const { parseConfig } = await import("../../lib/cni/config.ts");
    expect(() => tuning.conf(parseConfig(text), "ADD", "", on.node.host())).toThrow(
      `duplicated sysctl keys are not allowed: "${somaxconn}"`,
    );
  });

  test.each<[what: string, conf: object, message: RegExp]>([
    ["an MTU that is too large", { ...everything, mtu: 70_000 }, /^failed to set mtu of "eth0" to 70000: /],
    ["a MAC that no link has", { ...everything, mac: "01:00:5e:00:00:01" }, /^failed to set mac of "eth0" to "01:00/],
    ["a setting there is not", { sysctl: { [somaxconn]: "77", "net.core.nothing": "1" } }, /nothing.*no such file/],
    ["a value the kernel does not take", { sysctl: { [somaxconn]: "77", "net.ipv4.ip_forward": "x" } }, /invalid arg/],
    ["a link there is not", { ...everything, sysctl: { [somaxconn]: "77" } }, /^failed to get "eth1"/],
  ])("ADD with %s leaves nothing", async (_, conf, message) => {
    const before = await sysctl("net/core/somaxconn");
    const { message: said, details } = await refusal(conf, {
      ifName: message.source.includes("eth1") ? "eth1" : "eth0",
    });
    expect(said).toMatch(message);
    expect(details).not.toBe("");
    expect([await pod(), await peerMtu(), files(), await sysctl("net/core/somaxconn")]).toEqual([
      untuned,
      1500,
      [],
      before,
    ]);
  });

  test("CHECK names each damage, and every one of several", async () => {
    const conf = { ...everything, sysctl: { [somaxconn]: "500" } };
    const result = await on.add(conf);
    const check = async () =>
      (await on.runtime.refusal({ verb: "CHECK", netns: on.netns, conf: checked(conf, result) })).message;
    const damages: [damage: string[], repair: string[], says: RegExp][] = [
      [
        ["address", podMac],
        ["address", tuned.address],
        /^Tuning configured Ethernet of eth0 is 0a:58:0a:01:00:99, current value is/,
      ],
      [["mtu", "1399"], ["mtu", "1400"], /^Tuning configured MTU of eth0 is 1400, current value is 1399/],
      [["promisc", "off"], ["promisc", "on"], /^Tuning configured promisc of eth0 is true, current value is false/],
      [
        ["allmulticast", "off"],
        ["allmulticast", "on"],
        /^Tuning configured all-multicast mode of eth0 is true, current value is false/,
      ],
      [
        ["txqueuelen", "5"],
        ["txqueuelen", "321"],
        /^Tuning configured Transmit Queue Length of eth0 is 321, current value is 5/,
      ],
    ];
    for (const [damage, repair, says] of damages) {
      await on.inPod("ip", "link", "set", "eth0", ...damage);
      expect(await check()).toMatch(says);
      await on.inPod("ip", "link", "set", "eth0", ...repair);
      await on.check(conf, result);
    }
    await on.node.run("ip", "link", "set", "host0", "mtu", "1500");
    await on.inPod("sysctl", "-qw", `${somaxconn}=501`);
    expect(await check()).toBe(
      "Tuning configured value of /proc/sys/net/core/somaxconn is 500, current value is 501; " +
        "Tuning configured MTU of host0 is 1400, current value is 1500",
    );
    await on.inPod("ip", "link", "del", "eth0");
    expect(await check()).toContain("Cannot find container link eth0");
  });

  test("CHECK asks for nothing that is not configured", async () => {
    await on.inPod("ip", "link", "set", "eth0", "promisc", "on");
    const result = await on.add({ mtu: 1400 });
    await on.check({ mtu: 1400 }, result);
    const { message } = await on.runtime.refusal({ verb: "CHECK", netns: on.netns, conf: { mtu: 1400 } });
    expect(message).toBe("Required prevResult missing");
  });

  test("GC removes what this network keeps of no valid attachment, and nothing else", async () => {
    await on.add({ mtu: 1400 });
    await on.add({ mtu: 1400 }, { containerId: "c1" });
    await on.add({ mtu: 1400, name: "other" }, { containerId: "c2" });
    writeFileSync(`${dataDir}/c3_eth0.json`, '{\n "mtu": 1500\n}');
    const valid = [{ containerID: "c1", ifname: "eth0" }];
    await on.runtime.call({ verb: "GC", conf: { cniVersion: "1.1.0", "cni.dev/valid-attachments": valid } });
    expect(files().sort()).toEqual(["c1_eth0.json", "c2_eth0.json", "c3_eth0.json"]);
  });

  test("STATUS is as ADD would be", async () => {
    const status = { verb: "STATUS", conf: { cniVersion: "1.1.0", mtu: 1400 } };
    await on.runtime.call(status);
    expect(files()).toEqual([]);
    const { message } = await on.runtime.refusal({ ...status, conf: { cniVersion: "1.1.0", sysctl: { a: "b" } } });
    expect(message).toBe('invalid net sysctl key: "a"');
    writeFileSync("/run/no-directory", "");
    const conf = { ...status.conf, dataDir: "/run/no-directory" };
    expect((await on.runtime.refusal({ ...status, conf })).code).toBe(50);
  });
});
