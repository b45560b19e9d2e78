// An operator swaps the plugins under pods that run, in either direction, and back. Whoever made an attachment, the other
// checks it and takes it away, and the node is clean at the end: links, reservations, saved configurations, libcni's cache.
import { expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { dualSubnet, kubeFlannel, kubeSubnet } from "./configs.ts";
import { addressesOf, containerId, failures, Fleet, netnsOf, range, type FleetOutcome } from "./fleet.ts";

const pods = range(0, 100);
const half = pods.length / 2;

async function openNode(): Promise<Fleet> {
  const fleet = await Fleet.open(pods.length);
  await fleet.cell.shell(kubeSubnet.shell);
  // The newest version that Go's flannel of this comparison speaks.
  fleet.cell.write(
    "/run/net.d/10-flannel.conflist",
    JSON.stringify({ cniVersion: "0.4.0", name: "cbr0", plugins: [{ ...kubeFlannel("0.4.0") }] }),
  );
  return fleet;
}

function expectDistinct(outcomes: readonly FleetOutcome[]): void {
  const addresses = outcomes.flatMap(addressesOf);
  expect(new Set(addresses).size).toBe(outcomes.length);
}

async function expectTraffic({ cell }: Fleet, outcomes: readonly FleetOutcome[]): Promise<void> {
  const [first, last] = [outcomes[0], outcomes.at(-1)];
  if (first === undefined || last === undefined) throw new Error("no pods");
  const [to = ""] = addressesOf(last);
  await cell.shell(`ping -c 1 -W 20 -q ${to.split("/")[0]}`, `pod${first.pod}`);
}

const none = ["cell", "ip", "ping", "go"] as const;

describeWith(none, `drills of ${pods.length} pods`, () => {
  test("Go's pods, taken over by ours: CHECK and DEL", async () => {
    await using fleet = await openNode();
    const added = await fleet.call({ program: "cnitool", verb: "add", by: "go", pods });
    expect(failures(added)).toEqual([]);
    expectDistinct(added);
    expect(failures(await fleet.call({ program: "weft", verb: "check", by: "ours", pods }))).toEqual([]);
    await expectTraffic(fleet, added);
    expect(failures(await fleet.call({ program: "weft", verb: "del", by: "ours", pods }))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
  });

  test("Go's pods of both families, checked by ours: what Go does not set up is not missed", async () => {
    await using fleet = await openNode();
    await fleet.cell.shell(dualSubnet.shell);
    const few = pods.slice(0, 3);
    expect(failures(await fleet.call({ program: "cnitool", verb: "add", by: "go", pods: few }))).toEqual([]);
    expect(failures(await fleet.call({ program: "weft", verb: "check", by: "ours", pods: few }))).toEqual([]);
    expect(failures(await fleet.call({ program: "weft", verb: "del", by: "ours", pods: few }))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
  });

  test("our pods, rolled back to Go: CHECK and DEL", async () => {
    await using fleet = await openNode();
    const added = await fleet.call({ program: "weft", verb: "add", by: "ours", pods });
    expect(failures(added)).toEqual([]);
    expectDistinct(added);
    expect(failures(await fleet.call({ program: "cnitool", verb: "check", by: "go", pods }))).toEqual([]);
    await expectTraffic(fleet, added);
    expect(failures(await fleet.call({ program: "cnitool", verb: "del", by: "go", pods }))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
  });

  test("both in turn on one store and one bridge, and each deletes the other's", async () => {
    await using fleet = await openNode();
    const by = (pod: number) => (pod % 2 === 0 ? "go" : "ours");
    const other = (pod: number) => (pod % 2 === 0 ? "ours" : "go");
    const config = () => kubeFlannel("0.4.0");
    const added = await fleet.call({ verb: "ADD", by, pods, config });
    expect(failures(added)).toEqual([]);
    expectDistinct(added);
    await expectTraffic(fleet, added);
    const withResult = (pod: number) => ({ ...config(), prevResult: JSON.parse(added[pod]?.stdout ?? "") as unknown });
    expect(failures(await fleet.call({ verb: "CHECK", by: other, pods, config: withResult }))).toEqual([]);
    expect(failures(await fleet.call({ verb: "DEL", by: other, pods, config }))).toEqual([]);
    expect(failures(await fleet.call({ verb: "DEL", by, pods, config }))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
  });

  test("a Go pod keeps address and link when an ADD of ours with its ids fails in another netns", async () => {
    await using fleet = await openNode();
    const call = { verb: "ADD", pods: [0], config: () => kubeFlannel("0.4.0") };
    const added = await fleet.call({ ...call, by: "go" });
    expect(failures(added)).toEqual([]);
    // What libcni keeps once a whole list has succeeded.
    const cached = { kind: "cniCacheV1", containerId: containerId(0), ifName: "eth0", netns: netnsOf(0) };
    fleet.cell.write(`/var/lib/cni/results/cbr0-${containerId(0)}-eth0`, JSON.stringify(cached));
    const before = await fleet.left();
    const [again] = await fleet.call({ ...call, by: "ours", env: { CNI_NETNS: netnsOf(1) } });
    expect(again?.stdout).toContain("duplicate allocation");
    expect(await fleet.left()).toEqual(before);
    await fleet.cell.shell("ping -c 1 -W 20 -q 10.244.1.1", "pod0");
  });

  test("the runtime forgot half of Go's pods and half of ours: STATUS, and GC takes those and no others", async () => {
    await using fleet = await openNode();
    const by = (pod: number) => (pod % 2 === 0 ? "go" : "ours");
    const config = () => kubeFlannel("0.4.0");
    const added = await fleet.call({ verb: "ADD", by, pods, config });
    expect(failures(added)).toEqual([]);
    const [gone, alive] = [pods.slice(0, half), pods.slice(half)];
    await fleet.end(gone);
    const newest = {
      ...kubeFlannel("1.1.0"),
      "cni.dev/valid-attachments": alive.map((pod) => ({ containerID: containerId(pod), ifname: "eth0" })),
    };
    const [first] = pods;
    const once = { by: "ours", pods: [first ?? 0], config: () => newest } as const;
    expect(failures(await fleet.call({ verb: "STATUS", ...once }))).toEqual([]);
    expect(failures(await fleet.call({ verb: "GC", ...once }))).toEqual([]);
    const kept = alive.flatMap((pod) =>
      addressesOf(added[pod] as FleetOutcome).map((address) => address.split("/")[0]),
    );
    const files = (await fleet.left()).filter((path) => path.startsWith("/"));
    expect(files.toSorted()).toEqual(
      [
        ...alive.map((pod) => `/var/lib/cni/flannel/${containerId(pod)}`),
        ...kept.map((address) => `/var/lib/cni/networks/cbr0/${address}`),
      ].toSorted(),
    );
    const withResult = (pod: number) => ({ ...config(), prevResult: JSON.parse(added[pod]?.stdout ?? "") as unknown });
    expect(failures(await fleet.call({ verb: "CHECK", by: "ours", pods: alive, config: withResult }))).toEqual([]);
    expect(failures(await fleet.call({ verb: "DEL", by: "ours", pods: alive, config }))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
  });
});
