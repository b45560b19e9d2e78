// Walks every import of the product and holds it to the table in docs/structure.md.
import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(import.meta.dirname, "..");

/** room -> rooms it may import from, as the page states it. */
function statedLayers(): Map<string, string[]> {
  const layers = new Map<string, string[]>();
  for (const line of readFileSync(join(root, "docs/structure.md"), "utf8").split("\n")) {
    const [, room, , allowed] = line.split("|").map((cell) => cell.trim());
    const name = room?.match(/^`(.+)`$/)?.[1];
    if (name !== undefined)
      layers.set(
        name,
        [...(allowed ?? "").matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""),
      );
  }
  return layers;
}

const layers = statedLayers();
const roomOf = (file: string) =>
  [...layers.keys()]
    .filter((room) => file === room || file.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0];

interface Import {
  from: string;
  to: string;
  typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(root, file), "utf8");
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^;"']*?from\s+"([^"]+)"|import\(\s*"([^"]+)"\s*\)/g,
  );
  return [...found].flatMap((match): Import[] => {
    const target = match[2] ?? match[3] ?? "";
    if (target === "#host") return [{ from: file, to: "lib/host", typeOnly: false }];
    if (!target.startsWith("."))
      return target === "host" || target.startsWith("#generated/") ? [] : [{ from: file, to: target, typeOnly: false }];
    return [{ from: file, to: normalize(join(dirname(file), target)), typeOnly: match[1] !== undefined }];
  });
}

function allowed({ from, to, typeOnly }: Import): boolean {
  const room = roomOf(from);
  if (room === undefined) return false;
  if (to === "lib/host/host.ts" && typeOnly) return true;
  if (roomOf(to) === room && to.startsWith(room)) return true;
  return (layers.get(room) ?? []).some((rule) =>
    rule === "plugins/*" ? /^plugins\/[^/]+\/index\.ts$/.test(to) : to === rule || to.startsWith(`${rule}/`),
  );
}

const files = globSync(["lib/**/*.ts", "plugins/**/*.ts", "weft/**/*.ts"], { cwd: root })
  .filter((file) => !file.endsWith(".test.ts") && !/^lib\/host\/node(-\w+)?\.ts$/.test(file))
  .sort();

describe("layering", () => {
  test("the page names the rooms there are", () => {
    expect(layers.size).toBeGreaterThan(8);
    expect(files.filter((file) => roomOf(file) === undefined)).toEqual([]);
  });

  test("every import points to a room its own room may use", () => {
    const imports = files.flatMap(importsOf);
    expect(imports.length).toBeGreaterThan(20);
    expect(imports.filter((each) => !allowed(each)).map((each) => `${each.from} imports ${each.to}`)).toEqual([]);
  });
});
