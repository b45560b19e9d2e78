// iptables of either variant, real, in a netns: which it is, what it has, and what becomes of changes.
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { iptables, pathWith, saved } from "../../../testing/iptables.ts";
import { describeWith } from "../../../testing/needs.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { systemError } from "../../host/errno.ts";
import type { Host } from "../../host/host.ts";
import { automaticBackend } from "../backend.ts";
import { findIptables, findLegacyIptables, isLegacyLoaded } from "./find.ts";
import { quoted, restore } from "./restore.ts";
import { chainRemoval, deletion, optionOf, readSaved, saveTable, wordsOf } from "./save.ts";
import { quietSpawn } from "../../../testing/host.ts";

describeWith(["cell", "ip", "nft", "iptables", "legacy iptables"], "iptables", () => {
  let node: TestNode;
  let directory: string;
  const started: string[][] = [];
  beforeEach(async () => {
    node = await makeNode();
    directory = mkdtempSync(join(tmpdir(), "weft-iptables-"));
    started.length = 0;
  });
  afterEach(async () => {
    rmSync(directory, { recursive: true });
    await node.close();
  });

  const hostWith = (path: string): Host =>
    node.host({
      getenv: (name) => (name === "PATH" ? path : undefined),
      spawn: (file, argv, ...rest) => {
        started.push([...argv]);
        return quietSpawn(file, argv, ...rest);
      },
    });
  const variants = ["nft", "legacy"] as const;
  const families = [4, 6] as const;

  test.each(variants)("%s is known by what the symlinks lead to, without a process", (variant) => {
    const { path, remove } = pathWith(variant);
    const host = hostWith(path);
    for (const family of families) expect(findIptables(host, family)).toMatchObject({ family, variant });
    // The alternative beside it, where the usual one has the rules in nf_tables.
    expect(findLegacyIptables(hostWith(`${path}:/usr/sbin`), 4)).toMatchObject({ variant: "legacy" });
    expect(started).toEqual([]);
    remove();
  });

  test("a script is asked by the names beside it; what may not be executed, and relative paths, are passed over", () => {
    writeFileSync(join(directory, "iptables"), "#!/bin/sh\n");
    const host = hostWith(`.::${directory}`);
    expect(findIptables(host, 4)).toBeUndefined();
    chmodSync(join(directory, "iptables"), 0o755);
    const found = findIptables(host, 4);
    expect(found?.variant).toBe("unknown");
    expect(found?.command("save").path).toBe(join(directory, "iptables-save"));
    symlinkSync("iptables", join(directory, "ip6tables"));
    expect(findIptables(host, 6)?.command().path).toBe(join(directory, "ip6tables"));
  });

  test.each(variants.flatMap((variant) => families.map((family) => [variant, family] as const)))(
    "%s, IPv%d: changes are one process and all or nothing",
    async (variant, family) => {
      const { path, remove } = pathWith(variant);
      const host = hostWith(path);
      const tool = findIptables(host, family);
      if (tool === undefined) throw new Error("no iptables");
      const address = family === 4 ? "10.1.0.5/32" : "fd00::5/128";
      const comment = 'say "x\\y" -j DROP';
      const rules = [
        `-A POSTROUTING -s ${address} -m comment --comment ${quoted(comment)} -j OURS`,
        `-A OURS -j ACCEPT`,
        `-A OTHER -s ${address} -j RETURN`,
      ];
      const before = await saved(variant, family);
      restore(host, tool, { nat: [":OURS - [0:0]", ":OTHER - [0:0]", ...rules] });
      expect(started).toEqual([[`${family === 4 ? "iptables" : "ip6tables"}-restore`, "--noflush", "--wait", "30"]]);
      const there = saveTable(host, tool, "nat");
      expect([...there.rules].sort()).toEqual([...rules].sort());
      expect(optionOf(there.rules.find((rule) => rule.includes("POSTROUTING")) ?? "", "--comment")).toBe(comment);
      expect([...there.chains]).toEqual(expect.arrayContaining(["OURS", "OTHER", "POSTROUTING"]));

      const now = await saved(variant, family);
      expect(() => restore(host, tool, { nat: ["-A OURS -j RETURN", "-A OURS -j NOSUCH"] })).toThrow(/NOSUCH/);
      expect(await saved(variant, family)).toEqual(now);

      restore(host, tool, { nat: [...chainRemoval(there, "OURS"), ...chainRemoval(there, "OTHER")] });
      expect(await saved(variant, family)).toEqual(variant === "nft" ? [...before.slice(0, 5), "COMMIT"] : before);
      started.length = 0;
      restore(host, tool, { nat: chainRemoval(saveTable(host, tool, "nat"), "OURS") });
      expect(started.map(([name]) => name?.endsWith("-save"))).toEqual([true]);
      remove();
    },
  );

  test.each(variants)("%s: a rule is deleted whatever is in the name of its link", (variant) => {
    const { path, remove } = pathWith(variant);
    const tool = findIptables(node.host(), 4);
    const other = variant === "legacy" ? findLegacyIptables(hostWith(`${path}:/usr/sbin`), 4) : tool;
    if (other === undefined) throw new Error("no iptables");
    const said = `-m comment --comment ${quoted('it is "mine"')} -j ACCEPT`;
    const names = ['eth"9', '"eth9', 'e"th"9', "e\\th'9", "-t"];
    restore(node.host(), other, { nat: names.map((name) => `-A POSTROUTING ! -o ${quoted(name)} ${said}`) });
    const { rules } = saveTable(node.host(), other, "nat");
    expect(rules.map((rule) => [optionOf(rule, "-o"), optionOf(rule, "--comment")])).toEqual(
      names.map((name) => [name, 'it is "mine"']),
    );
    restore(node.host(), other, { nat: rules.map(deletion) });
    expect(saveTable(node.host(), other, "nat").rules).toEqual([]);
    remove();
  });

  test("a refusal carries iptables' own words", () => {
    const tool = findIptables(node.host(), 4);
    if (tool === undefined) throw new Error("no iptables");
    expect(() => restore(node.host(), tool, { nat: ["-A POSTROUTING -p nonsense"] })).toThrow(
      'iptables-restore of nat: unknown protocol "nonsense" specified',
    );
  });

  test("the older tables are loaded when somebody used them", async () => {
    expect(isLegacyLoaded(node.host(), 4, "nat")).toBe(false);
    await iptables("legacy", "- -t nat -S");
    expect(isLegacyLoaded(node.host(), 4, "nat")).toBe(true);
    expect(isLegacyLoaded(node.host(), 6, "nat")).toBe(false);
    expect(isLegacyLoaded(node.host(), 4, "filter")).toBe(false);
  });

  test.each([
    ["nft", false],
    ["legacy", true],
  ] as const)(
    "as in a user namespace nobody may read what is in use, iptables of kind %s decides",
    (variant, loaded) => {
      const { path, remove } = pathWith(variant);
      const host = node.host({
        getenv: (name) => (name === "PATH" ? path : undefined),
        readFile: (file) => {
          throw systemError("open", 13, file);
        },
      });
      expect(isLegacyLoaded(host, 4, "nat")).toBe(loaded);
      remove();
    },
  );

  test.each([
    ["nft", true, "iptables", 0],
    ["none", true, "nftables", 0],
    // Without either there is nothing to go back to.
    ["none", false, "nftables", 0],
    ["legacy", true, "iptables", 1],
    ["legacy", false, "iptables", 1],
  ] as const)("with iptables %s and nft %s the backend is %s", (variant, nft, backend, processes) => {
    const { path, remove } = pathWith(variant, nft);
    expect(automaticBackend(hostWith(path))).toBe(backend);
    expect(started).toHaveLength(processes);
    // The older tables are in use by now.
    expect(automaticBackend(hostWith(path))).toBe(backend);
    expect(started).toHaveLength(processes);
    remove();
  });

  test("iptables that fails is not chosen where there is nft", () => {
    for (const [status, backend] of [
      [1, "iptables"],
      [3, "nftables"],
    ]) {
      writeFileSync(join(directory, "iptables"), `#!/bin/sh\nexit ${status}\n`);
      chmodSync(join(directory, "iptables"), 0o755);
      expect(automaticBackend(hostWith(`${directory}:/usr/sbin`))).toBe(backend);
      expect(automaticBackend(hostWith(directory))).toBe("iptables");
    }
  });

  test("words are told from quotes, and nothing gets out of them", () => {
    expect(wordsOf(`-A X -m comment --comment "a \\"b\\" \\\\" -j Y`)).toEqual([
      "-A",
      "X",
      "-m",
      "comment",
      "--comment",
      'a "b" \\',
      "-j",
      "Y",
    ]);
    expect(() => quoted("a\nCOMMIT")).toThrow('"a\\nCOMMIT" has a control character');
    const { chains, rules } = readSaved("*nat\n:A - [0:0]\n:B ACCEPT [1:2]\n-A B -g A\nCOMMIT\n");
    expect([[...chains], rules]).toEqual([["A", "B"], ["-A B -g A"]]);
  });
});
