// STATUS and GC, which Go's flannel does not have: what a kubelet with a 1.1.0 list sees of a node, and what is left of
// attachments that the runtime no longer knows.
import { describe, expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { kubeFlannel, kubeSubnet } from "./configs.ts";
import { containerId, failures, Fleet, range } from "./fleet.ts";

const flannel = (more: Record<string, unknown> = {}) => kubeFlannel("1.1.0", more);
const valid = (pods: readonly number[], key = "cni.dev/valid-attachments") => ({
  [key]: pods.map((pod) => ({ containerID: containerId(pod), ifname: "eth0" })),
});

interface Said {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly error: { code: number; msg: string; details: string };
}

/** One call that belongs to no pod. */
async function ask(fleet: Fleet, verb: string, conf: unknown, program = "flannel"): Promise<Said> {
  const [outcome] = await fleet.call({ verb, program, by: "ours", pods: [0], config: () => conf });
  if (outcome === undefined) throw new Error("no outcome");
  return { ...outcome, error: JSON.parse(outcome.stdout || "{}") };
}

async function withPods(count: number): Promise<Fleet> {
  const fleet = await Fleet.open(count);
  await fleet.cell.shell(kubeSubnet.shell);
  expect(
    failures(await fleet.call({ verb: "ADD", by: "ours", pods: range(0, count), config: () => flannel() })),
  ).toEqual([]);
  return fleet;
}

describeWith(["cell", "ip"], "STATUS and GC", () => {
  describe("STATUS", () => {
    test("says nothing where an ADD could succeed, before the first and after", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell(kubeSubnet.shell);
      expect(await ask(fleet, "STATUS", flannel())).toMatchObject({ exit: 0, stdout: "" });
      await fleet.call({ verb: "ADD", by: "ours", pods: [0], config: () => flannel() });
      expect(await ask(fleet, "STATUS", flannel())).toMatchObject({ exit: 0, stdout: "" });
    });

    test("changes nothing on a node that has nothing", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell(`${kubeSubnet.shell}; rmdir /var/lib/cni`);
      await ask(fleet, "STATUS", flannel());
      expect(await fleet.cell.shell("ls /var/lib; ip -o link | grep -vc ' lo:' || true")).toBe("0\n");
    });

    test("50 and the path while flanneld has written no subnet.env, 51 where pods run", async () => {
      await using fleet = await withPods(1);
      await fleet.cell.shell("rm /run/flannel/subnet.env");
      const impaired = await ask(fleet, "STATUS", flannel());
      expect(impaired).toMatchObject({ exit: 1, error: { code: 51 } });
      expect(impaired.error.msg).toContain("open /run/flannel/subnet.env: no such file or directory");
      expect(impaired.error.details).toContain("is its pod running on this node?");
      await fleet.call({ verb: "DEL", by: "ours", pods: [0], config: () => flannel() });
      expect(await ask(fleet, "STATUS", flannel())).toMatchObject({ exit: 1, error: { code: 50 } });
    });

    test("50 and what is missing where subnet.env is torn", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell("echo FLANNEL_NETWORK=10.244.0.0/16 >/run/flannel/subnet.env");
      const { error } = await ask(fleet, "STATUS", flannel());
      expect(error.code).toBe(50);
      expect(error.msg).toContain(
        "/run/flannel/subnet.env is missing FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET, FLANNEL_MTU, FLANNEL_IPMASQ",
      );
    });

    test("50 from host-local, through bridge and flannel, where no address is left", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell(`${kubeSubnet.shell}; sed -i s,244.1.1/24,244.1.1/30, /run/flannel/subnet.env`);
      await fleet.call({ verb: "ADD", by: "ours", pods: [0], config: () => flannel() });
      const { error } = await ask(fleet, "STATUS", flannel());
      expect(error.code).toBe(50);
      expect(error.msg).toContain("no IP addresses available in range set: 10.244.1.1-10.244.1.2");
    });

    test("what ADD would refuse is not ready either: a delegate that is not there", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell(kubeSubnet.shell);
      const { error } = await ask(fleet, "STATUS", flannel({ delegate: { type: "nobody" } }));
      expect(error.msg).toContain('failed to find plugin "nobody" in path [/run/bin/ours]');
    });
  });

  describe("GC", () => {
    test("takes what is not valid and no more; again, nothing", async () => {
      await using fleet = await withPods(4);
      const before = await fleet.left();
      for (const _ of range(0, 2)) {
        expect(await ask(fleet, "GC", flannel(valid([1, 2])))).toMatchObject({ exit: 0, stdout: "" });
        const after = await fleet.left();
        expect(after.filter((each) => !before.includes(each))).toEqual([]);
        // Each attachment has two ends of a link, a reservation, a saved configuration.
        expect(after).toHaveLength(2 * 4);
        expect(after.filter((each) => /^pod[03]:|c0ffee[03]$/.test(each))).toEqual([]);
      }
      const kept = await fleet.call({ verb: "ADD", by: "ours", pods: [0], config: () => flannel() });
      expect(failures(kept)).toEqual([]);
    });

    test.for([
      ["an empty list", valid([])],
      ["null", { "cni.dev/valid-attachments": null }],
      ["the older key", valid([], "cni.dev/attachments")],
    ] as const)("%s: nothing is valid", async ([, keys]) => {
      await using fleet = await withPods(2);
      expect(await ask(fleet, "GC", flannel(keys))).toMatchObject({ exit: 0, stdout: "" });
      expect(await fleet.left()).toEqual([]);
    });

    test("without a list nothing is removed, and that is said", async () => {
      await using fleet = await withPods(1);
      const before = await fleet.left();
      const said = await ask(fleet, "GC", flannel());
      expect(said).toMatchObject({ exit: 0, stdout: "" });
      expect(said.stderr).toContain("cni.dev/valid-attachments");
      expect(await fleet.left()).toEqual(before);
    });

    test.for([
      ["a list that is none", { "cni.dev/valid-attachments": {} }],
      ["an entry without a container", { "cni.dev/valid-attachments": [{ ifname: "eth0" }] }],
    ] as const)("%s: nothing is removed, and the key is named", async ([, keys]) => {
      await using fleet = await withPods(1);
      const before = await fleet.left();
      const { error } = await ask(fleet, "GC", flannel(keys));
      expect(error.code).toBe(7);
      expect(error.msg).toContain("cni.dev/valid-attachments");
      expect(await fleet.left()).toEqual(before);
    });

    test("another network's attachments are not looked at", async () => {
      await using fleet = await withPods(2);
      const before = await fleet.left();
      expect(await ask(fleet, "GC", flannel({ ...valid([]), name: "other" }))).toMatchObject({ exit: 0 });
      expect(await fleet.left()).toEqual(before);
    });

    test("after a reboot: no links, no subnet.env, only files", async () => {
      await using fleet = await withPods(2);
      await fleet.end([0, 1]);
      await fleet.cell.shell("ip link del cni0; rm -r /run/flannel");
      expect(await ask(fleet, "GC", flannel(valid([])))).toMatchObject({ exit: 0, stdout: "" });
      expect(await fleet.left()).toEqual([]);
    });

    test("all that can be cleaned is, and what cannot is told", async () => {
      await using fleet = await withPods(3);
      // A saved configuration whose delegate is gone.
      await fleet.cell.shell(`sed -i 's/"type":"bridge"/"type":"nobody"/' /var/lib/cni/flannel/${containerId(1)}`);
      expect(await fleet.cell.shell("grep -l nobody /var/lib/cni/flannel/*")).toContain(containerId(1));
      const { exit, error } = await ask(fleet, "GC", flannel(valid([])));
      expect(exit).toBe(1);
      expect(error.msg).toContain('failed to find plugin "nobody"');
      const left = await fleet.left();
      expect(left.filter((each) => /^\/var/.test(each))).toEqual([`/var/lib/cni/flannel/${containerId(1)}`]);
      expect(left.filter((each) => /^pod[02]:/.test(each))).toEqual([]);
    });
  });
});
