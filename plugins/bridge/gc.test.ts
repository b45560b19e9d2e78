// GC over the real kernel: links that an ADD of ours made or began, for no attachment that is valid, go; no other does.
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { describeWith } from "../../testing/needs.ts";
import { CniError } from "../../lib/cni/error.ts";
import { sys } from "../../lib/host/node.ts";

const RTM_NEWLINK = 16; // linux/rtnetlink.h

let on: BridgeNode;
let pod: string;
beforeEach(async () => {
  on = await makeBridgeNode();
  pod = await on.node.container("a");
});
afterEach(() => on.close());

const nameOf = (path: string) => path.slice("/run/netns/".length);
const valid = (...ids: string[]) => ({
  ...layer3,
  cniVersion: "1.1.0",
  "cni.dev/valid-attachments": ids.map((containerID) => ({ containerID, ifname: "eth0" })),
});
const gc = (conf: object) => on.runtime.call({ verb: "GC", conf });
/** A port as a killed ADD leaves it, but for what `more` says. */
const leftover = (name: string, mac = "fe:00:00:00:00:01", ...more: string[]) =>
  on.node.run(
    "ip",
    "link",
    "add",
    name,
    "address",
    mac,
    ...(more.length > 0 ? more : ["master", "cni0"]),
    "type",
    "veth",
    "peer",
    "name",
    `p${name.slice(-8)}`,
    "netns",
    nameOf(pod),
  );

/** `count` attachments c0, c1, ... of one network in one netns; their ports. */
async function attach(count: number, more: object = {}): Promise<string[]> {
  const ports: string[] = [];
  for (let at = 0; at < count; at++) {
    const { interfaces } = await on.add({
      netns: await on.node.container(`${JSON.stringify(more).length}-${at}`),
      containerId: `c${at}`,
      ips: [`10.1.0.${at + 5}/24 10.1.0.1`],
      conf: { ...layer3, ...more },
    });
    ports.push(interfaces[1]?.name ?? "");
  }
  return ports;
}

describeWith(["cell", "ip", "ping"], "bridge GC", () => {
  test("a port says in its alias whose it is", async () => {
    const [port = ""] = await attach(1);
    expect((await on.link(port))?.ifalias).toBe("cni:net:c0:eth0");
  });

  test("an alias that is too long is cut, and ADD works", async () => {
    const containerId = "c".repeat(300);
    const { interfaces } = await on.add({ netns: pod, containerId });
    const { ifalias = "" } = (await on.link(interfaces[1]?.name ?? "")) ?? {};
    expect(`cni:net:${containerId}:eth0`.startsWith(ifalias)).toBe(true);
    expect(ifalias.length).toBeGreaterThan(200);
    await gc(valid());
    expect(await on.veths()).toEqual([]);
  });

  test("deletes what no valid attachment holds, and only then asks IPAM", async () => {
    const [a = "", , c = ""] = await attach(3);
    let seen: unknown;
    on.ipam.during = () => {
      seen = on.runtime.stderr();
    };
    await gc(valid("c0", "c2", "other"));
    expect((await on.veths()).sort()).toEqual([a, c].sort());
    expect(seen).toContain("(cni:net:c1:eth0)");
    expect(on.ipam.asked.at(-1)).toBe("GC");
  });

  test("nothing is valid: all go, together", async () => {
    await attach(5);
    await gc(valid());
    expect(await on.veths()).toEqual([]);
    expect((await on.link("cni0"))?.flags).toContain("UP");
  });

  test("the same container by another interface is another attachment", async () => {
    const [port = ""] = await attach(1);
    await gc({ ...valid(), "cni.dev/valid-attachments": [{ containerID: "c0", ifname: "eth1" }] });
    expect(await on.link(port)).toBeUndefined();
  });

  test("a configuration that says nothing of who is valid removes nothing", async () => {
    const [port = ""] = await attach(1);
    await gc({ ...layer3, cniVersion: "1.1.0" });
    expect(await on.link(port)).toBeDefined();
    expect(on.ipam.asked).toEqual(["ADD"]);
  });

  test("ports of other networks stay, also of one whose name goes on where ours ends", async () => {
    const ports = [...(await attach(1, { name: "net2" })), ...(await attach(1, { name: "net-b" }))];
    await gc(valid());
    expect((await on.veths()).sort()).toEqual(ports.sort());
  });

  test("foreign links stay: Go's, an operator's, one with our mark and another kind of name", async () => {
    await attach(1);
    await leftover("veth00000001", "02:00:00:00:00:01");
    await on.node.run("ip", "link", "set", "veth00000001", "up"); // as Go's plugin leaves its ports
    await leftover("veth00000002", "fe:00:00:00:00:02");
    await on.node.run("ip", "link", "set", "veth00000002", "alias", "do not touch");
    await leftover("vethernet", "fe:00:00:00:00:03");
    await on.node.run("ip", "link", "set", "vethernet", "alias", "cni:net:c7:eth0");
    await on.node.run("ip", "link", "add", "veth00000004", "type", "veth", "peer", "name", "veth00000005");
    await on.node.run("ip", "link", "set", "veth00000004", "alias", "cni:net:c7:eth0");
    await gc(valid());
    expect((await on.veths()).sort()).toEqual([
      "veth00000001",
      "veth00000002",
      "veth00000004",
      "veth00000005",
      "vethernet",
    ]);
  });

  test("what a killed ADD left half made goes; what only looks like it does not", async () => {
    await attach(1);
    await on.node.run("ip", "link", "add", "other0", "type", "bridge");
    await leftover("veth000000a1");
    await leftover("veth000000a2", "02:00:00:00:00:02");
    await leftover("veth000000a3", "fe:00:00:00:00:03", "master", "other0");
    await leftover("veth000000a4", "fe:00:00:00:00:04", "txqueuelen", "0");
    const before = await on.veths();
    await gc(valid("c0"));
    expect(await on.veths()).toEqual(before.filter((name) => name !== "veth000000a1"));
  });

  test("twice, and on a node that has nothing", async () => {
    await gc(valid());
    await attach(1);
    await gc(valid());
    await gc(valid());
    expect(on.ipam.asked).toEqual(["GC", "ADD", "GC", "GC"]);
  });

  test("IPAM's refusal is reported, the links are gone all the same", async () => {
    await attach(2);
    on.ipam.refusal = new CniError({ code: 5 }, "the store cannot be read");
    const error = await on.runtime.refusal({ verb: "GC", conf: valid() });
    expect(error).toMatchObject({ code: 5, message: "the store cannot be read" });
    expect(await on.veths()).toEqual([]);
  });

  test("a link that is gone hides no other refusal, and the rest of them goes", async () => {
    const [a = "", b = "", c = ""] = await attach(3);
    const ifIndex = async (name: string) => (await on.link(name))?.ifindex ?? 0;
    // ENODEV for what looks like a link that went away meanwhile; the same for a negative number, but EINVAL.
    const other = new Map([
      [await ifIndex(a), 0x7fffffff],
      [await ifIndex(b), -1],
    ]);
    const send: typeof sys.send = (fd, data) => {
      const view = new DataView(data.buffer, data.byteOffset, data.length);
      for (let at = 0; at + 24 <= data.length; at += (view.getUint32(at, true) + 3) & ~3) {
        const index =
          view.getUint16(at + 4, true) === RTM_NEWLINK ? other.get(view.getInt32(at + 20, true)) : undefined;
        if (index !== undefined) view.setInt32(at + 20, index, true);
      }
      sys.send(fd, data);
    };
    const error = await on.runtime.refusal({ verb: "GC", conf: valid(), over: { send } });
    expect(error.message).toMatch(/^link set #\d+ group \d+: invalid argument/);
    expect((await on.veths()).sort()).toEqual([a, b].sort());
    expect(await on.link(c)).toBeUndefined();
    await gc(valid());
    expect(await on.veths()).toEqual([]);
  });

  test("the kernel's refusal and IPAM's are both reported", async () => {
    await attach(1);
    on.ipam.refusal = new CniError({ code: 5 }, "the store cannot be read");
    const send = () => {
      throw Object.assign(new Error("send: no buffer space available"), { errno: 105, syscall: "send" });
    };
    const error = await on.runtime.refusal({ verb: "GC", conf: valid(), over: { send } });
    // Of the links and of the rules.
    const refused = "send: no buffer space available";
    expect(error.message).toBe(`${refused}; ${refused}; the store cannot be read`);
    expect(on.ipam.asked.at(-1)).toBe("GC");
  });
});
