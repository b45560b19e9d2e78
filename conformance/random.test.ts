// Both implementations on the same random configurations. A failure prints the seed and the configuration; the seed is
// fixed, so that a run can be had again and a failure is not chance.
import fc from "fast-check";
import { expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { explain, leftByFailures, playBoth } from "./compare.ts";
import { bridgeScenario, hostLocalScenario } from "./random.ts";
import type { Play, Scenario } from "./scenario.ts";

const seed = 1750;

/** Plays scenarios and returns how ADD went in each, so that a test can see that both kinds were among them. */
async function compareRandom(file: string, scenarios: fc.Arbitrary<Scenario>, numRuns: number): Promise<Set<number>> {
  const exits = new Set<number>();
  const adds = ({ steps }: Play) => steps.filter(({ did }) => did.startsWith("ADD"));
  await fc.assert(
    fc.asyncProperty(scenarios, async (scenario) => {
      const [go, mine] = await playBoth(scenario);
      for (const { exit = -1 } of adds(mine)) exits.add(exit);
      expect([...explain(file, scenario.name, go, mine).unexplained, ...leftByFailures(mine)]).toEqual([]);
    }),
    // Each run costs two nodes; the configurations are small enough to be read as they are.
    { seed, numRuns, endOnFailure: true },
  );
  return exits;
}

describeWith(["cell", "ip", "go"], "random configurations, ours beside the Go plugins", () => {
  test("host-local", async () => {
    expect(await compareRandom("host-local", hostLocalScenario, 24)).toEqual(new Set([0, 1]));
  });

  test("bridge", async () => {
    expect(await compareRandom("bridge", bridgeScenario, 14)).toEqual(new Set([0, 1]));
  });
});
