// JSON as Go's encoding/json reads it, which is a little more than JSON.parse tells: keys in the order written, repeats
// included, and whether a number was written as an integer.

/** A number with the text it was written in. */
export class JsonNumber {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

/** Members in the order written, each with its key and its value at one place; the same key may stand more than once. */
export class JsonObject {
  readonly keys: readonly string[];
  readonly values: readonly Json[];
  constructor(keys: readonly string[], values: readonly Json[]) {
    this.keys = keys;
    this.values = values;
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
    const keys: string[] = [];
    const values: Json[] = [];
    at++;
    if (peek() === 125) {
      at++;
      return new JsonObject(keys, values);
    }
    // White space is rare: a look at the character spares the call.
    for (;;) {
      if (text.charCodeAt(at) !== 34 && peek() !== 34) throw fault("looking for beginning of object key string");
      keys.push(string());
      if (text.charCodeAt(at) !== 58 && peek() !== 58) throw fault("after object key");
      at++;
      values.push(text.charCodeAt(at) === 34 ? string() : value(depth));
      const code = text.charCodeAt(at) === 44 ? 44 : peek();
      if (code !== 44 && code !== 125) throw fault("after object key:value pair");
      at++;
      if (code === 125) return new JsonObject(keys, values);
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
    const { keys, values } = json;
    for (let at = 0; at < keys.length; at++) {
      const key = keys[at] as string;
      const value = plainJson(values[at] as Json);
      if (key !== "__proto__") plain[key] = value;
      // As a member of its own, which an assignment would not make of it.
      else Object.defineProperty(plain, key, { value, enumerable: true, configurable: true, writable: true });
    }
    return plain;
  }
  return json.map(plainJson);
}

/** A value with keys in alphabetical order at every level. */
export function sortedTree(value: PlainJson): Json {
  if (typeof value === "number") return Number.isFinite(value) ? new JsonNumber(`${value}`) : null;
  if (typeof value !== "object" || value === null) return value;
  const values: Json[] = [];
  if (isList(value)) {
    for (let at = 0; at < value.length; at++) values.push(sortedTree(value[at] ?? null));
    return values;
  }
  const keys = Object.keys(value).sort();
  for (let at = 0; at < keys.length; at++) values.push(sortedTree(value[keys[at] as string] ?? null));
  return new JsonObject(keys, values);
}

/** An object whose keys are in order with one member more, or with another value of it. */
export function withMember({ keys, values }: JsonObject, key: string, value: Json): JsonObject {
  const at = keys.findLastIndex((each) => each < key) + 1;
  const replaced = keys[at] === key ? 1 : 0;
  return new JsonObject(keys.toSpliced(at, replaced, key), values.toSpliced(at, replaced, value));
}

const isList = <T>(value: readonly T[] | object): value is readonly T[] => Array.isArray(value);

/** Compact JSON of a tree. Hardly any text needs an escape: one look at all of them, written as they are, is enough. */
export function writeJson(json: Json): string {
  const texts: string[] = [];
  const plain = write(json, texts);
  return isPlain(texts.join()) ? plain : write(json, undefined);
}

/** `texts` gets the texts, which are then written as they are; without it each is made ready. */
function write(json: Json, texts: string[] | undefined): string {
  if (typeof json === "string") {
    if (texts === undefined) return JSON.stringify(json);
    texts.push(json);
    return `"${json}"`;
  }
  if (typeof json !== "object" || json === null) return `${json}`;
  if (json instanceof JsonNumber) return json.text;
  let text = "";
  if (isList(json)) {
    for (let at = 0; at < json.length; at++) text += `,${write(json[at] as Json, texts)}`;
    return `[${text.slice(1)}]`;
  }
  const { keys, values } = json;
  texts?.push(keys.join());
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as string;
    text += (texts === undefined ? `,${JSON.stringify(key)}:` : `,"${key}":`) + write(values[at] as Json, texts);
  }
  return `{${text.slice(1)}}`;
}

/** Compact JSON with keys in alphabetical order at every level, as Go writes a map. */
export const sortedJson = (value: PlainJson): string => writeJson(sortedTree(value));

/** A string as JSON. */
export const quoted = (text: string): string => (isPlain(text) ? `"${text}"` : JSON.stringify(text));

/** Whether a text needs no escape. The engine finds that out far faster by reading it as JSON than by a regular expression. */
function isPlain(text: string): boolean {
  try {
    return JSON.parse(`"${text}"`) === text && text.isWellFormed();
  } catch {
    return false;
  }
}
