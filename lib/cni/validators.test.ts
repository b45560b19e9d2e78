import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { refusalOf } from "../../testing/refusal.ts";
import { checkContainerId, checkIfName, checkNetworkName } from "./validators.ts";

const names = ["a", "A", "0", "a-", "a.", "a_", "a..", "Z9_.-", "a".repeat(1000)];
const noNames = [
  "-a",
  ".a",
  "_a",
  "..",
  "a/b",
  "a b",
  "a\n",
  "\na",
  "ä",
  "aä",
  "a:b",
  "a;b",
  "a\\",
  "\u017f",
  "a\u0000",
];

describe("a container id", () => {
  test.each([...names])("%j is one", (id) => {
    expect(checkContainerId(id)).toBeUndefined();
  });

  test.each([...noNames, ""])("%j is none: code 4", async (id) => {
    expect(await refusalOf(() => checkContainerId(id))).toMatchObject({
      code: 4,
      message: "invalid characters in containerID",
      details: expect.stringContaining(`${id}${id === "" ? "" : "; "}CNI_CONTAINERID starts with a letter or digit`),
    });
  });
});

describe("a network's name", () => {
  test.each([...names])("%j is one", (name) => {
    expect(checkNetworkName(name)).toBeUndefined();
  });

  test.each(noNames)("%j is none: code 7", async (name) => {
    expect(await refusalOf(() => checkNetworkName(name))).toMatchObject({
      code: 7,
      message: "invalid characters found in network name",
      details: expect.stringContaining("; a network's name starts with a letter or digit"),
    });
  });

  test("it cannot be empty", async () => {
    expect(await refusalOf(() => checkNetworkName(""))).toMatchObject({ code: 7, message: "missing network name" });
  });

  test("what is accepted is a file name of its own, and no hidden one", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (name) => {
        try {
          checkNetworkName(name);
        } catch {
          return;
        }
        expect(name).toMatch(/^[a-zA-Z0-9]/);
        expect(name).not.toMatch(/[/\s]/);
      }),
    );
  });
});

describe("a link's name", () => {
  test.each([
    "a",
    "eth0",
    "123456789012345",
    "äääääää",
    "日本語日本",
    "😀😀😀",
    "...",
    ".a",
    "a.b",
    "-",
    "a@b",
    "a\u200bb",
    "a\u180eb",
  ])("%j is one", (name) => {
    expect(checkIfName(name)).toBeUndefined();
  });

  const tooLong = "interface name is too long";
  const dots = "interface name is . or ..";
  const characters = "interface name contains / or : or whitespace characters";
  test.each([
    ["1234567890123456", tooLong],
    ["ääääääää", tooLong],
    ["日本語日本語", tooLong],
    ["😀😀😀😀", tooLong],
    ["1234567890123/45", tooLong],
    [".", dots],
    ["..", dots],
    ...["/", ":", "\t", "\n", "\v", "\f", "\r", " ", "\u0085", "\u00a0", "\u1680", "\u2000", "\u200a", "\u2028"].map(
      (each) => [`a${each}b`, characters],
    ),
    ...["\u2029", "\u202f", "\u205f", "\u3000"].map((each) => [each, characters]),
  ])("%j is none: code 4, %s", async (name = "", message) => {
    expect(await refusalOf(() => checkIfName(name))).toMatchObject({
      code: 4,
      message,
      details: expect.stringMatching(/; choose another CNI_IFNAME$/),
    });
  });

  test("a name that is too long is told its limit", async () => {
    expect((await refusalOf(() => checkIfName("1234567890123456"))).details).toContain(
      'interface name "1234567890123456" should be less than 16 characters',
    );
  });

  test("its length is that of its UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom("a", "ß", "語", "😀"), minLength: 1 }), (name) => {
        const fits = new TextEncoder().encode(name).length <= 15;
        if (fits) expect(checkIfName(name)).toBeUndefined();
        else expect(() => checkIfName(name)).toThrow(tooLong);
      }),
    );
  });
});
