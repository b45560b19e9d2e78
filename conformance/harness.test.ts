// Judges the judge: what it takes for chance is chance, and it sees what it is there to see.
import { expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { findDifferences, playGoTwice } from "./compare.ts";
import { call, dualSubnet, hostLocal, kubeFlannel } from "./configs.ts";
import type { Scenario } from "./scenario.ts";

const chain: Scenario = {
  name: "the flannel chain, two pods, dual stack",
  look: "node",
  pods: ["pod", "other"],
  steps: [
    dualSubnet,
    call("ADD", "flannel", kubeFlannel("0.3.1")),
    call("ADD", "flannel", kubeFlannel("0.3.1"), { pod: "other", env: { CNI_CONTAINERID: "f00d" } }),
    call("DEL", "flannel", kubeFlannel("0.3.1")),
  ],
};

describeWith(["cell", "ip", "go"], "Go beside itself", () => {
  test("nothing differs", async () => {
    const [one, two] = await playGoTwice(chain);
    expect(one.steps.map(({ exit }) => exit)).toEqual([undefined, 0, 0, 0]);
    expect(findDifferences(one, two)).toEqual([]);
  });

  test("one address, one flag, one file mode more is seen", async () => {
    const [one, two] = await playGoTwice({
      name: "host-local",
      steps: [call("ADD", "host-local", hostLocal({ subnet: "10.9.0.0/29" }))],
    });
    expect(findDifferences(one, two)).toEqual([]);
    const files = one.steps[0]?.files ?? {};
    expect(Object.keys(files)).toContain("/var/lib/cni/networks/net/10.9.0.2");
    const changed = structuredClone(two);
    Object.assign(changed.steps[0]?.files["/var/lib/cni/networks/net/10.9.0.2"] ?? {}, { mode: "0644" });
    expect(findDifferences(one, changed).map(({ path }) => path)).toEqual([
      "steps.0.files./var/lib/cni/networks/net/10.9.0.2.mode",
    ]);
  });
});
