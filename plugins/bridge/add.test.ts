// ADD over the real kernel, judged by iproute2, /proc/sys and ping.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer2, layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { describeWith } from "../../testing/needs.ts";
import { answer, ip, prefix } from "../../testing/runtime.ts";
import { CniError } from "../../lib/cni/error.ts";
import { formatPrefix } from "../../lib/ip/prefix.ts";

const dual = { ...layer3, isDefaultGateway: true };
const dualIps = ["10.1.0.5/24 10.1.0.1", "fd00:1::5/64 fd00:1::1"];

/** The names the node's end of an attachment may have: contract of this suite, worked out by other means. */
const namesOf = (attachment: string): string[] =>
  (createHash("sha512").update(attachment).digest("hex").match(/.{8}/g) ?? []).map((digits) => `veth${digits}`);
const [first = "", second = ""] = namesOf("net/c0/eth0");

let on: BridgeNode;
let pod: string;
beforeEach(async () => {
  on = await makeBridgeNode();
  pod = await on.node.container("a");
});
afterEach(() => on.close());

/** The port as `bridge -d` tells it. */
async function port(name: string): Promise<Record<string, unknown>> {
  const ports = JSON.parse(await on.node.run("bridge", "-j", "-d", "link")) as Record<string, unknown>[];
  return ports.find(({ ifname }) => ifname === name) ?? {};
}

describeWith(["cell", "ip", "ping"], "bridge ADD: links", () => {
  test("makes the bridge, the pair and both ends' settings; the result names them", async () => {
    const result = await on.add({ netns: pod });
    const bridge = await on.link("cni0");
    const inPod = await on.link("eth0", pod);
    const onNode = await on.link(first);
    expect(bridge?.linkinfo?.info_kind).toBe("bridge");
    expect(bridge?.flags).toContain("UP");
    expect(onNode).toMatchObject({ master: "cni0", operstate: "UP" });
    // iproute2 leaves out a queue that holds nothing.
    expect(onNode).not.toHaveProperty("txqlen");
    expect(onNode?.address).toMatch(/^fe:/);
    expect(inPod).toMatchObject({ operstate: "UP", mtu: 1500, txqlen: 1000 });
    expect(result.interfaces).toEqual([
      { name: "cni0", mac: bridge?.address },
      { name: first, mac: onNode?.address },
      { name: "eth0", mac: inPod?.address, sandbox: pod },
    ]);
    expect(await port(first)).toMatchObject({ hairpin: false, isolated: false, state: "forwarding" });
    expect(await on.sysctl("net/ipv6/conf/cni0/accept_ra")).toBe("0");
    expect(await on.sysctl(`net/ipv6/conf/${first}/accept_ra`)).toBe("0");
  });

  test("the bridge keeps its MAC while ports come and go, with no gateway and no address", async () => {
    const other = await on.node.container("b");
    await on.add({ netns: pod, conf: layer2 });
    const before = (await on.link("cni0"))?.address;
    await on.add({ netns: other, conf: layer2, containerId: "c1" });
    await on.del({ netns: pod, conf: layer2 });
    await on.del({ netns: other, conf: layer2, containerId: "c1" });
    expect((await on.link("cni0"))?.address).toBe(before);
  });

  test("layer 2: up, without an address or a question to IPAM", async () => {
    const result = await on.add({ netns: pod, conf: layer2 });
    expect(result).toMatchObject({ ips: [], routes: [] });
    expect(await on.addrs("eth0", pod)).toEqual([]);
    expect((await on.link("eth0", pod))?.operstate).toBe("UP");
    expect(on.ipam.asked).toEqual([]);
  });

  test("disableContainerInterface: made, attached and left down", async () => {
    await on.add({ netns: pod, conf: { ...layer2, disableContainerInterface: true } });
    expect((await on.link("eth0", pod))?.flags).not.toContain("UP");
    expect((await on.link(first))?.master).toBe("cni0");
  });

  test("the MTU is that of the bridge and of both ends", async () => {
    const { interfaces } = await on.add({ netns: pod, conf: { ...layer3, mtu: 1450, cniVersion: "1.1.0" } });
    expect((await on.link("cni0"))?.mtu).toBe(1450);
    expect((await on.link(first))?.mtu).toBe(1450);
    expect((await on.link("eth0", pod))?.mtu).toBe(1450);
    expect(interfaces.map(({ mtu }) => mtu)).toEqual([1450, 1450, 1450]);
  });

  test.each([
    ["runtimeConfig", { runtimeConfig: { mac: "0a:58:0A:01:00:05" } }, ""],
    ["args.cni", { args: { cni: { mac: "0a-58-0a-01-00-05" } } }, ""],
    ["CNI_ARGS", {}, "IgnoreUnknown=1;MAC=0a58.0a01.0005;K8S_POD_NAME=x"],
  ])("a MAC asked for by %s is the container's", async (_, more, args) => {
    const { interfaces } = await on.add({ netns: pod, conf: { ...layer3, ...more }, args });
    expect((await on.link("eth0", pod))?.address).toBe("0a:58:0a:01:00:05");
    expect(interfaces[2]?.mac).toBe("0a:58:0a:01:00:05");
  });

  test("promiscMode sets the bridge's flag, on one that exists as well", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "link", "set", "cni0", "up");
    await on.add({ netns: pod, conf: { ...layer3, promiscMode: true } });
    expect((await on.link("cni0"))?.flags).toContain("PROMISC");
  });

  test("a bridge without MAC, as a killed Go ADD leaves it, gets one", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "link", "set", "cni0", "up");
    await on.node.run("ip", "link", "add", "port0", "type", "veth", "peer", "name", "port1");
    await on.node.run("ip", "link", "set", "port0", "master", "cni0");
    await on.node.run("ip", "link", "del", "port0");
    expect((await on.link("cni0"))?.address).toBe("00:00:00:00:00:00");
    await on.add({ netns: pod });
    expect((await on.link("cni0"))?.address).not.toBe("00:00:00:00:00:00");
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });

  test("a link of that name that is no bridge is left alone", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other");
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error.message).toBe('failed to create bridge "cni0": "cni0" already exists but is not a bridge');
    expect(error.code).toBe(7);
    expect((await on.link("cni0"))?.linkinfo?.info_kind).toBe("veth");
    expect(await on.veths()).toHaveLength(2);
  });
});

describeWith(["cell", "ip", "ping"], "bridge ADD: addresses and traffic", () => {
  test("dual stack: addresses, gateways, routes, forwarding; pings between containers and to the gateways", async () => {
    const other = await on.node.container("b");
    const result = await on.add({ netns: pod, conf: dual, ips: dualIps });
    await on.add({
      netns: other,
      conf: dual,
      containerId: "c1",
      ips: ["10.1.0.6/24 10.1.0.1", "fd00:1::6/64 fd00:1::1"],
    });
    expect(await on.addrs("eth0", pod)).toEqual(["10.1.0.5/24", "fd00:1::5/64"]);
    expect(await on.addrs("cni0")).toEqual(["10.1.0.1/24", "fd00:1::1/64"]);
    expect(result.routes.map(({ dst }) => formatPrefix(dst))).toEqual(["0.0.0.0/0", "::/0"]);
    expect(await on.routes(pod)).toContainEqual(
      expect.objectContaining({ dst: "default", gateway: "10.1.0.1", dev: "eth0", protocol: "boot" }),
    );
    expect(await on.routes(pod, 6)).toContainEqual(
      expect.objectContaining({ dst: "default", gateway: "fd00:1::1", dev: "eth0" }),
    );
    expect(await on.sysctl("net/ipv4/ip_forward")).toBe("1");
    expect(await on.sysctl("net/ipv6/conf/all/forwarding")).toBe("1");
    for (const address of ["10.1.0.6", "10.1.0.1", "fd00:1::6", "fd00:1::1"])
      expect([address, await on.node.ping(address, pod)]).toEqual([address, true]);
    expect(await on.node.ping("10.1.0.5")).toBe(true);
  });

  test("IPv6 addresses are usable at once, in the container and on the bridge", async () => {
    await on.add({ netns: pod, conf: dual, ips: ["fd00:1::5/64 fd00:1::1"] });
    for (const link of [await on.link("eth0", pod), await on.link("cni0")]) {
      const own = link?.addr_info.filter(({ scope }) => scope === "global") ?? [];
      expect(own).toHaveLength(1);
      expect(own[0]).not.toHaveProperty("tentative");
      expect(own[0]).toHaveProperty("nodad");
    }
    expect(await on.sysctl("net/ipv6/conf/eth0/accept_dad", pod)).toBe("0");
  });

  test("enabledad leaves duplicate address detection on, and ADD waits for it", async () => {
    await on.add({ netns: pod, conf: { ...dual, enabledad: true }, ips: ["fd00:1::5/64 fd00:1::1"] });
    const own = (await on.link("eth0", pod))?.addr_info.filter(({ scope }) => scope === "global") ?? [];
    expect(own).toHaveLength(1);
    expect(own[0]).not.toHaveProperty("tentative");
    expect(own[0]).not.toHaveProperty("nodad");
    expect(await on.sysctl("net/ipv6/conf/eth0/accept_dad", pod)).toBe("1");
    expect(await on.sysctl("net/ipv6/conf/eth0/enhanced_dad", pod)).toBe("1");
  });

  test("an IPv6 address that somebody has is refused where detection is on", async () => {
    const other = await on.node.container("b");
    const conf = { ...dual, enabledad: true };
    await on.add({ netns: other, conf, containerId: "c1", ips: ["fd00:1::5/64 fd00:1::1"] });
    on.ipam.next = answer(["fd00:1::5/64 fd00:1::1"]);
    const error = await on.runtime.refusal({ verb: "ADD", conf, netns: pod });
    expect(error.message).toContain(
      'failed to settle addresses for "eth0": link eth0 has address fd00:1::5 in DADFAILED state',
    );
    expect(await on.link("eth0", pod)).toBeUndefined();
  });

  test("a container with IPv6 from IPAM takes no other, keeps it, and has IPv6 even where it was off", async () => {
    await on.setSysctl("net/ipv6/conf/default/disable_ipv6", "1", pod);
    await on.add({ netns: pod, conf: dual, ips: dualIps });
    const settings = { disable_ipv6: "0", accept_ra: "0", autoconf: "0", keep_addr_on_down: "1", ndisc_notify: "1" };
    for (const [name, value] of Object.entries(settings))
      expect([name, await on.sysctl(`net/ipv6/conf/eth0/${name}`, pod)]).toEqual([name, value]);
    expect(await on.sysctl("net/ipv4/conf/eth0/arp_notify", pod)).toBe("1");
    expect(await on.addrs("eth0", pod)).toContain("fd00:1::5/64");
  });

  test("acceptRa leaves what a container takes from routers as the kernel has it, and CHECK looks at none of it", async () => {
    const conf = { ...dual, acceptRa: true };
    const result = await on.add({ netns: pod, conf, ips: dualIps });
    for (const name of ["accept_ra", "autoconf"]) {
      expect([name, await on.sysctl(`net/ipv6/conf/eth0/${name}`, pod)]).toEqual([name, "1"]);
      await on.setSysctl(`net/ipv6/conf/eth0/${name}`, "0", pod);
    }
    expect(await on.sysctl("net/ipv6/conf/eth0/ndisc_notify", pod)).toBe("1");
    await on.check(result, { netns: pod, conf });
  });

  test("neighbours hear at once of an address that has moved", async () => {
    const [old, peer] = [await on.node.container("b"), await on.node.container("c")];
    await on.add({ netns: peer, containerId: "peer", ips: ["10.1.0.9/24 10.1.0.1"] });
    await on.add({ netns: old, containerId: "old", ips: ["10.1.0.5/24 10.1.0.1"] });
    expect(await on.node.ping("10.1.0.5", peer)).toBe(true);
    const lladdr = async () => (await on.node.ip("neigh show to 10.1.0.5", peer)).map(({ lladdr }) => lladdr as string);
    expect(await lladdr()).toEqual([(await on.link("eth0", old))?.address]);
    await on.del({ netns: old, containerId: "old" });
    await on.add({ netns: pod });
    expect(await lladdr()).toEqual([(await on.link("eth0", pod))?.address]);
  });

  test("routes arrive with gateway, metrics, priority, table and scope", async () => {
    await on.add({
      netns: pod,
      routes: [
        "10.0.0.0/8",
        "192.0.2.0/24 via 10.1.0.9",
        { dst: prefix("198.51.100.0/24"), gw: ip("10.1.0.9"), mtu: 1400, advmss: 1360, priority: 7, table: 100 },
        { dst: prefix("203.0.113.0/24"), gw: ip("172.16.0.1") },
      ],
    });
    const routes = await on.routes(pod);
    const to = (dst: string) => routes.find((each) => each.dst === dst);
    expect(to("10.0.0.0/8")).toMatchObject({ gateway: "10.1.0.1", scope: "global" });
    expect(to("192.0.2.0/24")).toMatchObject({ gateway: "10.1.0.9" });
    expect(to("198.51.100.0/24")).toMatchObject({
      gateway: "10.1.0.9",
      metric: 7,
      table: "100",
      metrics: [{ mtu: 1400, advmss: 1360 }],
    });
    expect(to("203.0.113.0/24")).toMatchObject({ gateway: "172.16.0.1", flags: ["onlink"] });
  });

  test("isDefaultGateway adds nothing where IPAM has a default route, with a gateway or without", async () => {
    const result = await on.add({ netns: pod, conf: dual, routes: ["0.0.0.0/0"] });
    expect(result.routes).toHaveLength(1);
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
    const defaults = (await on.routes(pod)).filter(({ dst }) => dst === "default");
    expect(defaults).toEqual([expect.objectContaining({ gateway: "10.1.0.1" })]);
  });
});

describeWith(["cell", "ip", "ping"], "bridge ADD: what a port lets through", () => {
  /** Whether two macvlans in VEPA mode over the container's link, which only meet at the bridge, reach each other. */
  async function reflects(seconds?: number): Promise<boolean> {
    const inner = await on.node.container("inner");
    const shell = (text: string) =>
      on.node.run("ip", "netns", "exec", pod.slice("/run/netns/".length), "sh", "-ec", text);
    await shell(
      `ip link add mv0 link eth0 type macvlan mode vepa; ip addr add 10.7.0.1/24 dev mv0; ip link set mv0 up
       ip link add mv1 link eth0 type macvlan mode vepa; ip link set mv1 netns ${inner.slice("/run/netns/".length)}`,
    );
    await execa("ip", ["-n", inner.slice("/run/netns/".length), "addr", "add", "10.7.0.2/24", "dev", "mv1"]);
    await execa("ip", ["-n", inner.slice("/run/netns/".length), "link", "set", "mv1", "up"]);
    return on.node.ping("10.7.0.2", pod, seconds);
  }

  test("hairpinMode: a frame may leave by the port it came in by", async () => {
    await on.add({ netns: pod, conf: { ...layer3, hairpinMode: true } });
    expect(await port(first)).toMatchObject({ hairpin: true });
    expect(await reflects()).toBe(true);
  });

  test("without hairpinMode it may not", async () => {
    await on.add({ netns: pod });
    expect(await reflects(1)).toBe(false);
  });

  test("portIsolation: isolated ports reach the gateway and others, not each other", async () => {
    const [b, open] = [await on.node.container("b"), await on.node.container("open")];
    const isolated = { ...layer3, portIsolation: true };
    await on.add({ netns: pod, conf: isolated });
    await on.add({ netns: b, conf: isolated, containerId: "c1", ips: ["10.1.0.6/24 10.1.0.1"] });
    await on.add({ netns: open, containerId: "c2", ips: ["10.1.0.7/24 10.1.0.1"] });
    expect(await port(first)).toMatchObject({ isolated: true });
    expect(await on.node.ping("10.1.0.6", pod, 1)).toBe(false);
    expect(await on.node.ping("10.1.0.7", pod)).toBe(true);
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });
});

describeWith(["cell", "ip", "ping"], "bridge ADD: names and leftovers", () => {
  test("a link that is meant to be down is no leftover", async () => {
    const conf = { ...layer2, disableContainerInterface: true };
    await on.add({ netns: pod, conf });
    const before = (await on.link("eth0", pod))?.ifindex;
    const error = await on.runtime.refusal({ verb: "ADD", conf, netns: pod });
    expect(error.message).toContain("already exists");
    expect((await on.link("eth0", pod))?.ifindex).toBe(before);
    expect(before).toBeDefined();
  });

  const foreign = (name: string) => on.node.run("ip", "link", "add", name, "type", "veth", "peer", "name", "foreign");

  test("a foreign link with the derived name makes the pair take the next one", async () => {
    await foreign(first);
    const { interfaces } = await on.add({ netns: pod });
    expect(interfaces[1]?.name).toBe(second);
    expect((await on.link(second))?.master).toBe("cni0");
    expect((await on.link(first))?.master).toBeUndefined();
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });

  test("a link the container has already is an error, and stays", async () => {
    await on.node.run(
      "ip",
      "link",
      "add",
      "out",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      pod.slice("/run/netns/".length),
    );
    const before = (await on.link("eth0", pod))?.ifindex;
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error.message).toBe(`container veth name ("eth0") peer provided ("${first}") already exists`);
    expect((await on.link("eth0", pod))?.ifindex).toBe(before);
    expect(await on.link(first)).toBeUndefined();
  });

  test("one of the same ids in another netns that fails leaves IPAM's addresses to the first", async () => {
    await on.add({ netns: pod });
    const call = { verb: "ADD", conf: layer3, netns: await on.node.container("elsewhere") };
    on.ipam.next = new CniError("internal", "10.1.0.5 has been allocated to c0, duplicate allocation is not allowed");
    expect((await on.runtime.refusal(call)).message).toContain("duplicate allocation");
    // What IPAM did give goes with the first's, too.
    on.ipam.next = answer(["10.1.0.6/25 10.1.0.2"]);
    expect((await on.runtime.refusal(call)).message).toContain("already has an IP address different from 10.1.0.2/25");
    expect(on.ipam.asked).toEqual(["ADD", "ADD", "ADD"]);
    expect(await on.veths()).toEqual([first]);
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });

  test("nor does it where only the runtime's cache tells of the first, which Go's plugin made", async () => {
    const results = "/var/lib/cni/results";
    const elsewhere = await on.node.container("elsewhere");
    const call = { verb: "ADD", conf: layer3, netns: elsewhere };
    on.ipam.next = new CniError("internal", "10.1.0.5 has been allocated to c0, duplicate allocation is not allowed");
    const askedWith = async (netns: string) => {
      mkdirSync(results, { recursive: true });
      writeFileSync(`${results}/net-c0-eth0`, JSON.stringify({ kind: "cniCacheV1", netns }));
      on.ipam.asked.length = 0;
      expect((await on.runtime.refusal(call)).message).toContain("duplicate allocation");
      return on.ipam.asked.join(" ");
    };
    try {
      expect(await askedWith(pod)).toBe("ADD");
      // A netns that is gone, or this very one: what holds the addresses is left from an ADD that was never deleted.
      expect(await askedWith("/run/netns/gone")).toBe("ADD DEL");
      expect(await askedWith(elsewhere)).toBe("ADD DEL");
    } finally {
      rmSync(results, { recursive: true });
    }
  });

  test("an IPAM plugin that is not there is known before anything is made", async () => {
    const conf = { ...layer3, ipam: { type: "nobody" } };
    const error = await on.runtime.refusal({ verb: "ADD", conf, netns: pod });
    expect(error.message).toContain('failed to find plugin "nobody" in path');
    expect(await on.link("cni0")).toBeUndefined();
  });

  test("a second ADD of a running attachment is refused, and the first stays as it is", async () => {
    await on.add({ netns: pod });
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error.message).toContain("already exists");
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });

  test("the pair of an ADD that was killed before it was up is replaced", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run(
      "ip",
      "link",
      "add",
      first,
      "master",
      "cni0",
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      pod.slice("/run/netns/".length),
    );
    const before = (await on.link("eth0", pod))?.ifindex;
    await on.add({ netns: pod });
    expect(on.runtime.stderr()).toContain("left behind by an ADD that was ended before it was done");
    expect((await on.link("eth0", pod))?.ifindex).not.toBe(before);
    expect(await on.veths()).toEqual([first]);
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });

  test("a bridge that a killed ADD left down and bare is completed", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.add({ netns: pod });
    expect((await on.link("cni0"))?.flags).toContain("UP");
    expect(await on.node.ping("10.1.0.1", pod)).toBe(true);
  });
});

describeWith(["cell", "ip", "ping"], "bridge ADD: what fails is undone", () => {
  const nothing = async () => {
    expect(await on.link("eth0", pod)).toBeUndefined();
    expect(await on.veths()).toEqual([]);
  };

  test("IPAM's error comes through, its DEL is asked, no link stays", async () => {
    on.ipam.next = new CniError({ code: 11 }, "no address left");
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error).toMatchObject({ code: 11, message: expect.stringContaining("no address left") });
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
    await nothing();
  });

  test("the link is gone before IPAM may give the address to somebody else", async () => {
    const seen: unknown[] = [];
    on.ipam.during = (verb) => {
      if (verb === "DEL") seen.push(spawnSync("ip", ["link", "show", first]).status === 0);
    };
    on.ipam.next = answer([]);
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error.message).toBe("IPAM plugin returned missing IP config");
    expect(seen).toEqual([false]);
    await nothing();
  });

  test("an address the kernel will not have is undone", async () => {
    on.ipam.next = answer(["10.1.0.5/24 10.1.0.1", "10.1.0.5/24 10.1.0.1"]);
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error.message).toContain('failed to add IP addr 10.1.0.5/24 to "eth0"');
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
    await nothing();
  });

  test("a bridge address in the way is refused by name, and undone", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "addr", "add", "10.1.0.2/16", "dev", "cni0");
    on.ipam.next = answer(["10.1.0.5/24 10.1.0.1"]);
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: pod });
    expect(error.message).toContain('"cni0" already has an IP address different from 10.1.0.1/24');
    expect(error.details).toContain("10.1.0.2/16");
    expect(await on.addrs("cni0")).toEqual(["10.1.0.2/16"]);
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
    await nothing();
  });

  test("forceAddress replaces it", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "addr", "add", "10.1.0.2/16", "dev", "cni0");
    await on.add({ netns: pod, conf: { ...layer3, forceAddress: true } });
    expect(await on.addrs("cni0")).toEqual(["10.1.0.1/24"]);
  });

  test("a netns that is none is told, and nothing is made", async () => {
    const error = await on.runtime.refusal({ verb: "ADD", conf: layer3, netns: "/run/netns/no-such" });
    expect(error.message).toBe(
      'failed to open netns "/run/netns/no-such": failed to Statfs "/run/netns/no-such": no such file or directory',
    );
    expect(await on.link("cni0")).toBeUndefined();
  });

  test("layer 2 in a version without a place for it is refused before anything is made", async () => {
    const error = await on.runtime.refusal({ verb: "ADD", conf: { ...layer2, cniVersion: "0.2.0" }, netns: pod });
    expect(error).toMatchObject({ code: 1, message: "cannot convert: no valid IP addresses" });
    expect(await on.link("cni0")).toBeUndefined();
  });
});
