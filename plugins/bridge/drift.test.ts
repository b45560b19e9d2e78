// What changes under a bridge that stays: the network's subnet, and its MTU. Over the real kernel.
import { spawnSync } from "node:child_process";
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { describeWith } from "../../testing/needs.ts";
import { answer } from "../../testing/runtime.ts";
import { sys } from "../../lib/host/node.ts";
import type { CniError } from "../../lib/cni/error.ts";

// linux/netlink.h
const NLM_F_MULTI = 0x2;
const NLM_F_DUMP_INTR = 0x10;

let on: BridgeNode;
let pod: string;
beforeEach(async () => {
  on = await makeBridgeNode();
  pod = await on.node.container("a");
});
afterEach(() => on.close());

/** As flannel writes it, for a node with this subnet. */
const inSubnet = (...subnets: string[]) => ({
  ...layer3,
  ipam: { type: "test-ipam", ranges: subnets.map((subnet) => [{ subnet }]) },
});
const [old, now] = [inSubnet("10.244.1.0/24"), inSubnet("10.244.7.0/24")];
const oldIps = ["10.244.1.5/24 10.244.1.1"];
const nowIps = ["10.244.7.5/24 10.244.7.1"];
const alias = async (): Promise<string | undefined> => (await on.link("cni0"))?.ifalias;

async function refused(conf: object, ips: readonly string[], netns: string, containerId = "c9"): Promise<CniError> {
  on.ipam.next = answer(ips);
  return on.runtime.refusal({ verb: "ADD", conf, netns, containerId });
}

/** Every list changes while it is read, for ever: NLM_F_DUMP_INTR in whatever is part of one. */
const restless: typeof sys.recv = (...args) => {
  const bytes = sys.recv(...args);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at + 16 <= bytes.length; at += (view.getUint32(at, true) + 3) & ~3) {
    const flags = view.getUint16(at + 6, true);
    if ((flags & NLM_F_MULTI) !== 0) view.setUint16(at + 6, flags | NLM_F_DUMP_INTR, true);
  }
  return bytes;
};

describeWith(["cell", "ip", "ping"], "lists that never hold still", () => {
  const changed = /link list, which changed 5 times while it was read/;

  test("say nothing of who uses an old gateway: it stays, and the ADD is to come again", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    on.ipam.next = answer(nowIps);
    const call = { verb: "ADD", conf: now, netns: pod };
    const error = await on.runtime.refusal({ ...call, over: { recv: restless } });
    expect(error).toMatchObject({ code: 11, message: expect.stringMatching(changed) });
    expect(await on.addrs("cni0")).toEqual(["10.244.1.1/24"]);
    expect(await on.veths()).toEqual([]);
    await on.runtime.call(call);
    expect(await on.addrs("cni0")).toEqual(["10.244.7.1/24"]);
  });

  test("say nothing of which ports carry a larger MTU", async () => {
    await on.add({ netns: pod, conf: { ...layer3, mtu: 1400 } });
    await on.node.run("ip", "link", "set", "cni0", "mtu", "1400");
    const call = {
      verb: "ADD",
      conf: { ...layer3, mtu: 1450 },
      netns: await on.node.container("b"),
      containerId: "c1",
    };
    const error = await on.runtime.refusal({ ...call, over: { recv: restless } });
    expect(error).toMatchObject({ code: 11, message: expect.stringMatching(changed) });
    expect((await on.link("cni0"))?.mtu).toBe(1400);
  });

  test("an ADD that finds all in place needs none of them", async () => {
    await on.add({ netns: pod });
    on.ipam.next = answer(["10.1.0.6/24 10.1.0.1"]);
    const netns = await on.node.container("b");
    await on.runtime.call({ verb: "ADD", conf: layer3, netns, containerId: "c1", over: { recv: restless } });
    expect(await on.addrs("eth0", netns)).toEqual(["10.1.0.6/24"]);
  });
});

describeWith(["cell", "ip", "ping"], "the subnet of a network changes", () => {
  test("a bridge without containers is re-addressed", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    expect(await alias()).toBe("cni-gateways:net=10.244.1.1/24");
    await on.del({ netns: pod, conf: old });
    await on.add({ netns: pod, conf: now, ips: nowIps });
    expect(await on.addrs("cni0")).toEqual(["10.244.7.1/24"]);
    expect(await alias()).toBe("cni-gateways:net=10.244.7.1/24");
    expect(on.runtime.stderr()).toContain('replaced 10.244.1.1/24 of "cni0" by 10.244.7.1/24');
    expect(await on.node.ping("10.244.7.1", pod)).toBe(true);
  });

  test("IPv6 as IPv4", async () => {
    const [before, after] = [inSubnet("fd00:1::/64"), inSubnet("fd00:7::/64")];
    await on.add({ netns: pod, conf: before, ips: ["fd00:1::5/64 fd00:1::1"] });
    await on.del({ netns: pod, conf: before });
    await on.add({ netns: pod, conf: after, ips: ["fd00:7::5/64 fd00:7::1"] });
    expect(await on.addrs("cni0")).toEqual(["fd00:7::1/64"]);
    expect(await on.node.ping("fd00:7::1", pod)).toBe(true);
  });

  test("with a container of the old subnet it is refused, both subnets and the port named, and nothing changes", async () => {
    const { interfaces } = await on.add({ netns: pod, conf: old, ips: oldIps });
    const other = await on.node.container("b");
    const error = await refused(now, nowIps, other);
    expect(error.message).toBe(
      'failed to set bridge addr: "cni0" already has an IP address different from 10.244.7.1/24',
    );
    expect(error.details).toBe(
      "it has 10.244.1.1/24 of subnet 10.244.1.0/24, this ADD needs subnet 10.244.7.0/24; " +
        `ports of 10.244.1.0/24: ${interfaces[1]?.name}; ` +
        "delete the containers of 10.244.1.0/24 first: the next ADD then replaces the address",
    );
    expect(await on.addrs("cni0")).toEqual(["10.244.1.1/24"]);
    expect(await on.node.ping("10.244.1.1", pod)).toBe(true);
    expect(await on.veths()).toEqual([interfaces[1]?.name]);
    await on.del({ netns: pod, conf: old });
    await on.add({ netns: other, conf: now, ips: nowIps });
    expect(await on.addrs("cni0")).toEqual(["10.244.7.1/24"]);
  });

  test("forceAddress does not take the gateway of a running container either", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    const error = await refused({ ...now, forceAddress: true }, nowIps, await on.node.container("b"));
    expect(error.message).toContain("already has an IP address different from 10.244.7.1/24");
    expect(await on.node.ping("10.244.1.1", pod)).toBe(true);
  });

  test("a container that is being attached at the same time is in nobody's way", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    // Its port is there, and IPAM has not answered yet.
    const other = await on.node.container("b");
    await on.add({ netns: other, conf: { ...now, ipam: undefined, isGateway: false }, containerId: "c1" });
    await on.add({ netns: pod, conf: now, ips: nowIps });
    expect(await on.addrs("cni0")).toEqual(["10.244.7.1/24"]);
  });

  test("one that was given an old address at the last moment gets its gateway back", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    const other = await on.node.container("b");
    await on.add({ netns: other, conf: { ...now, ipam: undefined, isGateway: false }, containerId: "c1" });
    const send = (fd: number, data: Uint8Array) => {
      const isDelAddr = data[4] === 21; // RTM_DELADDR
      if (isDelAddr)
        spawnSync("ip", ["-n", other.slice("/run/netns/".length), "addr", "add", "10.244.1.9/24", "dev", "eth0"]);
      sys.send(fd, data);
    };
    await on.add({ netns: pod, conf: now, ips: nowIps, over: { send } });
    expect(await on.addrs("cni0")).toEqual(["10.244.7.1/24", "10.244.1.1/24"]);
    expect(await on.node.ping("10.244.1.1", other)).toBe(true);
  });

  test("the kernel does not tell of what is behind a port: it may be of the old subnet", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    await on.node.run("ip", "tuntap", "add", "tap0", "mode", "tap");
    await on.node.run("ip", "link", "set", "tap0", "master", "cni0");
    const { details } = await refused(now, nowIps, pod);
    expect(details).toContain("ports of 10.244.1.0/24: tap0");
  });

  test("a subnet that grows has its gateway at the same place: in the way, and replaced", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    await on.add({ netns: pod, conf: inSubnet("10.244.0.0/16"), ips: ["10.244.1.5/16 10.244.1.1"] });
    expect(await on.addrs("cni0")).toEqual(["10.244.1.1/16"]);
  });

  test("the addresses of several ranges of one network stay beside each other", async () => {
    const both = inSubnet("10.244.1.0/24", "10.244.7.0/24");
    const other = await on.node.container("b");
    await on.add({ netns: pod, conf: both, ips: oldIps });
    await on.add({ netns: other, conf: both, ips: nowIps, containerId: "c1" });
    expect(await on.addrs("cni0")).toEqual(["10.244.1.1/24", "10.244.7.1/24"]);
    expect(await alias()).toBe("cni-gateways:net=10.244.1.1/24,net=10.244.7.1/24");
    for (const [netns, address] of [
      [pod, "10.244.1.1"],
      [other, "10.244.7.1"],
    ] as const)
      expect(await on.node.ping(address, netns)).toBe(true);
  });

  test("so do those of two networks on one bridge", async () => {
    const other = await on.node.container("b");
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    await on.add({ netns: other, conf: { ...now, name: "net2" }, ips: nowIps });
    expect(await on.addrs("cni0")).toEqual(["10.244.1.1/24", "10.244.7.1/24"]);
    expect(await alias()).toBe("cni-gateways:net=10.244.1.1/24,net2=10.244.7.1/24");
  });

  test("an address that nobody noted as a gateway is an operator's, and stays", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "addr", "add", "192.168.5.1/24", "dev", "cni0");
    await on.add({ netns: pod, conf: now, ips: nowIps });
    expect(await on.addrs("cni0")).toEqual(["192.168.5.1/24", "10.244.7.1/24"]);
  });

  test("the gateway that a Go plugin left is noted when ours meets it, then followed like our own", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "addr", "add", "10.244.1.1/24", "dev", "cni0");
    await on.add({ netns: pod, conf: old, ips: oldIps });
    expect(await alias()).toBe("cni-gateways:net=10.244.1.1/24");
    await on.del({ netns: pod, conf: old });
    await on.add({ netns: pod, conf: now, ips: nowIps });
    expect(await on.addrs("cni0")).toEqual(["10.244.7.1/24"]);
  });

  test("a bridge that another tool made keeps the MAC it had before our ports joined, though ADDs meet on it", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "link", "set", "cni0", "up");
    const mac = (await on.link("cni0"))?.address;
    // An ADD of another range has its port on the bridge, which has taken on that port's MAC, and then is done first.
    const other = await on.node.container("b");
    await on.add({ netns: other, conf: { ...now, ipam: undefined, isGateway: false }, containerId: "c1" });
    expect((await on.link("cni0"))?.address).toMatch(/^fe:/);
    on.ipam.during = () => spawnSync("ip", ["link", "set", "cni0", "address", mac ?? ""]);
    await on.add({ netns: pod, conf: now, ips: nowIps });
    expect((await on.link("cni0"))?.address).toBe(mac);
  });

  test("an operator's alias stays, and then nothing is replaced", async () => {
    await on.node.run("ip", "link", "add", "cni0", "alias", "mine", "type", "bridge");
    await on.node.run("ip", "link", "set", "cni0", "alias", "mine");
    await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.del({ netns: pod, conf: old });
    await on.add({ netns: pod, conf: now, ips: nowIps });
    expect(await alias()).toBe("mine");
    expect(await on.addrs("cni0")).toEqual(["10.244.1.1/24", "10.244.7.1/24"]);
  });

  test("DEL and CHECK of a container of the old subnet are as before", async () => {
    const result = await on.add({ netns: pod, conf: old, ips: oldIps });
    await on.check(result, { netns: pod, conf: { ...now, cniVersion: "1.1.0" } });
    await on.del({ netns: pod, conf: now });
    expect(await on.veths()).toEqual([]);
  });

  test("where all is in place, no lock is taken", async () => {
    await on.add({ netns: pod, conf: old, ips: oldIps });
    const other = await on.node.container("b");
    const opened: string[] = [];
    const open = (path: string, flags: number, mode: number) => {
      opened.push(path);
      return sys.open(path, flags, mode);
    };
    await on.add({ netns: other, conf: old, ips: ["10.244.1.6/24 10.244.1.1"], containerId: "c1", over: { open } });
    expect(opened.filter((path) => path.startsWith("/run/cni"))).toEqual([]);
  });
});

describeWith(["cell", "ip"], "the MTU of a network is raised", () => {
  const mtu = (value: number) => ({ ...layer3, mtu: value });
  const bridgeMtu = async () => (await on.link("cni0"))?.mtu;

  test("a bridge that nobody set one for follows when its last smaller port is gone", async () => {
    const other = await on.node.container("b");
    await on.add({ netns: pod, conf: mtu(1400) });
    await on.add({ netns: other, conf: mtu(1450), containerId: "c1", ips: ["10.1.0.6/24 10.1.0.1"] });
    expect(await bridgeMtu()).toBe(1400);
    expect(on.runtime.stderr()).toMatch(
      /"cni0" has MTU 1400, configured 1450: .* smaller ports anew: veth[\da-f]{8}$/m,
    );
    await on.del({ netns: pod });
    expect(await bridgeMtu()).toBe(1450);
  });

  test("one that somebody set is raised, as far as every port goes", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "link", "set", "cni0", "mtu", "1300");
    const other = await on.node.container("b");
    await on.add({ netns: pod, conf: mtu(1400) });
    expect(await bridgeMtu()).toBe(1400);
    await on.add({ netns: other, conf: mtu(1450), containerId: "c1", ips: ["10.1.0.6/24 10.1.0.1"] });
    expect(await bridgeMtu()).toBe(1400);
    await on.del({ netns: pod });
    await on.add({ netns: pod, conf: mtu(1450) });
    expect(await bridgeMtu()).toBe(1450);
  });

  test("a larger one is left alone", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.node.run("ip", "link", "set", "cni0", "mtu", "9000");
    await on.add({ netns: pod, conf: mtu(1400) });
    expect(await bridgeMtu()).toBe(9000);
  });
});
