import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refusalOf } from "../../testing/refusal.ts";
import { atLeast, gate, parseVersion } from "./gate.ts";
import { verbs, type Verb } from "./plugin.ts";
import { allVersions, familyOf, specVersions, type SpecVersion } from "./version.ts";

describe("a version is one to three integers", () => {
  test.each([
    ["", [0, 1, 0]],
    ["1", [1, 0, 0]],
    ["1.1", [1, 1, 0]],
    ["1.1.0", [1, 1, 0]],
    ["0.3.1", [0, 3, 1]],
    ["01.002.3", [1, 2, 3]],
    ["+1.0.0", [1, 0, 0]],
    ["-1.0.0", [-1, 0, 0]],
  ])("%j is %j", (version, triple) => {
    expect(parseVersion(version)).toEqual(triple);
  });

  test.each([
    "1.0.0.0",
    "x",
    "1.x.0",
    "1..0",
    ".",
    "1.",
    " 1.0.0",
    "1.0.0\n",
    "1.0.0-rc1",
    "0x1.0.0",
    "99999999999999999999.0.0",
    "1,0",
  ])("%j is none: code 6", async (version) => {
    expect(await refusalOf(() => parseVersion(version))).toMatchObject({
      code: 6,
      message: `cannot read "cniVersion": invalid version "${version}"`,
      details: "use one of 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0",
    });
  });
});

describe("versions order by their numbers", () => {
  test.each([
    ["1.1.0", "1.1.0", true],
    ["1.1", "1.1.0", true],
    ["1", "1.0.0", true],
    ["0.10.0", "0.4.0", true],
    ["0.4.0", "0.10.0", false],
    ["1.0.0", "0.9.9", true],
    ["0.3.1", "0.4.0", false],
    ["", "0.1.0", true],
    ["", "0.2.0", false],
  ])("%j is at least %j: %j", (a, b, whether) => {
    expect(atLeast(a, b)).toBe(whether);
  });

  test("of two, one is at least the other, and both are only where they are the same", () => {
    const versions = fc.array(fc.nat(20), { minLength: 3, maxLength: 3 }).map((parts) => parts.join("."));
    fc.assert(
      fc.property(versions, versions, (a, b) => {
        expect(atLeast(a, b) || atLeast(b, a)).toBe(true);
        expect(atLeast(a, b) && atLeast(b, a)).toBe(a === b);
      }),
    );
  });
});

describe("a verb at a version", () => {
  const first: Record<Verb, number> = { ADD: 0, DEL: 0, CHECK: 4, STATUS: 6, GC: 6 };

  test.each(verbs.flatMap((verb) => specVersions.map((version, at) => [verb, version, at >= first[verb]] as const)))(
    "%s at %s is allowed: %j",
    async (verb, version, allowed) => {
      if (allowed) return expect(gate(verb, version, allVersions)).toBe(version);
      expect(await refusalOf(() => gate(verb, version, allVersions))).toMatchObject({
        code: 1,
        message: `config version does not allow ${verb}`,
        details: `config is "${version}"; ${verb} came with ${specVersions[first[verb]]}`,
      });
    },
  );

  test("no version is 0.1.0", async () => {
    expect(gate("ADD", "", allVersions)).toBe("0.1.0");
    expect(await refusalOf(() => gate("CHECK", "", allVersions))).toMatchObject({ code: 1 });
  });

  test.each<[Verb, string, readonly SpecVersion[], number, string]>([
    ["ADD", "1.1", allVersions, 1, "incompatible CNI versions"],
    ["ADD", "0.5.0", allVersions, 1, "incompatible CNI versions"],
    ["ADD", "2.0.0", allVersions, 1, "incompatible CNI versions"],
    ["ADD", "0.2.0", ["0.4.0"], 1, "incompatible CNI versions"],
    ["ADD", "x", allVersions, 1, "incompatible CNI versions"],
    ["DEL", "1.0.0.0", allVersions, 1, "incompatible CNI versions"],
    ["CHECK", "x", allVersions, 6, 'cannot read "cniVersion": invalid version "x"'],
    ["CHECK", "1.0.0.0", allVersions, 6, 'cannot read "cniVersion": invalid version "1.0.0.0"'],
    ["CHECK", "0.5.0", allVersions, 1, "incompatible CNI versions"],
    ["CHECK", "1.1", allVersions, 1, "incompatible CNI versions"],
    ["CHECK", "1.2.0", allVersions, 1, "plugin version does not allow CHECK"],
    ["CHECK", "1.1.0", ["0.4.0", "1.0.0"], 1, "plugin version does not allow CHECK"],
    ["STATUS", "1.1.1", allVersions, 1, "plugin version does not allow STATUS"],
    ["GC", "1.1", allVersions, 1, "incompatible CNI versions"],
    ["GC", "1.0", allVersions, 1, "config version does not allow GC"],
  ])("%s at %j, of %j: code %i, %s", async (verb, version, supported, code, message) => {
    expect(await refusalOf(() => gate(verb, version, supported))).toMatchObject({ code, message });
  });

  test("a refusal says which versions there are", async () => {
    expect(await refusalOf(() => gate("ADD", "0.5.0", ["0.4.0", "1.0.0"]))).toMatchObject({
      details: 'config is "0.5.0", plugin supports ["0.4.0" "1.0.0"]; set "cniVersion" to one of 0.4.0, 1.0.0',
    });
  });
});

test.each([
  ["0.1.0", "0.2"],
  ["0.2.0", "0.2"],
  ["0.3.0", "0.4"],
  ["0.3.1", "0.4"],
  ["0.4.0", "0.4"],
  ["1.0.0", "1.x"],
  ["1.1.0", "1.x"],
] as const)("%s has the result structure %s", (version, family) => {
  expect(familyOf(version)).toBe(family);
});
