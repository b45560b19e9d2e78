// Two runs of one scenario, held against each other. A difference that differences.ts does not name is a failure, and so
// is one that it names and nobody sees any more.
import { describe, expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { ours, reference } from "../testing/binaries.ts";
import type { Difference } from "./difference.ts";
import { differences } from "./differences.ts";
import { play, type Bins, type Play, type Played, type Scenario } from "./scenario.ts";

export interface Found {
  /** Where in what was kept: `2.state.node.links.cni0.mtu`. */
  readonly path: string;
  readonly go: unknown;
  readonly ours: unknown;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** All places where two values differ; a place one of them lacks is one difference, with all below it. */
export function findDifferences(go: unknown, mine: unknown, path = ""): Found[] {
  if (Object.is(go, mine)) return [];
  if (!isObject(go) || !isObject(mine) || Array.isArray(go) !== Array.isArray(mine)) return [{ path, go, ours: mine }];
  const keys = new Set([...Object.keys(go), ...Object.keys(mine)]);
  return [...keys].flatMap((key) => findDifferences(go[key], mine[key], path === "" ? key : `${path}.${key}`));
}

/** What differs between two runs of a scenario. Results that differ in content are not also held to one order of keys. */
export function findBetween(go: Play, mine: Play): Found[] {
  const found = findDifferences(go.steps, mine.steps);
  const steps = new Set(found.flatMap(({ path }) => /^(\d+)\.stdout\b/.exec(path)?.[1] ?? []));
  return found.filter(({ path }) => !steps.has(/^(\d+)\.keys\b/.exec(path)?.[1] ?? ""));
}

/** The bridge itself and forwarding are the node's, and stay; a link's carrier is the kernel's. */
const shared =
  /^node\.(links\.(br\d+|cni0)(\.|$)|routes\.v6\.|sysctls\.)|^node\.links\.\w+\.sysctls\.ipv[46]\/forwarding$/;

/** Locks stay, and so do the place at which the next allocation begins and the mark of a boot's first ADD. */
const sharedFile = /\/$|^\/run\/cni\/(locks\/|host-local-first-add)|\/(lock|last_reserved_ip\.\d+)(\.mode|\.content)?$/;

/** What failed ADDs of ours left on the node: nothing. */
export function leftByFailures({ start, steps }: Play): string[] {
  return steps.flatMap(({ did, exit, state, files }, at) => {
    if (!did.startsWith("ADD") || exit === 0) return [];
    const earlier = steps[at - 1];
    const changed = findDifferences(earlier?.files ?? {}, files).filter(({ path }) => !sharedFile.test(path));
    const before = at === 0 ? start : earlier?.state;
    const looked = state !== undefined && before !== undefined;
    const left = looked ? findDifferences(before, state).filter(({ path }) => !shared.test(path)) : [];
    return [...changed, ...left].map(({ path }) => `${at} (${did}) left ${path}`);
  });
}

/** The names of the differences that explain what was found between two runs, and what nothing explains. */
export function explain(
  file: string,
  scenario: string,
  go: Play,
  mine: Play,
): { named: string[]; unexplained: string[] } {
  const rules = Object.entries<Difference>(differences).filter(
    ([, rule]) => rule.in.includes(file) && (rule.scenario?.test(scenario) ?? true),
  );
  const named = new Set<string>();
  const unexplained = findBetween(go, mine).filter(({ path, go: a, ours: b }) => {
    const at = Number(/^\d+/.exec(path)?.[0]);
    const [one, two] = [go.steps[at], mine.steps[at]];
    const rule = rules.find(
      ([, { path: where, fits, step }]) =>
        where.test(path) &&
        (fits?.(a, b) ?? true) &&
        (step === undefined || (one !== undefined && two !== undefined && step(one, two))),
    );
    if (rule !== undefined) named.add(rule[0]);
    return rule === undefined;
  });
  return { named: [...named], unexplained: unexplained.map((each) => told(each, go.steps)) };
}

/** One difference in one line: the step, where, what Go has, what ours has. */
export function told(found: Found, go: readonly Played[]): string {
  const [step = "", ...where] = found.path.split(".");
  const did = go[Number(step)]?.did;
  return `${step} (${did}) ${where.join(".")}: Go ${JSON.stringify(found.go)}, ours ${JSON.stringify(found.ours)}`;
}

const bins: Bins = { ours, go: reference };

/** Plays a scenario with Go's and with ours, side by side on nodes of their own. */
export async function playBoth(scenario: Scenario): Promise<readonly [Play, Play]> {
  return await Promise.all([play(scenario, "go", bins), play(scenario, "ours", bins)]);
}

/** Plays a scenario with Go's twice: what differs then is chance. */
export async function playGoTwice(scenario: Scenario): Promise<readonly [Play, Play]> {
  return await Promise.all([play(scenario, "go", bins), play(scenario, "go", bins)]);
}

/** Makes a test of each scenario, and one that every difference allowed in this file has been seen. */
export function compareAll(file: string, scenarios: readonly Scenario[]): void {
  describeWith(["cell", "ip", "go"], `${file}, ours beside the Go plugins`, () => {
    const seen = new Set<string>();
    let done = 0;
    describe("same", () => {
      test.for(scenarios)("$name", async (scenario) => {
        const [go, mine] = await playBoth(scenario);
        const { named, unexplained } = explain(file, scenario.name, go, mine);
        for (const name of named) seen.add(name);
        done += 1;
        expect([...unexplained, ...leftByFailures(mine)]).toEqual([]);
      });
    });
    test("every difference that is allowed here is still there", ({ skip }) => {
      if (done < scenarios.length) skip("only some of the scenarios were run");
      const allowed = Object.entries<Difference>(differences).filter(([, rule]) => rule.in.includes(file));
      expect(allowed.map(([name]) => name).filter((name) => !seen.has(name))).toEqual([]);
    });
  });
}
