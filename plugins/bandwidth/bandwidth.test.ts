import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeWith } from "../../testing/needs.ts";
import { address, checked, makeVethNode, type SeenLink, type VethNode } from "../../testing/veth.ts";
import { bandwidth } from "./index.ts";

type Json = Record<string, unknown>;

const megabit = 1_000_000;
const ingress = { ingressRate: 8 * megabit, ingressBurst: megabit };
const egress = { egressRate: 16 * megabit, egressBurst: 2 * megabit };
const both = { ...ingress, ...egress };

describeWith(["cell", "ip", "tc", "ifb links"], "bandwidth", () => {
  let on: VethNode;
  let names: readonly string[];
  beforeEach(async () => {
    on = await makeVethNode(bandwidth);
    const host = on.node.host();
    names = [host.sha512("netc0").slice(0, 12), host.sha512("netc0eth0").slice(0, 12)].map((hash) => `bwp${hash}`);
  });
  afterEach(async () => {
    await on.close();
  });

  const tc = async (what: "qdisc" | "filter", dev: string): Promise<Json[]> => {
    const words = what === "qdisc" ? ["show", "dev", dev] : ["show", "dev", dev, "ingress"];
    return JSON.parse(await on.node.run("tc", "-j", what, ...words)) as Json[];
  };
  /** Rates in bytes a second, and where what comes in goes. */
  const shaped = async (dev: string) => {
    const [qdiscs, filters] = [await tc("qdisc", dev), await tc("filter", dev)];
    const root = qdiscs.find(({ kind }) => kind === "tbf")?.options as Json | undefined;
    const redirect = filters.flatMap(({ options }) => ((options as Json)?.actions ?? []) as Json[]);
    return { rate: root?.rate, burst: root?.burst, to: redirect.map(({ to_dev }) => to_dev) };
  };
  const ifbs = async () => (await on.node.ip("link show type ifb")) as unknown as SeenLink[];
  const nothing = { rate: undefined, burst: undefined, to: [] };
  const untouched = async () => {
    expect([await shaped("host0"), await ifbs()]).toEqual([nothing, []]);
    expect((await tc("qdisc", "host0")).map(({ kind }) => kind)).toEqual(["noqueue"]);
  };
  const refusal = (conf: object, more = {}) =>
    on.runtime.refusal({
      verb: "ADD",
      netns: on.netns,
      conf: { cniVersion: "1.1.0", prevResult: on.prevResult, ...conf },
      ...more,
    });

  test("without limits ADD passes on what came before, and touches nothing", async () => {
    for (const conf of [{}, { ingressRate: 0 }, { runtimeConfig: { bandwidth: { egressRate: 0 } } }]) {
      const result = await on.add(conf);
      expect(result.interfaces.map(({ name }) => name)).toEqual(["host0", "eth0"]);
      await on.check(conf, result);
    }
    await untouched();
  });

  test("ingress is a bucket on the node's end", async () => {
    const result = await on.add(ingress);
    expect(result.interfaces.map(({ name }) => name)).toEqual(["host0", "eth0"]);
    expect(await shaped("host0")).toEqual({ rate: megabit, burst: megabit / 8, to: [] });
    expect(await ifbs()).toEqual([]);
    await on.check(ingress, result);
  });

  test("egress goes through a link of its own", async () => {
    const result = await on.add(egress);
    const [ifb] = await ifbs();
    expect(result.interfaces.at(-1)).toEqual({ name: names[0], mac: ifb?.address });
    expect(ifb).toMatchObject({ ifname: names[0], mtu: 1500, ifalias: "cni:net:c0:eth0" });
    expect(ifb?.flags).toContain("UP");
    // iproute2 leaves a queue of no packets out.
    expect(ifb?.txqlen).toBeUndefined();
    expect(await shaped("host0")).toEqual({ ...nothing, to: [names[0]] });
    expect(await shaped(names[0] ?? "")).toEqual({ rate: 2 * megabit, burst: megabit / 4, to: [] });
    await on.check(egress, result);
  });

  test("DEL deletes the link, whatever the configuration says, with the netns and without; again it is done", async () => {
    await on.add(both);
    await on.del({ egressRate: "x" });
    expect(await ifbs()).toEqual([]);
    await on.del({});
    for (const netns of ["", "/run/netns/nobody"]) {
      await on.add(both);
      await on.del({}, { netns });
      expect(await ifbs()).toEqual([]);
    }
  });

  test("a second ADD replaces what the first one put there", async () => {
    await on.add(both);
    const result = await on.add({
      ...both,
      ingressRate: 16 * megabit,
      ingressBurst: 2 * megabit,
      egressRate: 8 * megabit,
    });
    expect(on.runtime.stderr()).toMatch(/left behind by an earlier ADD/);
    expect(await shaped("host0")).toEqual({ rate: 2 * megabit, burst: megabit / 4, to: [names[0]] });
    expect(await shaped(names[0] ?? "")).toMatchObject({ rate: megabit });
    expect(result.interfaces).toHaveLength(3);
    expect(await ifbs()).toHaveLength(1);
  });

  test("a link of the name that nobody uses is replaced; one that somebody does is not", async () => {
    const [one = "", two = ""] = names;
    await on.node.run("ip", "link", "add", one, "type", "ifb");
    await on.add(egress);
    expect((await ifbs()).map(({ ifname }) => ifname)).toEqual([one]);
    await on.del({});

    // As the Go plugin's, of the container's other attachment.
    await on.node.run("ip", "link", "add", "other", "type", "veth", "peer", "name", "far");
    await on.node.run("ip", "link", "add", one, "up", "type", "ifb");
    await on.node.run("tc", "qdisc", "add", "dev", "other", "handle", "ffff:", "ingress");
    const words =
      "filter add dev other parent ffff: prio 1 protocol all u32 match u32 0 0 action mirred egress redirect dev";
    await on.node.run("tc", ...words.split(" "), one);
    const result = await on.add(egress);
    expect(result.interfaces.at(-1)?.name).toBe(two);
    await on.check(egress, result);
    await on.del({});
    expect((await ifbs()).map(({ ifname }) => ifname)).toEqual([one]);
  });

  test("two attachments of one container have a link each", async () => {
    const [one = ""] = names;
    const label = on.netns.replace("/run/netns/", "");
    await on.node.run("ip", "link", "add", "host1", "type", "veth", "peer", "name", "net1", "netns", label);
    const prevResult = { ...on.prevResult, interfaces: [{ name: "host1" }, { name: "net1", sandbox: on.netns }] };
    const more = { ifName: "net1" };
    const [a, b] = [await on.add(egress), await on.add({ ...egress, prevResult }, more)];
    const named = [a, b].map(({ interfaces }) => interfaces.at(-1)?.name);
    expect(named).toEqual([one, `bwp${on.node.host().sha512("netc0net1").slice(0, 12)}`]);
    await on.check(egress, a);
    await on.check(egress, b, more);
    await on.del({}, more);
    await on.check(egress, a);
    expect((await ifbs()).map(({ ifname }) => ifname)).toEqual([one]);
    await on.del({}, more);
    await on.check(egress, a);
    await on.del({});
    expect(await ifbs()).toEqual([]);
  });

  test("a burst is capped where that is asked for, a latency is as configured", async () => {
    const conf = { ...both, ingressBurst: 2 ** 31 - 1, egressBurst: 2 ** 31 - 1, capBurst: true, latency: 100 };
    const result = await on.add(conf);
    expect((await shaped("host0")).burst).toBe(megabit / 8);
    const [root] = await tc("qdisc", names[0] ?? "");
    // tc tells microseconds, and what is lost in its divisions.
    expect(Number((root?.options as Json).lat)).toBeCloseTo(100_000, -2);
    await on.check(conf, result);
  });

  describe("ADD leaves nothing where", () => {
    test("nothing came before it", async () => {
      expect((await refusal({ ...both, prevResult: null })).message).toBe("must be called as chained plugin");
      expect((await refusal({ prevResult: null })).message).toBe("must be called as chained plugin");
      await untouched();
    });

    test("there is no pair", async () => {
      await on.inPod("ip", "link", "add", "br0", "type", "bridge");
      for (const ifName of ["br0", "eth7"])
        expect((await refusal(both, { ifName })).message).toBe(`container interface ${ifName} has no veth peer`);
      await untouched();
    });

    test("the other end is elsewhere, or nobody spoke of it", async () => {
      const [, eth0] = on.prevResult.interfaces as object[];
      const unsaid = { ...on.prevResult, interfaces: [eth0] };
      expect((await refusal({ ...both, prevResult: unsaid })).message).toBe(
        "no veth peer of container interface found in host ns",
      );
      const other = await on.node.container("other");
      await on.node.run("ip", "link", "set", "host0", "netns", other.replace("/run/netns/", ""));
      expect((await refusal(both)).message).toMatch(/^veth peer with index \d+ is not in host ns$/);
    });

    test("the node's end is shaped by somebody else", async () => {
      await on.node.run("tc", "qdisc", "add", "dev", "host0", "root", "handle", "7:", "pfifo");
      expect((await refusal(both)).message).toBe('create qdisc: file exists: the root of "host0" is somebody else\'s');
      expect((await tc("qdisc", "host0")).map(({ kind }) => kind)).toEqual(["pfifo"]);
      await on.node.run("tc", "qdisc", "del", "dev", "host0", "root");
      await on.node.run("tc", "qdisc", "add", "dev", "host0", "clsact");
      const { message } = await refusal(both);
      expect(message).toBe('create qdisc: file exists: the ingress of "host0" is somebody else\'s');
      expect((await tc("qdisc", "host0")).map(({ kind }) => kind)).toEqual(["noqueue", "clsact"]);
      await on.node.run("tc", "qdisc", "del", "dev", "host0", "clsact");
      await on.node.run("tc", "qdisc", "add", "dev", "host0", "ingress");
      const words =
        "filter add dev host0 parent ffff: prio 9 protocol ip u32 match u32 0 0 action mirred egress redirect dev lo";
      await on.node.run("tc", ...words.split(" "));
      expect((await refusal(both)).message).toContain("file exists");
      expect(await shaped("host0")).toEqual({ ...nothing, to: ["lo"] });
      expect(await ifbs()).toEqual([]);
    });

    test("every name is taken by somebody else", async () => {
      for (const name of names) await on.node.run("ip", "link", "add", name, "type", "bridge");
      expect((await refusal(both)).message).toBe("adding link: file exists");
      expect([await shaped("host0"), await ifbs()]).toEqual([nothing, []]);
    });
  });

  test("CHECK names each damage, and every one of several", async () => {
    const result = await on.add(both);
    const [ifb = ""] = names;
    const check = async () =>
      (await on.runtime.refusal({ verb: "CHECK", netns: on.netns, conf: checked(both, result) })).message;
    const run = async (...commands: string[]) => {
      for (const each of commands) await on.node.run("sh", "-c", each);
    };
    const bucket = (dev: string, rate: string, burst: string, limit: number) =>
      `tc qdisc replace dev ${dev} root handle 1: tbf rate ${rate} burst ${burst} limit ${limit}`;
    const [hostLimit, ifbLimit] = [125_000 + 25_000, 250_000 + 50_000];
    const redirect = `tc filter add dev host0 parent ffff: prio 1 protocol all u32 match u32 0 0 flowid 1:1 action mirred egress redirect dev ${ifb}`;
    const damages: [damage: string, repair: string[], says: string | RegExp][] = [
      [
        bucket("host0", "4mbit", "62500", hostLimit),
        [bucket("host0", "8mbit", "125000", hostLimit)],
        "Rate doesn't match: host0 has 500000 bytes a second, configured 1000000",
      ],
      [
        bucket("host0", "8mbit", "125000", 9_999_999),
        [bucket("host0", "8mbit", "125000", hostLimit)],
        "Limit doesn't match: host0 has 9999999 bytes, configured 150000",
      ],
      [
        bucket("host0", "8mbit", "99000", hostLimit),
        [bucket("host0", "8mbit", "125000", hostLimit)],
        /^Buffer doesn't match: host0 has \d+ ticks, configured 1953125$/,
      ],
      [
        "tc qdisc del dev host0 root",
        [bucket("host0", "8mbit", "125000", hostLimit)],
        "Failed to find qdisc: the root of host0 is no tbf",
      ],
      [
        `tc qdisc del dev ${ifb} root; tc qdisc add dev ${ifb} root handle 1: pfifo`,
        [`tc qdisc del dev ${ifb} root`, bucket(ifb, "16mbit", "250000", ifbLimit)],
        `Failed to find qdisc: the root of ${ifb} is no tbf`,
      ],
      [
        bucket(ifb, "8mbit", "125000", ifbLimit),
        [bucket(ifb, "16mbit", "250000", ifbLimit)],
        `Rate doesn't match: ${ifb} has 1000000 bytes a second, configured 2000000`,
      ],
      [`ip link set ${ifb} down`, [`ip link set ${ifb} up`], `ifb device ${ifb} is down`],
      [
        "tc filter del dev host0 parent ffff: prio 1 protocol all",
        [redirect],
        `Failed to find filter: what host0 receives is not redirected to ${ifb}`,
      ],
      [
        "tc qdisc del dev host0 ingress",
        ["tc qdisc add dev host0 handle ffff: ingress", redirect],
        `Failed to find filter: what host0 receives is not redirected to ${ifb}`,
      ],
      [
        redirect.replace(" add ", " replace ").replace(ifb, "lo"),
        ["tc filter del dev host0 parent ffff: prio 1 protocol all", redirect],
        `Failed to find filter: what host0 receives is not redirected to ${ifb}`,
      ],
    ];
    await on.check(both, result);
    for (const [damage, repair, says] of damages) {
      if (damage.includes("filter replace")) await run("tc filter del dev host0 parent ffff: prio 1 protocol all");
      await run(damage);
      expect(await check(), damage).toEqual(typeof says === "string" ? says : expect.stringMatching(says));
      await run(...repair);
      await on.check(both, result);
    }
    await run("tc qdisc del dev host0 root", `ip link del ${ifb}`);
    expect(await check()).toBe(
      `Failed to find qdisc: the root of host0 is no tbf; get ifb device: neither ${names.join(" nor ")} is this attachment's`,
    );
    await run("ip link del host0");
    expect(await check()).toBe("container interface eth0 has no veth peer");
    const { message } = await on.runtime.refusal({ verb: "CHECK", netns: on.netns, conf: both });
    expect(message).toBe("must be called as a chained plugin");
  });

  test("GC deletes this network's links of no valid attachment, and nothing else", async () => {
    const { node } = on;
    const attach = async (containerId: string, name: string) => {
      const [host, pod] = [`h${containerId}`, `p${containerId}`];
      const label = on.netns.replace("/run/netns/", "");
      await node.run("ip", "link", "add", host, "type", "veth", "peer", "name", pod, "netns", label);
      const prevResult = { ...on.prevResult, interfaces: [{ name: host }, { name: pod, sandbox: on.netns }] };
      const result = await on.add({ ...egress, name, prevResult }, { containerId, ifName: pod });
      return String(result.interfaces.at(-1)?.name);
    };
    const made = {
      stale: await attach("c1", "net"),
      valid: await attach("c2", "net"),
      other: await attach("c3", "other"),
      longer: await attach("c4", "net2"),
    };
    // Go's, which does not say whose it is, up at once; somebody's who has chosen such a name.
    await node.run("ip", "link", "add", "bwp0123456789ab", "up", "type", "ifb");
    await node.run("ip", "link", "add", "bwpba9876543210", "type", "bridge");
    // What an ADD of ours was killed over, of this network and of another.
    const { sha512 } = node.host();
    for (const [name, network] of [
      ["bwp000000000001", "net"],
      ["bwp000000000002", "other"],
    ] as const) {
      const hash = sha512(network);
      const byte = ((Number.parseInt(hash.slice(0, 2), 16) & 0xfc) | 2).toString(16).padStart(2, "0");
      const mac = `${byte}:${hash.slice(2, 4)}:${hash.slice(4, 6)}:${hash.slice(6, 8)}:00:01`;
      await node.run("ip", "link", "add", name, "address", mac, "type", "ifb");
    }
    const valid = [{ containerID: "c2", ifname: "pc2" }];
    await on.runtime.call({ verb: "GC", conf: { cniVersion: "1.1.0", "cni.dev/valid-attachments": valid } });
    const left = (await ifbs()).map(({ ifname }) => ifname).sort();
    expect(left).toEqual([made.valid, made.other, made.longer, "bwp0123456789ab", "bwp000000000002"].sort());
    expect(on.runtime.stderr()).toContain(`deleting ${made.stale} (cni:net:c1:pc1)`);
  });

  test("STATUS is content with a kernel that can shape", async () => {
    await on.runtime.call({ verb: "STATUS", conf: { cniVersion: "1.1.0", ...both } });
    const { code } = await on.runtime.refusal({ verb: "STATUS", conf: { cniVersion: "1.1.0", ingressRate: 1 } });
    expect(code).toBe(7);
  });

  describe("a stream", () => {
    const bytes = 1_000_000;
    const listen = `
      let ready;
      const server = require("net").createServer((socket) => {
        let [count, start] = [0, performance.now()];
        const since = (then) => performance.now() - then;
        socket.on("data", (data) => { count += data.length; });
        socket.on("end", () => { console.log(count, since(ready), since(start)); process.exit(); });
      }).listen(7777, "0.0.0.0", () => { ready = performance.now(); console.log("ready"); });`;
    const send = `require("net").connect(7777, process.argv[1]).end(Buffer.alloc(${bytes}));`;

    /**
     * Milliseconds that so many bytes take, to the container or from it: no more than since somebody listened, no less than since
     * he heard of the connection, which a busy machine tells late.
     */
    async function timeOf(direction: "in" | "out"): Promise<{ most: number; least: number }> {
      const inPod = ["ip", "netns", "exec", on.netns.replace("/run/netns/", "")];
      const [receiver, sender, to] = direction === "in" ? [inPod, [], address.pod] : [[], inPod, address.node];
      const start = (where: readonly string[], script: string, ...args: string[]) => {
        const [command = "", ...rest] = [...where, process.execPath, "-e", script, ...args];
        return execa(command, rest);
      };
      const receiving = start(receiver, listen);
      await new Promise<void>((resolve) => receiving.stdout.once("data", () => resolve()));
      await start(sender, send, to);
      const [, count, most, least] = /^ready\n(\d+) ([\d.]+) ([\d.]+)$/.exec((await receiving).stdout) ?? [];
      expect(Number(count)).toBe(bytes);
      return { most: Number(most), least: Number(least) };
    }

    test.each([
      // 50,000 bytes at once, the rest at 250,000 bytes a second: 3.8 seconds.
      ["in", { ingressRate: 2 * megabit, ingressBurst: 400_000 }],
      ["out", { egressRate: 2 * megabit, egressBurst: 400_000 }],
    ] as const)("that goes %s is as slow as it should be, the other way as fast as ever", async (direction, conf) => {
      const other = direction === "in" ? "out" : "in";
      await on.add(conf);
      const [slow, fast] = [await timeOf(direction), await timeOf(other)];
      expect(slow.most).toBeGreaterThan(3_000);
      expect(slow.least).toBeLessThan(11_000);
      // Shaped it would take longer; as it is, a few hundredths of a second.
      expect(fast.least).toBeLessThan(3_000);
    });
  });
});
