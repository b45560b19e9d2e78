// A configuration on its way from text to a typed value, in two steps. First it is decoded as Go's encoding/json would,
// so that every configuration that works today goes on working: keys match in any case, the last of several wins, null is
// as good as absent, unknown keys are passed over, and nothing is converted ("100" is no number). Then the plugin's JSON
// Schema, compiled by the build, checks what came out. The schema is declared once: it is the type, the check, the
// decoder's map, and the published document.
import { CniError } from "./error.ts";
import {
  JsonError,
  JsonNumber,
  JsonObject,
  parseJson,
  plainJson,
  sortedTree,
  writeJson,
  type Json,
  type PlainJson,
} from "./json.ts";

/** The JSON Schema keywords the decoder knows; ajv checks the rest. */
export interface Schema {
  readonly type: "object" | "array" | "string" | "integer" | "boolean";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  /** What an absent or null member is. */
  readonly default?: unknown;
  /** Said instead of the validator's words; `{value}` is replaced. */
  readonly errorText?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly enum?: readonly string[];
}

export type FromSchema<S> = S extends { readonly type: "string"; readonly enum: readonly (infer Name)[] }
  ? Name
  : S extends { readonly type: "string" }
    ? string
    : S extends { readonly type: "integer" }
      ? number
      : S extends { readonly type: "boolean" }
        ? boolean
        : S extends { readonly type: "array"; readonly items: infer Item }
          ? readonly FromSchema<Item>[]
          : S extends { readonly type: "object"; readonly properties: infer P }
            ? {
                readonly [K in keyof P as P[K] extends { readonly default: unknown } ? K : never]: FromSchema<P[K]>;
              } & {
                readonly [K in keyof P as P[K] extends { readonly default: unknown } ? never : K]?: FromSchema<P[K]>;
              }
            : Readonly<Record<string, PlainJson>>;

/** What the build makes of a schema with ajv: true, or false and the reasons. */
export interface Validator {
  (value: unknown): boolean;
  errors?: null | readonly { readonly instancePath: string; readonly message?: string }[];
}

/** A configuration, parsed once: a request's as received, or one that is made for a delegate. */
export interface ConfigSource {
  readonly text: string;
  readonly tree: JsonObject;
}

/** The fault of a value that has the wrong JSON type, or that the schema refuses. */
export class ConfigFault extends Error {}

/** Parses standard input. Throws a JsonError; a top-level value other than an object is none of ours. */
export function parseConfig(text: string): ConfigSource {
  const tree = parseJson(text);
  if (tree instanceof JsonObject) return { text, tree };
  if (tree === null) return { text, tree: new JsonObject([], []) };
  throw new JsonError("cannot read a value that is no object into a network configuration");
}

/** A configuration out of values, keys in order. It becomes text only where a delegate is another process. */
export const composeConfig = (members: Readonly<Record<string, PlainJson>>): ConfigSource =>
  new Composed(sortedTree(members) as JsonObject);

class Composed implements ConfigSource {
  readonly tree: JsonObject;

  constructor(tree: JsonObject) {
    this.tree = tree;
  }

  get text(): string {
    return writeJson(this.tree);
  }
}

/** Go folds two letters outside ASCII onto s and k besides the cases; the Kelvin sign's lower case is the k. */
function fold(key: string): string {
  const lower = key.toLowerCase();
  return lower.includes("\u017f") ? lower.replaceAll("\u017f", "s") : lower;
}

/** Whether two keys are one to Go. Folding changes no key's length, so that hardly any is folded. */
const sameKey = (a: string, b: string): boolean => a === b || (a.length === b.length && fold(a) === fold(b));

/** A member of a tree by its key, whatever its type; undefined where it is absent, or null at last. */
export function memberOf(tree: JsonObject, name: string): Json | undefined {
  const { keys, values } = tree;
  for (let at = keys.length - 1; at >= 0; at--) {
    if (sameKey(keys[at] as string, name)) return values[at] ?? undefined;
  }
  return undefined;
}

function shown(json: Json): string {
  return json instanceof JsonNumber ? json.text : JSON.stringify(plainJson(json));
}

const articles: Readonly<Record<Schema["type"], string>> = {
  object: "an object",
  array: "a list",
  string: "a string",
  integer: "an integer",
  boolean: "true or false",
};

function wrongType(path: string, schema: Schema, json: Json): ConfigFault {
  return new ConfigFault(`"${path}" must be ${articles[schema.type]}, got ${shown(json)}`);
}

/** What null is where nothing can be absent: in a list. */
function zero({ type }: Schema): Json {
  if (type === "object") return new JsonObject([], []);
  if (type === "array") return [];
  if (type === "integer") return new JsonNumber("0");
  return type === "string" ? "" : false;
}

/** Hears of a member of the wrong type, and throws; or does not, and the member is as absent. */
type OnFault = (fault: ConfigFault) => void;

const refuse: OnFault = (fault) => {
  throw fault;
};

interface Member {
  readonly name: string;
  readonly schema: Schema;
}

/** Without a prototype, so that it has nothing else. A look into it takes less than one into a Map. */
type Dictionary = Readonly<Record<string, Member | undefined>>;

const dictionary = (members: readonly (readonly [string, Member])[]): Dictionary =>
  Object.assign(Object.create(null), Object.fromEntries(members));

/** A schema's members as the decoder looks for them. */
interface Members {
  readonly byName: Dictionary;
  /** By the name as Go folds it; of two that are one then, the first. */
  readonly byFoldedName: Dictionary;
  /** One bit for each length that a name has: a key of another length is none of them, in whatever letters. */
  readonly lengths: number;
  /** What members are where they are absent: the prototype of what is decoded, which so has them without being given them. */
  readonly defaults: Readonly<Record<string, unknown>>;
}

const prepared = new Map<Schema, Members>();

/**
 * Gets a schema ready for the decoder. For the top level of a module, where it is done once for all calls: see "The heap
 * image" in docs/host.md. A schema that nobody prepared is decoded all the same, and it takes longer.
 */
export function prepareSchema<const S extends Schema>(schema: S): S {
  if (schema.items !== undefined) prepareSchema(schema.items);
  if (schema.properties !== undefined) {
    prepared.set(schema, membersOf(schema.properties));
    for (const member of Object.values(schema.properties)) prepareSchema(member);
  }
  return schema;
}

function membersOf(properties: Readonly<Record<string, Schema>>): Members {
  const members = Object.entries(properties).map(([name, schema]): Member => ({ name, schema }));
  return {
    byName: dictionary(members.map((member) => [member.name, member])),
    byFoldedName: dictionary(members.map((member) => [fold(member.name), member] as const).reverse()),
    lengths: members.reduce((bits, { name }) => bits | (1 << name.length), 0),
    defaults: Object.fromEntries(
      members.filter(({ schema }) => schema.default !== undefined).map(({ name, schema }) => [name, schema.default]),
    ),
  };
}

const pathOf = (parent: string, name: string): string => (parent === "" ? name : `${parent}.${name}`);

// Every call decodes its configuration several times, by a schema of each plugin: what is below does no more than it must.

function decodeMembers(schema: Schema, tree: JsonObject, path: string, onFault: OnFault): Record<string, unknown> {
  const { byName, byFoldedName, lengths, defaults } = prepared.get(schema) ?? membersOf(schema.properties ?? {});
  const { keys } = tree;
  const values: Record<string, unknown> = Object.create(defaults);
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as string;
    // The bits wrap around after 31: then a key of another length is looked for in vain, and no harm is done.
    if ((lengths & (1 << key.length)) === 0) continue;
    const member = byName[key] ?? byFoldedName[fold(key)];
    if (member === undefined) continue;
    const { name, schema } = member;
    const json = tree.values[at] as Json;
    // Most are text, or true or false, and those types have JavaScript's names.
    if (typeof json !== "object" && typeof json === schema.type) values[name] = json;
    else if (json !== null)
      try {
        values[name] = decodeValue(schema, json, path, name, onFault);
      } catch (fault) {
        if (!(fault instanceof ConfigFault)) throw fault;
        onFault(fault);
      }
    // Go's null leaves a scalar as it was, and empties what is behind a pointer, a slice or a map.
    else if (schema.type === "object" || schema.type === "array") delete values[name];
  }
  return values;
}

function decodeValue(schema: Schema, json: Json, parent: string, name: string, onFault: OnFault): unknown {
  switch (schema.type) {
    case "string":
      if (typeof json !== "string") throw wrongType(pathOf(parent, name), schema, json);
      return json;
    case "boolean":
      if (typeof json !== "boolean") throw wrongType(pathOf(parent, name), schema, json);
      return json;
    case "integer": {
      const isInteger = json instanceof JsonNumber && /^-?[0-9]+$/.test(json.text);
      // No field holds more than 32 bits; beyond 2^53 the value would not be the one written.
      if (!isInteger || !Number.isSafeInteger(Number(json.text))) throw wrongType(pathOf(parent, name), schema, json);
      return Number(json.text);
    }
    case "array": {
      if (!Array.isArray(json)) throw wrongType(pathOf(parent, name), schema, json);
      const { items } = schema;
      if (items === undefined) return json.map(plainJson);
      const values: unknown[] = [];
      for (let at = 0; at < json.length; at++)
        values.push(decodeValue(items, (json[at] as Json) ?? zero(items), parent, `${name}[${at}]`, onFault));
      return values;
    }
    case "object":
      if (!(json instanceof JsonObject)) throw wrongType(pathOf(parent, name), schema, json);
      return schema.properties === undefined
        ? plainJson(json)
        : decodeMembers(schema, json, pathOf(parent, name), onFault);
  }
}

/**
 * Decodes a tree by a schema as Go would. Throws a ConfigFault naming the field and the value. Take members out by name:
 * to spread what comes out is to lose the defaults.
 */
export function decode<const S extends Schema>(schema: S, tree: JsonObject): FromSchema<S> {
  return decodeMembers(schema, tree, "", refuse) as FromSchema<S>;
}

/**
 * Decodes a tree for a verb that must go on whatever the configuration is, which DEL and GC must: a member of the wrong
 * type is as absent, and `log` gets a line about it.
 */
export function decodeForgiving<const S extends Schema>(
  schema: S,
  tree: JsonObject,
  log: (line: string) => void,
): FromSchema<S> {
  const forgive: OnFault = ({ message }) => log(`going on in spite of the configuration: ${message}`);
  return decodeMembers(schema, tree, "", forgive) as FromSchema<S>;
}

interface Refused {
  readonly path: string;
  readonly rule: Schema | undefined;
  readonly message: string;
  /** The value, as JSON. */
  readonly got: string;
}

/** Where in a configuration the validator found a fault. */
function refusedAt(
  schema: Schema,
  value: unknown,
  { instancePath, message = "is not valid" }: { instancePath: string; message?: string },
): Refused {
  let at: unknown = value;
  let rule: Schema | undefined = schema;
  let path = "";
  for (const step of instancePath.split("/").slice(1)) {
    const isIndex = Array.isArray(at);
    at = (at as Record<string, unknown>)[step];
    rule = isIndex ? rule?.items : rule?.properties?.[step];
    path += isIndex ? `[${step}]` : path === "" ? step : `.${step}`;
  }
  const wanted = rule?.enum === undefined ? message : `must be one of ${rule.enum.join(", ")}`;
  return { path, rule, message: wanted, got: JSON.stringify(at) };
}

const refusal = ({ path, message, got }: Refused): string => `"${path}" ${message}, got ${got}`;

const inOwnWords = ({ rule, got }: Refused): string | undefined => rule?.errorText?.replace("{value}", got);

/** Decodes and validates a plugin's configuration. Throws a CniError (7) that names the field, the value, and the rule. */
export function readConfig<const S extends Schema>(
  source: ConfigSource,
  schema: S,
  validate: Validator,
): FromSchema<S> {
  let value: FromSchema<S>;
  try {
    value = decode(schema, source.tree);
  } catch (cause) {
    if (!(cause instanceof ConfigFault)) throw cause;
    throw new CniError("invalidConfig", `failed to load netconf: ${cause.message}`, {
      cause,
      hint: "correct this value in the network configuration",
    });
  }
  if (!validate(value)) {
    const [first = { instancePath: "" }] = validate.errors ?? [];
    const refused = refusedAt(schema, value, first);
    const reason = inOwnWords(refused);
    // Words of the schema's own, which Go's plugins have, too, need not name the field.
    throw new CniError("invalidConfig", reason ?? refusal(refused), {
      ...(reason === undefined ? {} : { details: refusal(refused) }),
      hint: "correct this value in the network configuration",
    });
  }
  return value;
}
