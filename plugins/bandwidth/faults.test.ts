// Every system call of every verb fails in turn, over the real kernel; and the process is killed before each of them.
// A failed ADD leaves nothing, DEL and GC take back whatever there is, the next ADD is served. iproute2 judges.
import { afterEach, beforeEach, expect, test } from "vitest";
import { EIO, everyFault, type Fault } from "../../testing/faults.ts";
import { describeWith } from "../../testing/needs.ts";
import type { Call } from "../../testing/runtime.ts";
import { checked, makeVethNode, type VethNode } from "../../testing/veth.ts";
import { bandwidth } from "./index.ts";

const conf = {
  cniVersion: "1.1.0",
  ingressRate: 8_000_000,
  ingressBurst: 1_000_000,
  egressRate: 8_000_000,
  egressBurst: 1_000_000,
};

describeWith(["cell", "ip", "tc", "ifb links"], "bandwidth, one fault in a call", () => {
  let on: VethNode;
  beforeEach(async () => {
    on = await makeVethNode(bandwidth);
  });
  afterEach(async () => {
    await on.close();
  });

  const ifbs = async () => (await on.node.ip("link show type ifb")).map(({ ifname }) => ifname);
  const onPair = async () =>
    (JSON.parse(await on.node.run("tc", "-j", "qdisc", "show", "dev", "host0")) as { kind: string }[]).map(
      ({ kind }) => kind,
    );
  const nothing = [[], ["noqueue"]];
  const everything = [[expect.stringMatching(/^bwp/)], ["tbf", "ingress"]];

  /** Behind a plugin that has just made the pair. */
  const fresh = async () => {
    await on.node.run("sh", "-c", "tc qdisc del dev host0 root; tc qdisc del dev host0 ingress; true");
    return { verb: "ADD", conf: { ...conf, prevResult: on.prevResult }, netns: on.netns };
  };
  const added = async (verb: string, more: object = {}) => {
    await fresh();
    const result = await on.add(conf);
    return { verb, conf: { ...checked(conf, result), ...more }, netns: on.netns };
  };
  /** DEL twice, then an ADD that finds what is on the pair still, and CHECK. */
  const recovers = async () => {
    await on.del(conf, { netns: "" });
    await on.del(conf);
    expect(await ifbs()).toEqual([]);
    await on.check(conf, await on.add(conf));
    await on.del(conf);
  };

  const everyFaultOf = (call: () => Promise<Call>, fault: Fault, judge: (error: unknown) => Promise<void>) =>
    everyFault({ runtime: on.runtime, call, fault, judge });

  test("an ADD that is refused something leaves nothing", async () => {
    await everyFaultOf(fresh, EIO, async (error) => {
      expect([await ifbs(), await onPair()]).toEqual(error === undefined ? everything : nothing);
      await recovers();
    });
  });

  test("after an ADD that was killed the next one is served, and DEL leaves nothing", async () => {
    await everyFaultOf(fresh, "killed", async (error) => {
      expect(error).toBeDefined();
      const result = await on.add(conf);
      expect([await ifbs(), await onPair()]).toEqual(everything);
      await on.check(conf, result);
      await recovers();
    });
  });

  test("what an ADD that was killed has made, GC deletes", async () => {
    const collect = { verb: "GC", conf: { cniVersion: "1.1.0", "cni.dev/valid-attachments": [] } };
    await everyFaultOf(fresh, "killed", async () => {
      await on.runtime.call(collect);
      expect(await ifbs()).toEqual([]);
    });
  });

  test.each(["DEL", "GC"])("%s says it is done only when it is", async (verb) => {
    for (const fault of [EIO, "killed"] as const)
      await everyFaultOf(
        () => added(verb, { "cni.dev/valid-attachments": [] }),
        fault,
        async (error) => {
          if (error === undefined) expect(await ifbs()).toEqual([]);
          await recovers();
        },
      );
  });

  test("CHECK changes nothing", async () => {
    await everyFaultOf(
      () => added("CHECK"),
      EIO,
      async () => {
        expect([await ifbs(), await onPair()]).toEqual(everything);
        await recovers();
      },
    );
  });
});
