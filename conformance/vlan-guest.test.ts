// bridge's VLANs, which few kernels of test machines have: played in a guest by ours and by the Go plugins, and held
// against each other. `bridge vlan`, `ip` and frames judge.
import { beforeAll, expect, test } from "vitest";
import { embedded, reference } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { explain, leftByFailures } from "./compare.ts";
import type { Difference } from "./difference.ts";
import { differences } from "./differences.ts";
import { playInGuests, type GuestReport, type GuestStep } from "./guest/guest.ts";
import { playOf } from "./guest/play.ts";
import { scenarios } from "./guest/scenarios.ts";

const file = "vlan-guest";

describeWith(
  ["cell", "ip", "go", "qemu", "cpio", "busybox", "guest kernel", "embedded build"],
  "VLANs in a guest, by the embedded engine alone",
  () => {
    let report: GuestReport;
    const seen = new Set<string>();
    let done = 0;

    beforeAll(async () => {
      report = await playInGuests(scenarios, { ours: embedded, go: reference });
    }, 2_000_000);

    test.for(scenarios.map((scenario, at) => ({ scenario, at, name: scenario.name })))("$name", ({ scenario, at }) => {
      const [go = [], mine = []] = [report.go[at], report.ours[at]];
      expect([go.length, mine.length]).toEqual([scenario.steps.length, scenario.steps.length]);
      const wanted = scenario.steps.map((step) => ("shell" in step ? (step.exits ?? 0) : undefined));
      const exits = (steps: readonly GuestStep[]) =>
        steps.map(({ exit }, step) => (wanted[step] === undefined ? undefined : exit));
      expect({ go: exits(go), ours: exits(mine) }).toEqual({ go: wanted, ours: wanted });

      const ours = playOf(scenario, mine);
      const { named, unexplained } = explain(file, scenario.name, playOf(scenario, go), ours);
      for (const name of named) seen.add(name);
      done += 1;
      expect([...unexplained, ...leftByFailures(ours)]).toEqual([]);
    });

    test("every difference that is allowed here is still there", ({ skip }) => {
      if (done < scenarios.length) skip("only some of the scenarios were looked at");
      const allowed = Object.entries<Difference>(differences).filter(([, rule]) => rule.in.includes(file));
      expect(allowed.map(([name]) => name).filter((name) => !seen.has(name))).toEqual([]);
    });
  },
);
