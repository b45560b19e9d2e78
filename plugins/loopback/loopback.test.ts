import { readdirSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Result } from "../../lib/cni/result.ts";
import { formatPrefix } from "../../lib/ip/prefix.ts";
import { describeWith } from "../../testing/needs.ts";
import { makeNode, type TestNode } from "../../testing/node.ts";
import { makeRuntime, type Runtime } from "../../testing/runtime.ts";
import { failing } from "../../testing/failing.ts";
import { sys } from "../../lib/host/node.ts";
import { loopback } from "./index.ts";

describeWith(["cell", "ip"], "loopback", () => {
  let node: TestNode;
  let netns: string;
  let runtime: Runtime;
  beforeEach(async () => {
    node = await makeNode();
    netns = await node.container("pod");
    runtime = makeRuntime(node, loopback);
  });
  afterEach(async () => {
    runtime.close();
    await node.close();
  });

  const call = (verb: string, more: { conf?: object; ifName?: string; netns?: string } = {}) =>
    runtime.call({ verb, conf: {}, netns, ...more });
  const inPod = (...command: string[]) => node.run("ip", "netns", "exec", netns.replace("/run/netns/", ""), ...command);
  const lo = async () => {
    const [link] = await node.ip("addr show lo", netns);
    const addresses = (link?.addr_info ?? []) as { local: string; prefixlen: number }[];
    return {
      up: (link?.flags as string[]).includes("UP"),
      addresses: addresses.map(({ local, prefixlen }) => `${local}/${prefixlen}`),
    };
  };
  const told = (result: Result | undefined) => result?.ips.map(({ address }) => formatPrefix(address));

  test("ADD takes lo up and reports what it has", async () => {
    expect(await lo()).toEqual({ up: false, addresses: [] });
    const result = await call("ADD", { ifName: "any" });
    const after = await lo();
    expect(after.up).toBe(true);
    expect(told(result)).toEqual(after.addresses);
    expect(result?.interfaces).toEqual([{ name: "lo", mac: "00:00:00:00:00:00", sandbox: netns }]);
    expect(result?.ips.map((ip) => ip.interface)).toEqual(after.addresses.map(() => 0));
  });

  test("ADD reports no IPv6 address where IPv6 is turned off", async () => {
    await inPod("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1");
    expect(told(await call("ADD"))).toEqual(["127.0.0.1/8"]);
  });

  test("ADD again is fine", async () => {
    const first = await call("ADD");
    expect(await call("ADD")).toEqual(first);
  });

  test("ADD passes on what came before it", async () => {
    const prevResult = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.5/24" }] };
    expect(told(await call("ADD", { conf: { prevResult } }))).toEqual(["10.1.0.5/24"]);
    expect((await lo()).up).toBe(true);
  });

  test("ADD refuses a lo that has been given another address", async () => {
    await inPod("ip", "addr", "add", "192.0.2.1/32", "dev", "lo");
    const error = await runtime.refusal({ verb: "ADD", conf: {}, netns });
    expect(error.message).toBe('loopback interface found with non-loopback address "192.0.2.1"');
    expect((await lo()).up).toBe(false);
    await inPod("ip", "link", "set", "lo", "up");
    await runtime.refusal({ verb: "ADD", conf: {}, netns });
    expect((await lo()).up).toBe(true);
  });

  test.each(["ADD", "CHECK", "DEL"])(
    "%s, each system call refused: a failed ADD leaves lo down, a DEL that is done too, and no descriptor stays open",
    async (verb) => {
      for (let at = 0; ; at++) {
        await inPod("ip", "link", "set", "lo", verb === "ADD" ? "down" : "up");
        const open = () => readdirSync("/proc/self/fd").length;
        const faulty = failing(sys, at, 5);
        const { getenv: _, argv: __, write: ___, ...over } = faulty.sys;
        const before = open();
        let error: unknown;
        try {
          await runtime.call({ verb, conf: {}, netns, over });
        } catch (thrown) {
          error = thrown;
        }
        // A host keeps its own netns open, each of these one of its own.
        expect(open() - before, `call ${at}: ${faulty.failed()}`).toBeLessThanOrEqual(1);
        const { up } = await lo();
        if (verb === "ADD") expect(up, `call ${at}: ${faulty.failed()}`).toBe(error === undefined);
        if (verb === "DEL" && error === undefined) expect(up).toBe(false);
        if (faulty.failed() !== undefined) continue;
        expect(error).toBeUndefined();
        expect(at).toBeGreaterThan(8);
        return;
      }
    },
  );

  test("CHECK is content with an lo that is up, and with no other", async () => {
    await call("ADD");
    await call("CHECK");
    await inPod("ip", "link", "set", "lo", "down");
    expect((await runtime.refusal({ verb: "CHECK", conf: {}, netns })).message).toBe("loopback interface is down");
  });

  test("DEL takes lo down; again, without a netns, and with one that is gone, it is done", async () => {
    await call("ADD");
    await call("DEL");
    expect((await lo()).up).toBe(false);
    await call("DEL");
    await call("DEL", { netns: "" });
    await call("DEL", { netns: "/run/netns/nobody" });
  });

  test("the node's own lo is never touched, whatever the path is", async () => {
    const own = `/run/netns/${node.name}`;
    for (const verb of ["ADD", "CHECK", "DEL"])
      expect((await runtime.refusal({ verb, conf: {}, netns: own })).code).toBe(8);
    const [link] = await node.ip("link show lo");
    expect(link?.flags).toContain("UP");
  });

  test("STATUS and GC have nothing to say and nothing to remove", async () => {
    await call("ADD");
    const conf = { cniVersion: "1.1.0", "cni.dev/valid-attachments": [] };
    expect(await call("STATUS", { conf })).toBeUndefined();
    expect(await call("GC", { conf })).toBeUndefined();
    expect((await lo()).up).toBe(true);
  });
});
