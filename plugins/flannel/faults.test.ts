// Every system call of every verb fails in turn, or is the last one before a kill, with a delegate of the test's own. What
// there is afterwards is read from the disk, and asked of the delegate.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failing } from "../../testing/failing.ts";
import { answer, makeRuntime, TestIpam, type Call, type Runtime } from "../../testing/runtime.ts";
import { CniError } from "../../lib/cni/error.ts";
import { sys } from "../../lib/host/node.ts";
import { hostOver } from "../../lib/host/open.ts";
import { flannel } from "./index.ts";

const EIO = 5;
const quiet = {
  ...sys,
  write: (fd: number, data: Uint8Array | string) => (fd === 2 ? undefined : sys.write(fd, data)),
};
const env = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";

let directory: string;
let dataDir: string;
let conf: object;
let delegate: TestIpam;
let runtime: Runtime;
/** Whether the delegate has an attachment. */
let attached: boolean;
beforeEach(() => {
  directory = mkdtempSync("/tmp/weft-flannel-");
  dataDir = join(directory, "saved");
  const subnetFile = join(directory, "subnet.env");
  writeFileSync(subnetFile, env);
  conf = { cniVersion: "1.1.0", subnetFile, dataDir, delegate: { type: "test-ipam" }, "cni.dev/valid-attachments": [] };
  delegate = new TestIpam(answer(["10.244.1.5/24"]));
  delegate.during = (verb) => {
    if (verb === "ADD") attached = true;
    if (verb === "DEL" || verb === "GC") attached = false;
  };
  attached = false;
  runtime = makeRuntime({ host: (over = {}) => hostOver({ ...sys, ...over }) }, flannel, delegate);
});
afterEach(() => {
  runtime.close();
  rmSync(directory, { recursive: true });
});

const call = (verb: string, more: Partial<Call> = {}) => runtime.call({ verb, conf, netns: "/none", ...more });
const left = () => {
  mkdirSync(dataDir, { recursive: true });
  return { saved: readdirSync(dataDir), attached };
};
const nothing = { saved: [], attached: false };
const one = { saved: ["c0"], attached: true };

/** Goes through the faults of a verb; `judge` says what must be so after each. */
async function everyFault(
  verb: string,
  errno: number | "killed",
  before: () => Promise<unknown>,
  judge: (error: unknown) => void,
): Promise<void> {
  for (let at = 0; ; at++) {
    await before();
    const faulty = failing(quiet, at, errno);
    const { getenv: _, argv: __, ...over } = faulty.sys;
    let error: unknown;
    try {
      await call(verb, { over });
    } catch (thrown) {
      error = thrown;
    }
    try {
      if (faulty.failed() !== undefined) judge(error);
      // The runtime's own DEL, and what a second finds.
      for (const _ of [1, 2]) await call("DEL");
      expect(left()).toEqual(nothing);
    } catch (cause) {
      throw new Error(`call ${at}, ${faulty.failed()}: ${String(cause)}`, { cause });
    }
    if (faulty.failed() !== undefined) continue;
    expect(at).toBeGreaterThan(2);
    return;
  }
}

const clean = async () => undefined;
const added = () => call("ADD");

describe("each system call refused", () => {
  test("a failed ADD leaves nothing", () =>
    everyFault("ADD", EIO, clean, (error) => expect(left()).toEqual(error === undefined ? one : nothing)));

  test("nor does one that the delegate refused, unless it is kept for the runtime's DEL", async () => {
    const refusal = new CniError("internal", "no room");
    const refuse = async () => {
      delegate.next = refusal;
    };
    await everyFault("ADD", EIO, refuse, (error) => {
      expect(error).toBeDefined();
      if (!attached) expect(left().saved.filter((name) => name !== "c0")).toEqual([]);
    });
  });

  test("DEL and GC are done only when they say so", async () => {
    for (const verb of ["DEL", "GC"])
      await everyFault(verb, EIO, added, (error) => {
        if (error === undefined) expect(left()).toEqual(nothing);
      });
  });

  test("STATUS and CHECK change nothing", async () => {
    for (const verb of ["STATUS", "CHECK"]) await everyFault(verb, EIO, added, () => expect(left()).toEqual(one));
  });
});

describe("killed before each system call", () => {
  test.each([
    ["ADD", clean],
    ["DEL", added],
    ["GC", added],
  ] as const)("%s", async (verb, before) => {
    // What was done by then is judged by the DELs that follow.
    await everyFault(verb, "killed", before, () => {});
  });

  test("an ADD that is repeated: the temporary of the killed one goes with the next DEL", async () => {
    const left: number[] = [];
    await everyFault("ADD", "killed", added, () => {
      left.push(readdirSync(dataDir).filter((name) => name.startsWith(".")).length);
    });
    expect(left).toContain(1);
  });
});

describe("STATUS without subnet.env", () => {
  const without = () => runtime.refusal({ verb: "STATUS", conf: { ...conf, subnetFile: "/none" } });

  test("is 51 where pods of the network run, and 50 where only another network's do", async () => {
    expect(await without()).toMatchObject({ code: 50 });
    await call("ADD", { conf: { ...conf, name: "other" } });
    expect(await without()).toMatchObject({ code: 50 });
    await call("ADD", { containerId: "c1" });
    expect(await without()).toMatchObject({ code: 51 });
  });
});
