// DEL over the real kernel: whatever of an attachment is still there goes, whatever is gone is fine, and nothing else
// is touched.
import { spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, writeFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer2, layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { describeWith } from "../../testing/needs.ts";
import { CniError } from "../../lib/cni/error.ts";
import { systemError } from "../../lib/host/errno.ts";
import { sys } from "../../lib/host/node.ts";

let on: BridgeNode;
let pod: string;
beforeEach(async () => {
  on = await makeBridgeNode();
  pod = await on.node.container("a");
});
afterEach(() => on.close());

const nameOf = (path: string) => path.slice("/run/netns/".length);
const existsLink = (name: string, netns: string): boolean =>
  spawnSync("ip", ["-n", nameOf(netns), "link", "show", name]).status === 0;
const removeNetns = (path: string) => on.node.run("ip", "netns", "del", nameOf(path));
/** Until the kernel has taken a netns that went away, and the links in it, to pieces. */
async function settled(): Promise<void> {
  for (let tries = 0; (await on.veths()).length > 0 && tries < 200; tries++)
    await new Promise((resolve) => setTimeout(resolve, 10));
}

describeWith(["cell", "ip", "ping"], "bridge DEL", () => {
  test("deletes both ends and asks IPAM; the bridge, its address and forwarding stay", async () => {
    await on.add({ netns: pod });
    await on.del({ netns: pod });
    expect(await on.link("eth0", pod)).toBeUndefined();
    expect(await on.veths()).toEqual([]);
    expect(await on.addrs("cni0")).toEqual(["10.1.0.1/24"]);
    expect((await on.link("cni0"))?.flags).toContain("UP");
    expect(await on.sysctl("net/ipv4/ip_forward")).toBe("1");
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
  });

  test("the link is gone when IPAM is asked to free its addresses", async () => {
    await on.add({ netns: pod });
    let there: boolean | undefined;
    on.ipam.during = () => {
      there = existsLink("eth0", pod);
    };
    expect(existsLink("eth0", pod)).toBe(true);
    await on.del({ netns: pod });
    expect(there).toBe(false);
  });

  test("without CNI_NETNS, and with the netns still there", async () => {
    await on.add({ netns: pod });
    await on.del({ netns: "" });
    expect(await on.link("eth0", pod)).toBeUndefined();
    expect(await on.veths()).toEqual([]);
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
  });

  test("the netns' path is gone, but something else keeps the netns: the link goes all the same", async () => {
    await on.add({ netns: pod });
    const held = openSync(pod, "r");
    await removeNetns(pod);
    expect(await on.veths()).toHaveLength(1);
    await on.del({ netns: pod });
    expect(await on.veths()).toEqual([]);
    closeSync(held);
  });

  test("the netns is gone, and the links with it", async () => {
    await on.add({ netns: pod });
    await removeNetns(pod);
    await settled();
    expect(existsSync(pod)).toBe(false);
    await on.del({ netns: pod });
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
  });

  test("three times, and before any ADD", async () => {
    await on.del({ netns: pod });
    await on.add({ netns: pod });
    for (const netns of [pod, pod, ""]) await on.del({ netns });
    expect(on.ipam.asked).toEqual(["DEL", "ADD", "DEL", "DEL", "DEL"]);
    expect(await on.veths()).toEqual([]);
  });

  test("an ordinary file where the netns was", async () => {
    await on.add({ netns: pod });
    await removeNetns(pod);
    await settled();
    writeFileSync(pod, "");
    await on.del({ netns: pod });
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
  });

  test("an ordinary file in the place of a netns that lives: the node's end is found by its name", async () => {
    await on.add({ netns: pod });
    const file = `${pod}-file`;
    writeFileSync(file, "");
    await on.del({ netns: file });
    expect(await on.veths()).toEqual([]);
    expect(await on.link("eth0", pod)).toBeUndefined();
  });

  test("what a later ADD of the attachment made in another netns is left alone", async () => {
    const [old, later] = [pod, await on.node.container("later")];
    await on.add({ netns: old });
    await on.del({ netns: old });
    await on.add({ netns: later });
    await on.del({ netns: old });
    expect(await on.link("eth0", later)).toBeDefined();
    expect(await on.node.ping("10.1.0.1", later)).toBe(true);
  });

  test("that stays so where the old netns has a link of that name, and the kernel refuses to delete it", async () => {
    const [old, later] = [pod, await on.node.container("later")];
    await on.add({ netns: later });
    await on.node.run("ip", "-n", nameOf(old), "link", "add", "eth0", "type", "bridge");
    // The first request of a DEL is for that link.
    const send: typeof sys.send = () => {
      throw systemError("send", 5);
    };
    let sent = 0;
    const over = { send: (...args: Parameters<typeof send>) => (sent++ === 0 ? send : sys.send)(...args) };
    const error = await on.runtime.refusal({ verb: "DEL", conf: layer3, netns: old, over });
    expect(error.message).toBe("send: input/output error");
    expect(await on.link("eth0", later)).toBeDefined();
    await on.del({ netns: old });
    expect(existsLink("eth0", old)).toBe(false);
    expect(await on.link("eth0", later)).toBeDefined();
  });

  test("the second name's link is found though the first is free by now", async () => {
    await on.add({ netns: pod });
    const [first = ""] = await on.veths();
    await on.del({ netns: pod });
    await on.node.run("ip", "link", "add", first, "type", "veth", "peer", "name", "foreign");
    await on.add({ netns: pod });
    await on.node.run("ip", "link", "del", first);
    expect(await on.veths()).toHaveLength(1);
    await on.del({ netns: "" });
    expect(await on.veths()).toEqual([]);
  });

  test("foreign links of the derived name stay", async () => {
    await on.add({ netns: pod });
    const [name = ""] = await on.veths();
    await on.del({ netns: pod });
    await on.node.run("ip", "link", "add", name, "type", "veth", "peer", "name", "foreign");
    await on.del({ netns: "" });
    expect(await on.veths()).toHaveLength(2);
    await on.node.run("ip", "link", "del", name);
    // A veth into a container, but a port of another bridge.
    await on.node.run("ip", "link", "add", "other0", "type", "bridge");
    await on.node.run(
      "ip",
      "link",
      "add",
      name,
      "master",
      "other0",
      "type",
      "veth",
      "peer",
      "name",
      "x",
      "netns",
      nameOf(pod),
    );
    await on.del({ netns: "" });
    expect(await on.veths()).toEqual([name]);
  });

  test("IPAM's refusal is the answer, and the link is gone all the same", async () => {
    await on.add({ netns: pod });
    on.ipam.refusal = new CniError({ code: 5 }, "the store cannot be read");
    const error = await on.runtime.refusal({ verb: "DEL", conf: layer3, netns: pod });
    expect(error).toMatchObject({ code: 5, message: "the store cannot be read" });
    expect(await on.veths()).toEqual([]);
  });

  test("layer 2 asks nobody", async () => {
    await on.add({ netns: pod, conf: layer2 });
    await on.del({ netns: pod, conf: layer2 });
    expect(await on.veths()).toEqual([]);
    expect(on.ipam.asked).toEqual([]);
  });

  test("CNI_ARGS and VLANs that no ADD would take keep nothing alive", async () => {
    await on.add({ netns: pod });
    await on.del({ netns: pod, conf: { ...layer3, vlan: 5000, vlanTrunk: [{ minID: 9 }] }, args: "junk;;=" });
    expect(await on.veths()).toEqual([]);
    expect(on.ipam.asked).toEqual(["ADD", "DEL"]);
  });
});
