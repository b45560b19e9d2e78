// Everything at once: a node that comes up has no bridge, and two hundred pods ask for it in the same second; a node that
// is drained loses them as fast, half of them with their netns gone already.
import { expect, test } from "vitest";
import { engine } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { kubeFlannel, kubeSubnet } from "./configs.ts";
import { addressesOf, failures, Fleet, range, type FleetCall } from "./fleet.ts";

const pods = range(0, 200);
const half = pods.length / 2;
/** Two hundred processes of the Node engine would need more memory than a small machine has. */
const parallel = engine === "node" ? 24 : pods.length;
const config = () => kubeFlannel("0.3.1");

/** What Go's plugins say where they get in each other's way; ours never do. */
const goRaces = /file exists|could not set bridge's mac|resource busy|no such device/;

const crowds: readonly { name: string; by: FleetCall["by"] }[] = [
  { name: "ours alone", by: "ours" },
  { name: "ours and Go's side by side", by: (pod) => (pod % 2 === 0 ? "ours" : "go") },
];

describeWith(["cell", "ip", "ping", "go"], `storms of ${pods.length} calls, ${parallel} at once`, () => {
  test.for(crowds)("$name", async ({ by }) => {
    await using fleet = await Fleet.open(pods.length);
    await fleet.cell.shell(kubeSubnet.shell);
    const isOurs = (pod: number) => (typeof by === "function" ? by(pod) : by) === "ours";

    const added = await fleet.call({ verb: "ADD", by, pods, config, parallel });
    expect(failures(added.filter(({ pod }) => isOurs(pod)))).toEqual([]);
    for (const failure of failures(added)) expect(failure).toMatch(goRaces);
    const up = added.filter(({ exit }) => exit === 0);

    // Every pod has the address it was told, and no other pod has it.
    const told = up.map((outcome) => ({ pod: outcome.pod, addresses: addressesOf(outcome) }));
    expect(new Set(told.flatMap(({ addresses }) => addresses)).size).toBe(up.length);
    const inside = await fleet.cell.shell(
      `cd /run/netns; for pod in pod*; do echo $pod $(nsenter --net=$pod ip -4 -o addr show eth0 | awk '{print $4}'); done`,
    );
    const found = new Map(
      inside
        .trim()
        .split("\n")
        .map((line) => line.split(" ") as [string, string]),
    );
    expect(told.filter(({ pod, addresses }) => found.get(`pod${pod}`) !== addresses[0])).toEqual([]);
    const ports = await fleet.ip("link show master cni0");
    expect(ports.filter(({ operstate }) => operstate === "UP").length).toBeGreaterThanOrEqual(up.length);
    const [first, last] = [told[0], told.at(-1)];
    await fleet.cell.shell(`ping -c 1 -W 20 -q ${last?.addresses[0]?.split("/")[0]}`, `pod${first?.pod}`);

    await fleet.end(pods.slice(half));
    const deleted = await fleet.call({ verb: "DEL", by, pods, config, parallel });
    expect(failures(deleted.filter(({ pod }) => isOurs(pod)))).toEqual([]);
    // Go's may lose a race against the kernel, which takes the links of a netns that is gone; the runtime's next try is ours.
    for (const failure of failures(deleted)) expect(failure).toMatch(goRaces);
    expect(failures(await fleet.call({ verb: "DEL", by: "ours", pods, config, parallel }))).toEqual([]);
    expect(await fleet.left()).toEqual([]);
  });
});
