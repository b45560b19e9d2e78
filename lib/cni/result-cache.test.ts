import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { describeWith } from "../../testing/needs.ts";
import { livesByCache } from "./result-cache.ts";

const results = "/var/lib/cni/results";

describeWith(["cell"], "whether an attachment lives by the runtime's cache", () => {
  beforeAll(() => void mkdirSync(results, { recursive: true }));
  afterAll(() => rmSync(results, { recursive: true }));

  test.each<[string, string, string | undefined, boolean]>([
    ["nothing is kept of it", "c0", undefined, false],
    ["nothing can be kept of it, for no file has so long a name", "c".repeat(250), undefined, false],
    ["what is kept is torn: in doubt it does", "c1", '{"netns":"/run', true],
    ["its netns is there", "c2", '{"netns":"/proc/self/ns/net"}', true],
    ["its netns is gone", "c3", '{"netns":"/run/netns/gone"}', false],
  ])("%s", (_what, containerId, kept, lives) => {
    const name = `net-${containerId}-eth0`;
    if (kept !== undefined) writeFileSync(`${results}/${name}`, kept);
    expect(livesByCache(testHost({}).host, name)).toBe(lives);
  });
});
