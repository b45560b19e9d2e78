// Which plugins a directory of network lists means, and what each of them is told: `weft` beside cnitool, with plugins
// that write it down. What a plugin is given must be the same to the byte.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rmSync } from "node:fs";
import { ours, reference } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { Cell } from "./cell.ts";
import { answerWith, placeRecorders, recorderPath, takeCalls, unescaped } from "./recorder.ts";
import { layouts, type Layout } from "./weft-layouts.ts";

describeWith(["cell", "go"], "network lists, weft beside cnitool", () => {
  let cell: Cell;
  beforeAll(async () => {
    cell = await Cell.open();
    placeRecorders(cell, ["one", "two"], "/none");
    for (const name of ["one", "two"])
      answerWith(
        cell,
        name,
        "ADD",
        `echo '{"ips":[{"version":"4","address":"10.1.0.5/24","x":1}],"routes":[{"gw":"10.1.0.1","dst":"0.0.0.0/0"}],"dns":{},"interfaces":[{"name":"${name}","mac":"0a:58:00:00:00:01"}],"ip4":{"ip":"10.1.0.5/24"}}'`,
      );
  });
  afterAll(async () => await cell?.close());

  async function playLayout(tool: string, { files, verbs = ["add"], env = {} }: Layout) {
    for (const path of ["/run/net.d", "/var/lib/cni/results"])
      rmSync(cell.path(path), { recursive: true, force: true });
    await cell.shell("mkdir /run/net.d");
    for (const [name, content] of Object.entries(files))
      cell.write(`/run/net.d/${name}`, typeof content === "string" ? content : JSON.stringify(content));
    const seen = [];
    for (const verb of verbs) {
      const args = [verb, "net", "/run/netns/pod"];
      const done = await cell.run(tool, args, { env: { CNI_PATH: recorderPath, NETCONFPATH: "/run/net.d", ...env } });
      const calls = takeCalls(cell).map((call) => ({ ...call, stdin: unescaped(call.stdin) }));
      seen.push({ verb, exit: done.exit, stdout: done.stdout, stderr: done.stderr, calls });
    }
    return seen;
  }

  describe("same calls", () => {
    test.for(layouts)("$name", async (layout) => {
      const go = await playLayout(`${reference}/cnitool`, layout);
      const mine = await playLayout(`${ours}/weft`, layout);
      const told = (steps: typeof go) => steps.map(({ verb, exit, stdout, calls }) => ({ verb, exit, stdout, calls }));
      expect(told(mine)).toEqual(told(go));
      expect(mine.some(({ exit }) => exit !== 0)).toBe(layout.fails ?? false);
      expect(mine.filter(({ exit, stderr }) => exit !== 0 && stderr === "")).toEqual([]);
      const calls = mine.flatMap((step) => step.calls).length;
      if (layout.fails === undefined) expect(calls > 0).toBe(layout.asksNobody === undefined);
    });
  });
});
