// `weft` beside cnitool on kube-flannel's own list: whichever of the two makes a call, the plugins are called alike, it prints
// and keeps the same, and the other can go on from there. The plugins are ours, behind recorders.
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { stockConflist, shippedConflist } from "../conflists/conflists.ts";
import { describeWith } from "../testing/needs.ts";
import type { Cell } from "./cell.ts";
import { answerWith, takeCalls, unescaped } from "./recorder.ts";
import { call, openNode, results, type Tool } from "./weft-node.ts";

/** One call of whichever tool's turn it is, or a deed of the node's. */
interface Step {
  readonly verb?: string;
  readonly pod?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly shell?: string;
  readonly fails?: true;
}

/** The kept results, as JSON, with their modes. */
function kept(cell: Cell) {
  if (!existsSync(cell.path(results))) return "nothing";
  const mode = (path: string) => (statSync(path).mode & 0o7777).toString(8);
  const files = readdirSync(cell.path(results)).map((name) => {
    const path = cell.path(`${results}/${name}`);
    return [name, { mode: mode(path), cached: JSON.parse(readFileSync(path, "utf8")) }];
  });
  return { mode: mode(cell.path(results)), files: Object.fromEntries(files) };
}

/** Drawn values by the order in which they are seen: two runs draw differently. */
function named(text: string): string {
  const seen = new Map<string, string>();
  return text.replace(/(?:[0-9a-f]{2}:){5}[0-9a-f]{2}|veth[0-9a-f]{8}/g, (drawn) => {
    if (!seen.has(drawn)) seen.set(drawn, `drawn ${seen.size}`);
    return seen.get(drawn) ?? "";
  });
}

/** Plays the steps on a new node, the tools taking turns, and tells all that could be seen of it. */
async function play(conflist: string, steps: readonly Step[], turns: readonly Tool[]) {
  await using cell = await openNode(conflist);
  const seen = [];
  let turn = 0;
  for (const { verb, pod = "pod", env, shell, fails } of steps) {
    if (shell !== undefined) await cell.shell(shell);
    if (verb === undefined) continue;
    const tool = turns[turn++ % turns.length] ?? "weft";
    const { exit, stdout, stderr } = await call(cell, tool, [verb, "cbr0", `/run/netns/${pod}`], env);
    expect(`${verb}: exit ${exit} ${exit === 0 ? "" : stderr}`).toMatch(fails ? /exit 1 ./ : /exit 0/);
    const calls = takeCalls(cell).map((each) => ({ ...each, stdin: unescaped(each.stdin) }));
    seen.push({ verb, exit, stdout: unescaped(stdout), calls, kept: kept(cell) });
  }
  return JSON.parse(named(JSON.stringify(seen))) as typeof seen;
}

const args = {
  CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=web",
  CAP_ARGS: '{"portMappings":[{"hostPort":80,"containerPort":8080,"protocol":"tcp"}]}',
};
const life: readonly Step[] = [
  { verb: "add", env: args },
  { verb: "add", pod: "other" },
  { verb: "add", pod: "other", env: { CNI_IFNAME: "net1" } },
  { verb: "check", env: args },
  { verb: "check", pod: "other", env: { CNI_IFNAME: "net1" } },
  { verb: "del", env: args },
  { verb: "del", env: args },
  { verb: "del", pod: "other", env: { CNI_IFNAME: "net1" } },
  { verb: "del", pod: "other" },
];
const uncheckable = life.map((step): Step => (step.verb === "check" ? { ...step, fails: true } : step));

const at = (version: string): string => {
  const { plugins, ...list } = JSON.parse(shippedConflist("0.3.1"));
  return JSON.stringify({ ...list, cniVersion: version, plugins });
};
const fresh = `rm -rf ${results}/*`;

const stories: readonly { name: string; conflist: string; steps: readonly Step[] }[] = [
  { name: "the stock list", conflist: shippedConflist("0.3.1"), steps: uncheckable },
  { name: "raised to 0.4.0", conflist: at("0.4.0"), steps: life },
  { name: "raised to 1.0.0", conflist: at("1.0.0"), steps: life },
  {
    name: "the 1.1.0 list",
    conflist: shippedConflist("1.1.0"),
    steps: [{ verb: "status" }, ...life, { verb: "status", shell: "rm /run/flannel/subnet.env", fails: true }],
  },
  {
    name: "what a plugin refuses",
    conflist: at("1.0.0"),
    steps: [
      { verb: "add", shell: "mv /run/flannel/subnet.env /run/away", fails: true },
      { verb: "add", shell: "mv /run/away /run/flannel/subnet.env" },
      { verb: "check", shell: "ip -n pod link set eth0 down; ip -n pod addr flush dev eth0", fails: true },
      { verb: "del", shell: "echo 'echo no >&2; exit 3' >/run/answers/portmap.DEL", fails: true },
      { verb: "del", shell: "rm /run/answers/portmap.DEL" },
    ],
  },
  {
    name: "a result that is not kept any more",
    conflist: at("1.0.0"),
    steps: [{ verb: "add" }, { verb: "check", shell: fresh, fails: true }, { verb: "del" }],
  },
  {
    name: "a result kept before there was a format",
    conflist: at("1.0.0"),
    steps: [
      { verb: "add" },
      {
        verb: "check",
        shell: `for file in ${results}/*; do ${process.execPath} -e 'const fs = require("fs"); const file = process.argv[1]; fs.writeFileSync(file, JSON.stringify(JSON.parse(fs.readFileSync(file)).result))' $file; done`,
      },
      { verb: "del" },
    ],
  },
  {
    name: "a list whose version was raised meanwhile",
    conflist: at("0.3.1"),
    steps: [
      { verb: "add" },
      { verb: "check", shell: "sed -i s/0.3.1/1.1.0/ /run/net.d/10-flannel.conflist" },
      { verb: "del" },
    ],
  },
  {
    name: "gc of a list that is not 1.1.0",
    conflist: at("1.0.0"),
    steps: [
      { verb: "add", env: args },
      { verb: "add", pod: "other", env: { CNI_IFNAME: "net1" } },
      { verb: "gc", shell: "umount /run/netns/other && rm /run/netns/other" },
      { verb: "gc" },
    ],
  },
];

const turns: readonly { name: string; tools: readonly Tool[] }[] = [
  { name: "weft alone", tools: ["weft"] },
  { name: "weft, then cnitool", tools: ["weft", "cnitool"] },
  { name: "cnitool, then weft", tools: ["cnitool", "weft"] },
];

describeWith(["cell", "ip", "go"], "weft beside cnitool", () => {
  describe.each(stories)("$name", ({ conflist, steps }) => {
    let go: Awaited<ReturnType<typeof play>>;
    beforeAll(async () => {
      go = await play(conflist, steps, ["cnitool"]);
    });
    test.for(turns)("$name", async ({ tools }) => expect(await play(conflist, steps, tools)).toEqual(go));
  });

  test("what cannot be read of the cache fails a CHECK and does not keep a DEL", async () => {
    for (const [adds, goesOn] of [
      ["weft", "cnitool"],
      ["cnitool", "weft"],
    ] as const) {
      await using cell = await openNode(at("1.0.0"));
      expect((await call(cell, adds, ["add", "cbr0", "/run/netns/pod"])).exit).toBe(0);
      await cell.shell(`for file in ${results}/*; do echo '{' >$file; done`);
      expect((await call(cell, goesOn, ["check", "cbr0", "/run/netns/pod"])).exit).toBe(1);
      expect((await call(cell, goesOn, ["del", "cbr0", "/run/netns/pod"])).exit).toBe(0);
      expect(kept(cell)).toEqual({ mode: "700", files: {} });
      expect(await cell.shell("ls /var/lib/cni/networks/cbr0")).not.toContain("10.244");
    }
  });

  test("gc of a 1.1.0 list: DEL of what is kept as cnitool's, then GC that says nobody is valid", async () => {
    const played = async (tool: Tool) => {
      await using cell = await openNode(JSON.stringify(stockConflist("1.1.0")));
      for (const pod of ["pod", "other"]) await call(cell, "cnitool", ["add", "cbr0", `/run/netns/${pod}`], args);
      // A reservation of a container that nobody remembers: no DEL will come for it.
      await cell.shell("printf 'dead\\r\\neth0' >/var/lib/cni/networks/cbr0/10.244.1.99");
      takeCalls(cell);
      const { exit, stdout } = await call(cell, tool, ["gc", "cbr0", "/run/netns/pod"]);
      const calls = takeCalls(cell);
      const left = await cell.shell(
        "ls /var/lib/cni/networks/cbr0 /var/lib/cni/results /var/lib/cni/flannel; ip -br link show type veth",
      );
      return {
        exit,
        stdout,
        left,
        dels: calls.filter((each) => each.env.CNI_COMMAND === "DEL"),
        gcs: calls.filter((each) => each.env.CNI_COMMAND === "GC"),
      };
    };
    const [go, mine] = [await played("cnitool"), await played("weft")];
    const plain = (value: unknown) => JSON.parse(named(JSON.stringify(value)));
    expect(plain([mine.exit, mine.stdout, mine.dels])).toEqual(plain([go.exit, go.stdout, go.dels]));
    // Two pods, two plugins.
    expect(mine.dels).toHaveLength(4);
    const valid = { "cni.dev/valid-attachments": [], "cni.dev/attachments": [] };
    const withoutKeys = (stdin: string) => ({
      ...JSON.parse(stdin),
      "cni.dev/valid-attachments": 0,
      "cni.dev/attachments": 0,
    });
    expect(mine.gcs.map(({ env }) => env)).toEqual(go.gcs.map(({ env }) => env));
    expect(mine.gcs.map(({ stdin }) => withoutKeys(stdin))).toEqual(go.gcs.map(({ stdin }) => withoutKeys(stdin)));
    for (const { stdin } of mine.gcs) expect(JSON.parse(stdin)).toMatchObject(valid);
    // cnitool gives GC no list at all, so that a plugin can remove nothing.
    expect(go.left).toContain("10.244.1.99");
    expect(mine.left).not.toMatch(/10\.244|cnitool|veth/);
  });

  test("gc with disableGC does nothing", async () => {
    await using cell = await openNode(JSON.stringify({ ...stockConflist("1.1.0"), disableGC: true }));
    await call(cell, "weft", ["add", "cbr0", "/run/netns/pod"]);
    takeCalls(cell);
    expect(await call(cell, "weft", ["gc", "cbr0"])).toEqual({ exit: 0, stdout: "", stderr: "" });
    expect(takeCalls(cell)).toEqual([]);
    expect(await cell.shell(`ls ${results}`)).toMatch(/^cbr0-cnitool-[0-9a-f]{20}-eth0\n$/);
  });

  test("gc goes on after a DEL that fails, and says so at the end", async () => {
    await using cell = await openNode(shippedConflist("1.1.0"));
    for (const pod of ["pod", "other"]) await call(cell, "weft", ["add", "cbr0", `/run/netns/${pod}`]);
    takeCalls(cell);
    answerWith(cell, "portmap", "DEL", `case $CNI_NETNS in */pod) echo '{"code":100,"msg":"not now"}'; exit 1; esac`);
    const { exit, stderr } = await call(cell, "weft", ["gc", "cbr0"]);
    expect([exit, stderr]).toEqual([
      1,
      expect.stringMatching(/^failed to delete stale attachment cnitool-[0-9a-f]{20} eth0: .*portmap.*not now\n$/),
    ]);
    const verbs = takeCalls(cell).map(({ plugin, env }) => `${plugin} ${env.CNI_COMMAND}`);
    expect(verbs.filter((each) => each.endsWith("GC"))).toEqual(["flannel GC", "portmap GC"]);
    expect(verbs).toContain("flannel DEL");
  });
});
