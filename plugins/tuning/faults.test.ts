// Every system call of every verb fails in turn, over the real kernel; and the process is killed before each of them.
// A failed ADD leaves nothing, DEL gives back whatever was taken, and says it is done only when it is. iproute2 judges.
import { existsSync, readdirSync, rmSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "vitest";
import { EIO, everyFault, type Fault } from "../../testing/faults.ts";
import { describeWith } from "../../testing/needs.ts";
import type { Call } from "../../testing/runtime.ts";
import { checked, makeVethNode, podMac, type VethNode } from "../../testing/veth.ts";
import { tuning } from "./index.ts";

const dataDir = "/run/cni/tuning";
const arpFilter = "net/ipv4/conf/eth0/arp_filter";
const conf = {
  cniVersion: "1.1.0",
  mac: "0a:58:0a:01:00:99",
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 321,
  sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" },
};

describeWith(["cell", "ip"], "tuning, one fault in a call", () => {
  let on: VethNode;
  beforeEach(async () => {
    on = await makeVethNode(tuning);
    rmSync(dataDir, { recursive: true, force: true });
  });
  afterEach(async () => {
    await on.close();
  });

  const link = async () => {
    const { address, mtu, txqlen, flags = [] } = (await on.link("eth0", on.netns)) ?? {};
    const peer = (await on.link("host0"))?.mtu;
    return [address, mtu, txqlen, flags.includes("PROMISC"), flags.includes("ALLMULTI"), peer];
  };
  const arp = () => on.inPod("cat", `/proc/sys/${arpFilter}`);
  /** Also what is not whole yet. */
  const kept = () => existsSync(dataDir) && readdirSync(dataDir).length > 0;
  const untuned = [podMac, 1500, 1000, false, false, 1500];
  const tuned = [conf.mac, 1400, 321, true, true, 1400];

  const add = {
    verb: "ADD",
    get conf() {
      return { ...conf, prevResult: on.prevResult };
    },
    get netns() {
      return on.netns;
    },
  };
  const fresh = async () => {
    rmSync(dataDir, { recursive: true, force: true });
    await on.inPod("sh", "-c", `echo 0 >/proc/sys/${arpFilter}`);
    return add;
  };
  const added = async (verb: string) => {
    const result = await on.add(conf);
    return { verb, conf: checked(conf, result), netns: on.netns };
  };
  /** DEL twice: then the link is as it was, and nothing is kept. */
  const recovers = async () => {
    await on.del(conf);
    await on.del(conf);
    expect([await link(), kept()]).toEqual([untuned, false]);
  };

  const everyFaultOf = (call: () => Promise<Call>, fault: Fault, judge: (error: unknown) => Promise<void>) =>
    everyFault({ runtime: on.runtime, call, fault, judge });

  test("an ADD that is refused something leaves nothing", async () => {
    await everyFaultOf(fresh, EIO, async (error) => {
      const seen = [await link(), await arp(), kept()];
      expect(seen).toEqual(error === undefined ? [tuned, "1", true] : [untuned, "0", false]);
      await recovers();
    });
  });

  test("what an ADD that was killed has changed, DEL gives back", async () => {
    await everyFaultOf(fresh, "killed", async (error) => {
      expect(error).toBeDefined();
      await recovers();
    });
  });

  test("an ADD after one that was killed keeps what that one found", async () => {
    await everyFaultOf(fresh, "killed", async () => {
      await on.add(conf);
      expect(await link()).toEqual(tuned);
      await recovers();
    });
  });

  test("a second ADD that was killed takes nothing from the first", async () => {
    const again = async () => {
      await fresh();
      await on.add({ mtu: 1450 });
      return add;
    };
    await everyFaultOf(again, "killed", recovers);
  });

  test.each([EIO, "killed" as const])("DEL says it is done only when it is (%s)", async (fault) => {
    await everyFaultOf(
      () => added("DEL"),
      fault,
      async (error) => {
        if (error === undefined) expect([await link(), kept()]).toEqual([untuned, false]);
        await recovers();
      },
    );
  });

  test("CHECK changes nothing", async () => {
    await everyFaultOf(
      () => added("CHECK"),
      EIO,
      async () => {
        expect([await link(), kept()]).toEqual([tuned, true]);
        await recovers();
      },
    );
  });
});
