// What `weft` makes of its words and variables, and what it says of those it cannot use.
import { afterAll, beforeAll, expect, test } from "vitest";
import { ours, plugins } from "../testing/binaries.ts";
import { shippedConflist } from "../conflists/conflists.ts";
import { describeWith } from "../testing/needs.ts";
import type { Cell } from "./cell.ts";
import { answerWith, recorderPath, takeCalls } from "./recorder.ts";
import { call, openNode } from "./weft-node.ts";

describeWith(["cell"], "weft's words", () => {
  const netns = "/var/run/netns/testing";

  let cell: Cell;
  beforeAll(async () => {
    cell = await openNode(shippedConflist("0.3.1"));
    for (const plugin of ["flannel", "portmap"]) answerWith(cell, plugin, "DEL", "exit 0");
  });
  afterAll(async () => await cell?.close());

  test("the container's id is made of the netns's path", async () => {
    const shown = async (script: string) => {
      await cell.run("/bin/sh", ["-ec", script], { env: { CNI_PATH: recorderPath, NETCONFPATH: "/run/net.d" } });
      return takeCalls(cell).map(({ env }) => [env.CNI_CONTAINERID, env.CNI_NETNS, env.CNI_IFNAME]);
    };
    const named = Array(2).fill(["cnitool-77383ca0a0715733ca6f", netns, "eth0"]);
    expect(await shown(`${ours}/weft del cbr0 ${netns}`)).toEqual(named);
    // A shell knows its directory by the name it went there by, the kernel by the real one.
    expect(await shown(`mkdir /run/real && cd /run/real && ${ours}/weft del cbr0 ../x/./y/../testing`)).toEqual([
      ...Array(2).fill([expect.stringMatching(/^cnitool-/), "/run/x/testing", "eth0"]),
    ]);
    expect(await shown(`${ours}/weft del -i net1 cbr0 ${netns}`)).toEqual(
      named.map(([id, path]) => [id, path, "net1"]),
    );
    expect(await shown(`CNI_IFNAME=a ${ours}/weft -i net1 del cbr0 ${netns}`)).toEqual(
      named.map(([id, path]) => [id, path, "net1"]),
    );
  });

  test("help and version go to standard output", async () => {
    for (const words of [["--help"], ["-h"], ["help"], ["add", "--help"]]) {
      const { exit, stdout, stderr } = await call(cell, "weft", words);
      expect([exit, stderr]).toEqual([0, ""]);
      for (const verb of ["add", "check", "del", "status", "gc", "version"])
        expect(stdout).toMatch(new RegExp(`^  weft ${verb}\\b`, "m"));
    }
    expect(await call(cell, "weft", ["version"])).toEqual({
      exit: 0,
      stdout: expect.stringMatching(
        new RegExp(`^weft \\d+\\.\\d+\\.\\d+ \\(build [0-9a-f]+\\): ${plugins.join(", ")}\n$`),
      ),
      stderr: "",
    });
  });

  test.for([
    [[], "which verb?"],
    [["ad", "cbr0", netns], 'unknown verb "ad"'],
    [["toString", "cbr0", netns], 'unknown verb "toString"'],
    [["add"], "add which NETWORK?"],
    [["del", "cbr0"], "del which NETNS?"],
    [["add", "cbr0", netns, "more"], "too many words: more"],
    [["add", "cbr0", netns, "-i"], "-i which IFNAME?"],
  ] as const)("%j is refused with the usage", async ([words, said]) => {
    const { exit, stdout, stderr } = await call(cell, "weft", words);
    expect([exit, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^weft: ${said.replace(/[?]/g, "\\?")}\n\nweft attaches`));
    expect(takeCalls(cell)).toEqual([]);
  });

  test.for([
    [["add", "cbr1", netns], {}, 'no net configuration with name "cbr1" in /run/net.d'],
    [["add", "cbr0", netns], { NETCONFPATH: "/none" }, "no net configurations found in /none"],
    [["add", "cbr0", netns], { CNI_PATH: "/none" }, 'failed to find plugin "flannel" in path [/none]'],
    [["add", "cbr0", netns], { CNI_PATH: "" }, "no paths provided"],
    [["add", "cbr0", netns], { CAP_ARGS: "[1" }, "CAP_ARGS is not JSON"],
    [["check", "cbr0", netns], {}, 'raise "cniVersion" to 0.4.0 or later'],
  ] as const)("%j %j fails, and says why", async ([words, env, said]) => {
    const { exit, stdout, stderr } = await call(cell, "weft", words, env);
    expect([exit, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(said);
    expect(takeCalls(cell)).toEqual([]);
  });
});
