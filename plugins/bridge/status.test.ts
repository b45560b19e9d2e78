// STATUS over the real kernel: what would keep an ADD from working is told, and nothing else.
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer2, layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { describeWith } from "../../testing/needs.ts";
import { CniError } from "../../lib/cni/error.ts";
import { sys } from "../../lib/host/node.ts";
import type { Sys } from "../../lib/host/sys.ts";

const conf = { ...layer3, cniVersion: "1.1.0" };

let on: BridgeNode;
beforeEach(async () => {
  on = await makeBridgeNode();
});
afterEach(() => on.close());

describeWith(["cell", "ip"], "bridge STATUS", () => {
  test("on a node without the bridge, and with it", async () => {
    await on.runtime.call({ verb: "STATUS", conf });
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    await on.runtime.call({ verb: "STATUS", conf });
    expect(on.ipam.asked).toEqual(["STATUS", "STATUS"]);
  });

  test("layer 2 asks nobody", async () => {
    await on.runtime.call({ verb: "STATUS", conf: { ...layer2, cniVersion: "1.1.0" } });
    expect(on.ipam.asked).toEqual([]);
  });

  test("something else has the bridge's name: 50, as ADD would say it, before IPAM is asked", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "veth", "peer", "name", "other");
    const error = await on.runtime.refusal({ verb: "STATUS", conf });
    expect(error).toMatchObject({ code: 50, message: '"cni0" already exists but is not a bridge' });
    expect(error.details).toContain("its kind is veth");
    expect(on.ipam.asked).toEqual([]);
  });

  test("IPAM's word comes through", async () => {
    on.ipam.refusal = new CniError({ code: 50 }, "no address left");
    expect(await on.runtime.refusal({ verb: "STATUS", conf })).toMatchObject({ code: 50, message: "no address left" });
  });

  test.each([
    [7, { ...conf, vlan: 5000 }],
    [7, { ...conf, hairpinMode: true, promiscMode: true }],
    [7, { ...conf, bridge: "no/name" }],
    [7, { ...conf, ipMasq: true, ipMasqBackend: "ipset" }],
  ])("code %i for a configuration that ADD would refuse: %j", async (code, wrong) => {
    const error = await on.runtime.refusal({ verb: "STATUS", conf: wrong });
    expect(error.code).toBe(code);
    expect(on.ipam.asked).toEqual([]);
  });

  /** The netlink messages of one STATUS, by type. */
  async function sent(over: Partial<Sys> = {}): Promise<number[]> {
    const types: number[] = [];
    const send: Sys["send"] = (fd, data) => {
      types.push(data[4] ?? 0);
      sys.send(fd, data);
    };
    await on.runtime.call({ verb: "STATUS", conf, over: { send, ...over } });
    return types;
  }

  test("looks once, and changes nothing", async () => {
    expect(await sent()).toEqual([18]); // RTM_GETLINK
    expect(await on.link("cni0")).toBeUndefined();
  });

  test("where sysfs shows the bridge it does not even ask the kernel", async () => {
    await on.node.run("ip", "link", "add", "cni0", "type", "bridge");
    // This process's own sysfs is of the netns the test run began in.
    const shown = await on.node.run(
      "unshare",
      "-m",
      "sh",
      "-ec",
      "mount -t sysfs s /sys; find /sys/class/net/cni0/ -name bridge",
    );
    const stat: Sys["stat"] = (path, follow) => sys.stat(path === shown ? "/sys" : path, follow);
    expect(shown).toBe("/sys/class/net/cni0/bridge");
    expect(await sent({ stat })).toEqual([]);
  });
});
