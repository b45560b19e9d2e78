// Every system call of every verb fails in turn, over the real kernel; and the process is killed before each of them.
// A failed ADD leaves nothing, DEL takes back whatever there is, the next container is served. iproute2 judges.
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { EIO, everyFault, struck, type Fault } from "../../testing/faults.ts";
import { pathWith, saved } from "../../testing/iptables.ts";
import { describeWith } from "../../testing/needs.ts";
import { answer, type Call } from "../../testing/runtime.ts";
import { resultText } from "../../lib/cni/result-text.ts";
import type { Result } from "../../lib/cni/result.ts";

const layers = { ...layer3, isDefaultGateway: true, hairpinMode: true };
/** Where the packet filter begins: what comes before is refused to attachments without rules. */
const isFilter = (name: string, args: readonly unknown[]) =>
  (name === "socket" && args[2] === 12) || name === "spawn" || /\/(iptables|ip_tables_names)$/.test(String(args[0]));
/** With rules one call in three, which is a minute, or with WEFT_ALL_FAULTS=1 each. */
const step = process.env.WEFT_ALL_FAULTS === "1" ? 1 : 3;
const variants = [
  { about: "", more: {}, since: () => true, step: 1 },
  {
    about: " with rules in nf_tables",
    more: { ipMasq: true, ipMasqBackend: "iptables", macspoofchk: true },
    since: isFilter,
    step,
  },
  {
    about: " with rules in iptables' older tables",
    more: { ipMasq: true, ipMasqBackend: "iptables" },
    iptables: "legacy" as const,
    since: isFilter,
    step,
  },
];
let variant: (typeof variants)[number] = variants[0] as (typeof variants)[number];
let conf: typeof layers;
let path: ReturnType<typeof pathWith>;
const ips = ["10.1.0.5/24 10.1.0.1", "fd00:1::5/64 fd00:1::1"];

let on: BridgeNode;
let pod: string;
let next: string;
/** Container ids that IPAM gave an address to. */
let held: Set<string>;
let asking: string;
/** Before the tests of one variant. */
function use(each: (typeof variants)[number]): void {
  beforeEach(() => {
    variant = each;
    conf = { ...layers, ...each.more };
    path = pathWith(each.iptables ?? "nft");
  });
  afterEach(() => path.remove());
}
beforeEach(async () => {
  on = await makeBridgeNode();
  [pod, next] = [await on.node.container("a"), await on.node.container("b")];
  held = new Set();
  on.ipam.next = answer(ips);
  on.ipam.during = (verb) => {
    if (verb === "ADD") held.add(asking);
    if (verb === "DEL") held.delete(asking);
    if (verb === "GC") held.clear();
  };
});
afterEach(async () => {
  await on.close();
});

async function add(containerId: string, netns: string): Promise<Result> {
  asking = containerId;
  return await on.add({ netns, containerId, conf, ips, searchPath: path.path });
}
async function del(containerId: string, netns: string): Promise<void> {
  asking = containerId;
  await on.del({ netns, containerId, conf, searchPath: path.path });
}

/** The lines of either packet filter that are for an attachment. */
async function rules(): Promise<string[]> {
  const nodes = await on.node.run("nft", "list", "ruleset");
  const older = variant.iptables === undefined ? [] : [...(await saved("legacy", 4)), ...(await saved("legacy", 6))];
  return [...nodes.split("\n"), ...older].filter((line) => /CNI-|10\.1\.0\.5|c0/.test(line));
}

/** What there is of attachments: pairs, of which one end is on the node, addresses of IPAM's, rules. */
const left = async () => ({ veths: await on.veths(), held: [...held], rules: await rules() });
const nothing = { veths: [], held: [], rules: [] };

/** DEL twice, then another container: added, found right, deleted. */
async function recovers(): Promise<void> {
  await del("c0", pod);
  await del("c0", pod);
  expect(await left()).toEqual(nothing);
  const { ips: given } = await add("c1", next);
  expect(given.length).toBe(ips.length);
  expect((await on.addrs("eth0", next)).sort()).toEqual(["10.1.0.5/24", "fd00:1::5/64"]);
  await del("c1", next);
}

/** A call as the variant has it. */
function asked(call: Call): Call {
  asking = call.containerId ?? "c0";
  return { ...call, searchPath: path.path };
}

/** Every fault of a call; whatever became of it, the node recovers. */
const everyFaultOf = (
  call: () => Promise<Call>,
  fault: Fault,
  judge: (error: unknown) => Promise<void>,
  least?: number,
): Promise<void> =>
  everyFault({
    runtime: on.runtime,
    call: async () => asked(await call()),
    fault,
    judge: async (error) => {
      await judge(error);
      await recovers();
    },
    since: variant.since,
    step: variant.step,
    ...(least === undefined ? {} : { least }),
  });

/** CHECK's: of an ADD that went well. */
async function prevResult(): Promise<object> {
  return JSON.parse(resultText(await add("c0", pod), "1.0.0")) as object;
}

const request = (verb: string) => ({ verb, conf, netns: pod });

/** Of a network of which the runtime knows no attachment, though there is one. */
const collect = () => ({
  verb: "GC",
  conf: { ...conf, cniVersion: "1.1.0", "cni.dev/valid-attachments": [] },
  searchPath: path.path,
});
async function garbage(): Promise<Call> {
  await add("c0", pod);
  return collect();
}

const needs = ["cell", "ip", "ping", "nft", "legacy iptables"] as const;

for (const each of variants)
  describeWith(needs, `bridge${each.about}, every system call refused once`, () => {
    use(each);

    test("ADD on a node without the bridge", async () => {
      const call = async () => {
        await on.node.run("sh", "-c", "ip link del cni0 2>/dev/null || true");
        return request("ADD");
      };
      await everyFaultOf(call, EIO, async (error) => {
        if (error !== undefined) expect(await left()).toEqual(nothing);
      });
    });

    test("CHECK", async () => {
      const call = async () => ({ ...request("CHECK"), conf: { ...conf, prevResult: await prevResult() } });
      await everyFaultOf(call, EIO, async () => expect((await left()).held).toEqual(["c0"]));
    });

    test("DEL says it is done only when it is", async () => {
      const call = async () => {
        await add("c0", pod);
        return request("DEL");
      };
      await everyFaultOf(call, EIO, async (error) => {
        if (error === undefined) expect(await left()).toEqual(nothing);
      });
    });

    test("GC says it is done only when it is, and is done the next time", async () => {
      await everyFaultOf(garbage, EIO, async (error) => {
        if (error !== undefined) await on.runtime.call(collect());
        expect(await left()).toEqual(nothing);
      });
    });
  });

describeWith(needs, "bridge, every system call of STATUS refused once", () => {
  use(variants[0] as (typeof variants)[number]);
  test("STATUS changes nothing, and is not content where it could not look", async () => {
    await add("c0", pod);
    const status = { verb: "STATUS", conf: { ...conf, cniVersion: "1.1.0" } };
    let before = await left();
    const call = async () => {
      if (before.held.length === 0) await add("c0", pod);
      before = await left();
      return status;
    };
    await everyFaultOf(call, EIO, async () => expect(await left()).toEqual(before), 2);
    await on.node.run("sh", "-c", "ip link del cni0; ip link add cni0 type veth peer name cni1");
    for (let at = 0, failed: string | undefined = ""; failed !== undefined; at++) {
      const faulty = await struck(on.runtime, asked(status), at, EIO, variant.since);
      expect(faulty.error).toBeDefined();
      failed = faulty.failed();
    }
  });
});

for (const each of variants.slice(0, 2))
  describeWith(needs, `bridge${each.about}, killed before every system call`, () => {
    use(each);

    test("ADD on a node without the bridge", async () => {
      const call = async () => {
        await on.node.run("sh", "-c", "ip link del cni0 2>/dev/null || true");
        return request("ADD");
      };
      await everyFaultOf(call, "killed", async (error) => expect(error).toBeDefined());
    });

    test("GC", async () => {
      await everyFaultOf(garbage, "killed", async (error) => {
        expect(error).toBeDefined();
        await on.runtime.call(collect());
        expect(await left()).toEqual(nothing);
      });
    });

    test("DEL", async () => {
      const call = async () => {
        await add("c0", pod);
        return request("DEL");
      };
      await everyFaultOf(call, "killed", async (error) => expect(error).toBeDefined());
    });
  });
