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
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same, and what else JSON.stringify writes in another way
const needsEscape = /["\\\u0000-\u001f\ud800-\udfff]/;

/** Parses one value and nothing after it. Throws a JsonError that says what stands where. */
export function parseJson(text: string): Json {
  let at = 0;
  // Runtimes write JSON without white space: one look at all of it then serves for every string in it.
  const isPlain = !needsCare.test(text.trimEnd());

  function fault(looking: string): JsonError {
    if (at >= text.length) return new JsonError("unexpected end of JSON input");
    return new JsonError(`invalid character ${JSON.stringify(text[at])} ${looking} (at character ${at + 1})`);
  }

  /** The next character that is no white space, left unread. */
  function peek(): number {
    for (;;) {
      const code = text.charCodeAt(at);
      if (code > 32 || (code !== 32 && code !== 10 && code !== 13 && code !== 9)) return code;
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
    if (end >= 0 && (isPlain || !needsCare.test(text.slice(from, end)))) {
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
      // As Go has it: half of a surrogate pair, which only an escape can bring, is U+FFFD. No system call takes it as it is.
      const value = (JSON.parse(text.slice(from, end + 1)) as string).toWellFormed();
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
    // White space is rare: a look at the character spares the call.
    for (;;) {
      if (text.charCodeAt(at) !== 34 && peek() !== 34) throw fault("looking for beginning of object key string");
      const key = string();
      if (text.charCodeAt(at) !== 58 && peek() !== 58) throw fault("after object key");
      at++;
      entries.push([key, text.charCodeAt(at) === 34 ? string() : value(depth)]);
      const code = text.charCodeAt(at) === 44 ? 44 : peek();
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
  if (typeof json !== "object" || json === null) return json;
  if (json instanceof JsonNumber) return Number(json.text);
  if (json instanceof JsonObject) {
    const plain: Record<string, PlainJson> = {};
    const { entries } = json;
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at];
      if (entry === undefined) continue;
      const key = entry[0];
      const value = plainJson(entry[1]);
      if (key !== "__proto__") plain[key] = value;
      // As a member of its own, which an assignment would not make of it.
      else Object.defineProperty(plain, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return plain;
  }
  return json.map(plainJson);
}

/** Compact JSON with keys in alphabetical order at every level, as Go writes a map. */
export function sortedJson(value: PlainJson): string {
  if (typeof value === "string") return quoted(value);
  if (typeof value === "number") return JSON.stringify(value);
  if (typeof value !== "object" || value === null) return `${value}`;
  let text = "";
  if (isList(value)) {
    for (let at = 0; at < value.length; at++) text += (at === 0 ? "" : ",") + sortedJson(value[at] ?? null);
    return `[${text}]`;
  }
  const keys = Object.keys(value).sort();
  // One look at all of them, since hardly any key is anything but letters.
  const arePlain = !needsEscape.test(keys.join(""));
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] ?? "";
    const member = sortedJson(value[key] ?? null);
    text += arePlain ? `,"${key}":${member}` : `,${quoted(key)}:${member}`;
  }
  return `{${text.slice(1)}}`;
}

/** What the compact JSON of `sortedJson` would be parsed into, without writing and reading it. */
export function sortedTree(value: PlainJson): Json {
  if (typeof value === "number") return Number.isFinite(value) ? new JsonNumber(`${value}`) : null;
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map(sortedTree);
  const entries: [string, Json][] = [];
  const keys = Object.keys(value).sort();
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as string;
    entries.push([key, sortedTree(value[key] ?? null)]);
  }
  return new JsonObject(entries);
}

const isList = (value: PlainJson): value is readonly PlainJson[] => Array.isArray(value);

/** JSON.stringify makes ready for more than a string, and keys and values are many. */
export const quoted = (text: string): string => (needsEscape.test(text) ? JSON.stringify(text) : `"${text}"`);
