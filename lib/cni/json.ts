// JSON as Go's encoding/json reads it, which is a little more than JSON.parse tells: keys in the order written, repeats
// included, and whether a number was written as an integer.

/** A number with the text it was written in. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Members in the order written; the same key may stand more than once. */
export class JsonObject {
  readonly entries: readonly (readonly [key: string, value: Json])[];
  constructor(entries: readonly (readonly [string, Json])[]) {
    this.entries = entries;
  }
}

export type Json = null | boolean | string | JsonNumber | readonly Json[] | JsonObject;

/** A value as ordinary JavaScript; of repeated keys the last counts, and numbers are float64. */
export type PlainJson = null | boolean | string | number | readonly PlainJson[] | { readonly [key: string]: PlainJson };

export class JsonError extends Error {}

/** Deeper nesting than any configuration has; Go gives up as well. */
const maxDepth = 500;
const numberPattern = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them in a string, so they are what is looked for
const needsCare = /[\\\u0000-\u001f]/;

/** Parses one value and nothing after it. Throws a JsonError that says what stands where. */
export function parseJson(text: string): Json {
  let at = 0;

  function fault(looking: string): JsonError {
    if (at >= text.length) return new JsonError("unexpected end of JSON input");
    return new JsonError(`invalid character ${JSON.stringify(text[at])} ${looking} (at character ${at + 1})`);
  }

  /** The next character that is no white space, left unread. */
  function peek(): number {
    for (;;) {
      const code = text.charCodeAt(at);
      if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return code;
      at++;
    }
  }

  function word<T>(expected: string, value: T): T {
    if (!text.startsWith(expected, at)) throw fault(`in literal ${expected}`);
    at += expected.length;
    return value;
  }

  function string(): string {
    const from = at;
    let end = text.indexOf('"', at + 1);
    if (end >= 0 && !needsCare.test(text.slice(from, end))) {
      at = end + 1;
      return text.slice(from + 1, end);
    }
    for (end = at + 1; text[end] !== '"'; end += text[end] === "\\" ? 2 : 1) {
      if (end >= text.length) {
        at = text.length;
        throw fault("in string");
      }
    }
    try {
      const value: string = JSON.parse(text.slice(from, end + 1));
      at = end + 1;
      return value;
    } catch {
      at = from;
      throw fault("in string: a bad escape or a control character");
    }
  }

  function number(): JsonNumber {
    numberPattern.lastIndex = at;
    const match = numberPattern.exec(text);
    if (match === null) throw fault("in numeric literal");
    at += match[0].length;
    return new JsonNumber(match[0]);
  }

  function object(depth: number): JsonObject {
    const entries: [string, Json][] = [];
    at++;
    if (peek() === 125) {
      at++;
      return new JsonObject(entries);
    }
    for (;;) {
      if (peek() !== 34) throw fault("looking for beginning of object key string");
      const key = string();
      if (peek() !== 58) throw fault("after object key");
      at++;
      entries.push([key, value(depth)]);
      const code = peek();
      if (code !== 44 && code !== 125) throw fault("after object key:value pair");
      at++;
      if (code === 125) return new JsonObject(entries);
    }
  }

  function array(depth: number): Json[] {
    const items: Json[] = [];
    at++;
    if (peek() === 93) {
      at++;
      return items;
    }
    for (;;) {
      items.push(value(depth));
      const code = peek();
      if (code !== 44 && code !== 93) throw fault("after array element");
      at++;
      if (code === 93) return items;
    }
  }

  function value(depth: number): Json {
    if (depth > maxDepth) throw new JsonError("exceeded max depth");
    switch (peek()) {
      case 123:
        return object(depth + 1);
      case 91:
        return array(depth + 1);
      case 34:
        return string();
      case 116:
        return word("true", true);
      case 102:
        return word("false", false);
      case 110:
        return word("null", null);
      default: {
        const code = text.charCodeAt(at);
        if (code === 45 || (code >= 48 && code <= 57)) return number();
        throw fault("looking for beginning of value");
      }
    }
  }

  const parsed = value(0);
  peek();
  if (at < text.length) throw fault("after top-level value");
  return parsed;
}

/** A value without what JSON.parse would not have told. */
export function plainJson(json: Json): PlainJson {
  if (json instanceof JsonNumber) return Number(json.text);
  if (json instanceof JsonObject) {
    const plain: Record<string, PlainJson> = {};
    for (const [key, value] of json.entries) define(plain, key, plainJson(value));
    return plain;
  }
  return Array.isArray(json) ? json.map(plainJson) : (json as null | boolean | string);
}

/** Sets an own member even where its name is "__proto__". */
function define(target: Record<string, PlainJson>, key: string, value: PlainJson): void {
  if (key === "__proto__")
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  else target[key] = value;
}

/** Compact JSON with keys in alphabetical order at every level, as Go writes a map. */
export function sortedJson(value: PlainJson): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${sortedJson(member)}`).join(",")}}`;
}
