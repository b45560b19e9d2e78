import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  JsonError,
  JsonNumber,
  JsonObject,
  parseJson,
  plainJson,
  sortedJson,
  sortedTree,
  withMember,
  writeJson,
  type Json,
} from "./json.ts";

/** The message that refuses a text; a text that is read has none. */
function refusal(text: string): string | undefined {
  try {
    parseJson(text);
    return undefined;
  } catch (error) {
    if (error instanceof JsonError) return error.message;
    throw error;
  }
}

/** Objects as lists of pairs, numbers as texts: all that is kept, in a form that is easy to write down. */
function written(json: Json): unknown {
  if (json instanceof JsonNumber) return `number ${json.text}`;
  if (json instanceof JsonObject)
    return { members: json.keys.map((key, at) => [key, written(json.values[at] as Json)]) };
  return Array.isArray(json) ? json.map(written) : json;
}

const accepts = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe("what JSON.parse does not tell", () => {
  test.each<[string, unknown]>([
    [
      '{"b":1,"a":2}',
      {
        members: [
          ["b", "number 1"],
          ["a", "number 2"],
        ],
      },
    ],
    [
      '{"a":1,"A":2,"a":3}',
      {
        members: [
          ["a", "number 1"],
          ["A", "number 2"],
          ["a", "number 3"],
        ],
      },
    ],
    [
      '{"2":true,"1":false}',
      {
        members: [
          ["2", true],
          ["1", false],
        ],
      },
    ],
    ['{"__proto__":null}', { members: [["__proto__", null]] }],
    ["1500", "number 1500"],
    ["1500.0", "number 1500.0"],
    ["1e3", "number 1e3"],
    ["-0", "number -0"],
    ["99999999999999999999", "number 99999999999999999999"],
  ])("%s is read as %j", (text, value) => {
    expect(written(parseJson(text))).toEqual(value);
  });
});

describe("what is no JSON", () => {
  test.each([
    ["", "unexpected end of JSON input"],
    [" \n", "unexpected end of JSON input"],
    ["{", "unexpected end of JSON input"],
    ['{"a"', "unexpected end of JSON input"],
    ['{"a":1', "unexpected end of JSON input"],
    ["[1", "unexpected end of JSON input"],
    ['"abc', "unexpected end of JSON input"],
    ['"abc\\', "unexpected end of JSON input"],
    ['"abc\\"', "unexpected end of JSON input"],
    ["{} {}", 'invalid character "{" after top-level value (at character 4)'],
    ["nullx", 'invalid character "x" after top-level value (at character 5)'],
    ["01", 'invalid character "1" after top-level value (at character 2)'],
    ["1.", 'invalid character "." after top-level value (at character 2)'],
    ["+1", 'invalid character "+" looking for beginning of value (at character 1)'],
    [".5", 'invalid character "." looking for beginning of value (at character 1)'],
    ["NaN", 'invalid character "N" looking for beginning of value (at character 1)'],
    ["'a'", `invalid character "'" looking for beginning of value (at character 1)`],
    ["[1,]", 'invalid character "]" looking for beginning of value (at character 4)'],
    ["\ufeff{}", 'invalid character "\ufeff" looking for beginning of value (at character 1)'],
    ["\u00a0{}", 'invalid character "\u00a0" looking for beginning of value (at character 1)'],
    ['{"a":1,}', 'invalid character "}" looking for beginning of object key string (at character 8)'],
    ["{a:1}", 'invalid character "a" looking for beginning of object key string (at character 2)'],
    ['{"a" 1}', 'invalid character "1" after object key (at character 6)'],
    ['{"a":1 "b":2}', 'invalid character "\\"" after object key:value pair (at character 8)'],
    ["[1 2]", 'invalid character "2" after array element (at character 4)'],
    ["// a\n1", 'invalid character "/" looking for beginning of value (at character 1)'],
  ])("%j: %s", (text, message) => {
    expect(refusal(text)).toBe(message);
  });

  test.each(["-", "-a", "tru", "nul", "falsE"])("%s is no literal", (text) => {
    expect(refusal(text)).toMatch(/^(invalid character .* in |unexpected end)/);
  });

  test.each(["\u0000", "\t", "\n", "\u001f", "\\x", "\\u12g4", "\\u12"])("a string with %j in it", (part) => {
    expect(refusal(`["a${part}b"]`)).toBe(
      'invalid character "\\"" in string: a bad escape or a control character (at character 2)',
    );
  });

  test("U+007F, U+2028 and a lone surrogate may stand in a string as they are", () => {
    for (const each of ["\u007f", "\u2028", "\ud800"]) expect(parseJson(`"${each}"`)).toBe(each);
  });

  test("half of a surrogate pair, written as an escape, is U+FFFD, as Go has it", () => {
    expect(parseJson('"a\\ud800b\\udc00"')).toBe("a\ufffdb\ufffd");
    expect(parseJson('"\\ud83d\\ude00"')).toBe("\u{1f600}");
  });

  test("nesting is bounded, so that no input exhausts the stack", () => {
    const nested = (depth: number) => "[".repeat(depth) + "]".repeat(depth);
    expect(refusal(nested(500))).toBeUndefined();
    expect(refusal(nested(502))).toBe("exceeded max depth");
    expect(refusal("[".repeat(1_000_000))).toBe("exceeded max depth");
    expect(refusal('{"a":'.repeat(1_000_000))).toBe("exceeded max depth");
  });
});

describe("beside JSON.parse", () => {
  const spaces = fc.constantFrom(undefined, 1, "\t", "\r\n");

  test("any value, in any layout, is the same value", () => {
    fc.assert(
      fc.property(fc.jsonValue(), spaces, (value, space) => {
        const text = JSON.stringify(value, null, space);
        expect(JSON.stringify(plainJson(parseJson(text)))).toBe(JSON.stringify(JSON.parse(text)));
      }),
      { numRuns: 500 },
    );
  });

  test("a number keeps the text it was written in, and that text is its value", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = JSON.stringify(value);
        const json = parseJson(text);
        expect(json).toEqual(new JsonNumber(text));
        expect(plainJson(json)).toBe(JSON.parse(text));
      }),
    );
  });

  test("a text with one character changed is read by both or by neither", () => {
    const characters = [..."{}[]:,\"\\ \n\t0123456789-+.eEtrufalsn/'u\u0000\u2028"];
    const change = fc.tuple(fc.nat(), fc.constantFrom(...characters), fc.constantFrom("replace", "insert", "remove"));
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 3 }), change, (value, [place, character, how]) => {
        const text = JSON.stringify(value);
        const at = place % (text.length + 1);
        const after = text.slice(how === "insert" ? at : at + 1);
        const changed = text.slice(0, at) + (how === "remove" ? "" : character) + after;
        expect(refusal(changed) === undefined).toBe(accepts(changed));
      }),
      { numRuns: 2000 },
    );
  });

  test("arbitrary text never makes anything but a JsonError", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => (refusal(text) === undefined) === accepts(text)));
  });
});

describe("as ordinary values", () => {
  test("of repeated keys the last counts, in the place of the first", () => {
    expect(JSON.stringify(plainJson(parseJson('{"a":1,"b":2,"a":3}')))).toBe('{"a":3,"b":2}');
  });

  test('"__proto__" is a key like any other', () => {
    const plain = plainJson(parseJson('{"__proto__":{"polluted":true},"a":1}')) as Record<string, unknown>;
    expect(Object.keys(plain)).toEqual(["__proto__", "a"]);
    expect(plain.polluted).toBeUndefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    expect(sortedJson(plain as never)).toBe('{"__proto__":{"polluted":true},"a":1}');
  });
});

describe("sorted, as Go writes a map", () => {
  test.each([
    ['{"b":1,"a":{"d":[{"z":1,"y":2}],"c":null}}', '{"a":{"c":null,"d":[{"y":2,"z":1}]},"b":1}'],
    ['{"a":1,"B":2,"_":3,"10":4,"9":5}', '{"10":4,"9":5,"B":2,"_":3,"a":1}'],
    ["[]", "[]"],
    ['"\\u00e4\\n"', '"ä\\n"'],
    ["1500.0", "1500"],
  ])("%s becomes %s", (text, sorted) => {
    expect(sortedJson(plainJson(parseJson(text)))).toBe(sorted);
  });

  test("halves of a surrogate pair stay halves, though keys are looked at together", () => {
    expect(sortedJson({ "\ud800": 1, "\ude00": "\ude00" })).toBe('{"\\ud800":1,"\\ude00":"\\ude00"}');
  });

  test.each([
    ["b", '{"a":1,"b":0,"c":3}'],
    ["d", '{"a":1,"c":3,"d":0}'],
    ["", '{"":0,"a":1,"c":3}'],
    ["a", '{"a":0,"c":3}'],
  ])("%j comes where it belongs", (key, sorted) => {
    const tree = sortedTree({ c: 3, a: 1 }) as JsonObject;
    expect(writeJson(withMember(tree, key, new JsonNumber("0")))).toBe(sorted);
  });

  test("the order of the keys is all that changes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const plain = plainJson(parseJson(JSON.stringify(value)));
        const sorted = sortedJson(plain);
        expect(JSON.parse(sorted)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(sortedJson(plainJson(parseJson(sorted)))).toBe(sorted);
      }),
    );
  });
});
