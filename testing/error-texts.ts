// The texts of our errors, read out of the source: every `new CniError(...)`, every context that is put in front of one,
// and every reason that stands inside one. Values that only a call knows are placeholders, named as the code names them.
import { parseAst } from "vitest/node";
import { errorCodes, type ErrorKind } from "../lib/cni/error.ts";

/** A text as people read it, and as a pattern that what is printed matches. */
export interface Text {
  readonly text: string;
  readonly pattern: string;
  /** How much of it is the same in every call. */
  readonly fixed: number;
}

export interface ErrorText {
  readonly kind: "error" | "context" | "reason";
  /** None for what goes with the code of another error. */
  readonly codes: readonly number[];
  readonly message: Text;
  /** Each of the ways it goes on. */
  readonly details: readonly string[];
  /** What to do. None where the details are another error's, which end with its own. */
  readonly hints: readonly string[];
  readonly file: string;
}

interface Node {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: the nodes of a syntax tree, as ESTree has them
  readonly [key: string]: any;
}
type Binding = ReadonlyMap<string, Node | undefined>;

/** A file's syntax tree, with the way up. */
class Source {
  readonly nodes: Node[] = [];
  readonly #parents = new Map<Node, Node>();

  constructor(code: string, file: string) {
    this.#walk(parseAst(code, { lang: "ts" }, file) as unknown as Node);
  }

  #walk(node: Node): void {
    this.nodes.push(node);
    for (const value of Object.values(node)) {
      for (const child of Array.isArray(value) ? value : [value]) {
        if (typeof child !== "object" || child === null || typeof child.type !== "string") continue;
        this.#parents.set(child, node);
        this.#walk(child);
      }
    }
  }

  /** The functions a node stands in, innermost first. */
  functionsAround(node: Node): Node[] {
    const found: Node[] = [];
    for (let at = this.#parents.get(node); at !== undefined; at = this.#parents.get(at))
      if (/Function/.test(at.type)) found.push(at);
    return found;
  }

  nameOf(fn: Node): string | undefined {
    const parent = this.#parents.get(fn);
    return fn.id?.name ?? (parent?.type === "VariableDeclarator" ? parent.id.name : undefined);
  }

  /** What a constant is, seen from a node. */
  constant(name: string, from: Node): Node | undefined {
    const around = [...this.functionsAround(from), undefined];
    const declared = this.nodes.filter(
      (each) =>
        each.type === "VariableDeclarator" && each.id.name === name && this.#parents.get(each)?.kind === "const",
    );
    for (const scope of around) {
      const found = declared.find((each) => this.functionsAround(each)[0] === scope);
      if (found !== undefined) return found.init ?? undefined;
    }
    return undefined;
  }

  named(name: string): Node | undefined {
    return this.nodes.find((each) => /Function/.test(each.type) && this.nameOf(each) === name);
  }
}

const literal = (text: string): Text => ({
  text,
  pattern: text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"),
  fixed: text.length,
});
const placeholder = (name: string): Text => ({ text: `<${name}>`, pattern: "[^]*", fixed: 0 });
const joined = (parts: readonly Text[]): Text => ({
  text: parts.map(({ text }) => text).join(""),
  pattern: parts.map(({ pattern }) => pattern).join(""),
  fixed: parts.reduce((sum, { fixed }) => sum + fixed, 0),
});

/** Several texts in the place of one, within another. */
function either(texts: readonly Text[]): Text {
  const some = texts.filter(({ text }) => text !== "");
  const [only, ...others] = some;
  if (only === undefined) return literal("");
  if (some.length === texts.length && others.length === 0) return only;
  const pattern = `(?:${texts.map((each) => each.pattern).join("|")})`;
  if (others.length === 0) return { text: `[${only.text}]`, pattern, fixed: 0 };
  const names = some.map(({ text }) => text.replaceAll(/[<>]/g, ""));
  return { text: `<${names.join(" or ")}>`, pattern, fixed: 0 };
}

/** Whether these are whole sentences, each of them worth a line of its own. */
const isSentences = (texts: readonly Text[]): boolean =>
  texts.some(({ text, fixed }) => fixed > 10 && text.includes("<")) && texts.every(({ text }) => text !== "");

const unique = (texts: readonly Text[]): Text[] =>
  texts.filter(({ text }, at) => texts.findIndex((each) => each.text === text) === at);

class Reader {
  readonly #source: Source;
  constructor(source: Source) {
    this.#source = source;
  }

  /** The name of a value that only a call knows. */
  #name(node: Node): string {
    switch (node.type) {
      case "Identifier":
        return node.name;
      case "MemberExpression":
        if (["message", "errorText"].includes(node.property.name)) return "reason";
        if (["name", "length", "size", "text"].includes(node.property.name)) return this.#name(node.object);
        return this.#name(node.computed && node.property.type === "Literal" ? node.object : node.property);
      case "CallExpression": {
        const { callee, arguments: given } = node;
        if (callee.type === "MemberExpression" && /^(join|map|filter|slice|replace|trim)$/.test(callee.property.name))
          return this.#name(callee.object);
        // prefixOf(ip) is a prefix; formatIp(ip) and String(ip) are still the address.
        const [, what] = /^([a-z]+)Of$/.exec(callee.name ?? "") ?? [];
        if (what !== undefined) return what;
        return given[0] === undefined ? this.#name(callee) : this.#name(given[0]);
      }
      case "ChainExpression":
      case "TSAsExpression":
      case "ParenthesizedExpression":
        return this.#name(node.expression);
      case "BinaryExpression":
      case "LogicalExpression":
        return this.#name(node.left);
      case "ArrayExpression":
        return node.elements.length === 0 ? "value" : this.#name(node.elements.at(-1));
      case "SpreadElement":
        return this.#name(node.argument);
      case "NewExpression":
        return node.arguments[0] === undefined ? "value" : this.#name(node.arguments[0]);
      default:
        return "value";
    }
  }

  #number(node: Node): number | undefined {
    if (node.type === "Literal") return typeof node.value === "number" ? node.value : undefined;
    if (node.type === "Identifier") {
      const value = this.#source.constant(node.name, node);
      return value === undefined ? undefined : this.#number(value);
    }
    if (node.type !== "BinaryExpression") return undefined;
    const [left, right] = [this.#number(node.left), this.#number(node.right)];
    if (left === undefined || right === undefined) return undefined;
    if (node.operator === "/") return left / right;
    return node.operator === "+" ? left + right : undefined;
  }

  /** What an expression may say; undefined where that is no text of the source. */
  #texts(node: Node, binding: Binding): Text[] | undefined {
    const number = this.#number(node);
    if (number !== undefined) return [literal(String(number))];
    switch (node.type) {
      case "Literal":
        return typeof node.value === "string" ? [literal(node.value)] : undefined;
      case "TemplateLiteral": {
        let texts: Text[] = [literal("")];
        node.quasis.forEach((quasi: Node, at: number) => {
          const inside: Node | undefined = node.expressions[at];
          const parts = inside === undefined ? [literal("")] : this.read(inside, binding);
          const next = isSentences(parts) ? parts : [either(parts)];
          texts = texts.flatMap((text) => next.map((part) => joined([text, literal(quasi.value.cooked), part])));
        });
        return unique(texts);
      }
      case "ConditionalExpression": {
        const [yes, no] = [this.#texts(node.consequent, binding), this.#texts(node.alternate, binding)];
        if (yes === undefined && no === undefined) return undefined;
        return [...(yes ?? this.read(node.consequent, binding)), ...(no ?? this.read(node.alternate, binding))];
      }
      case "LogicalExpression": {
        const right = this.#texts(node.right, binding);
        if (right === undefined || right.every(({ text }) => text === "")) return undefined;
        return [...this.read(node.left, binding), ...right];
      }
      case "Identifier": {
        if (binding.has(node.name)) {
          const given = binding.get(node.name);
          return given === undefined ? [literal("")] : this.read(given, binding);
        }
        const value = this.#source.constant(node.name, node);
        return value === undefined ? undefined : this.#texts(value, binding);
      }
      case "MemberExpression": {
        // A step's own words for its failure stand beside the step.
        if (node.property.name !== "failure") return undefined;
        const steps = this.#source.nodes.filter((each) => each.type === "Property" && each.key.name === "failure");
        return steps.flatMap((each) => this.#texts(each.value, binding) ?? []);
      }
      case "CallExpression": {
        if (node.callee.type === "MemberExpression" && node.callee.object.name === "JSON") {
          const given = this.read(node.arguments[0], binding);
          return given.map((each) => joined([literal('"'), each, literal('"')]));
        }
        const called = node.callee.type === "Identifier" ? this.#source.named(node.callee.name) : undefined;
        if (called === undefined) return undefined;
        const returned = this.#returned(called).map((each) => this.#texts(each, binding));
        return returned.some((each) => each === undefined) ? undefined : returned.flatMap((each) => each ?? []);
      }
      case "ChainExpression":
      case "TSAsExpression":
      case "ParenthesizedExpression":
        return this.#texts(node.expression, binding);
      default:
        return undefined;
    }
  }

  #returned(fn: Node): Node[] {
    if (fn.body.type !== "BlockStatement") return [fn.body];
    return this.#source.nodes
      .filter(
        (each) => each.type === "ReturnStatement" && each.argument && this.#source.functionsAround(each)[0] === fn,
      )
      .map((each) => each.argument);
  }

  /** What an expression may say, in as many texts as it has. */
  read(node: Node, binding: Binding): Text[] {
    return this.#texts(node, binding) ?? [placeholder(this.#name(node))];
  }
}

/** The calls of the function around a node, where its message is a parameter of it: each call is an error of its own. */
function bindings(source: Source, node: Node, message: Node): Binding[] {
  const [fn] = source.functionsAround(node);
  const name = fn === undefined ? undefined : source.nameOf(fn);
  const params: Node[] = fn?.params ?? [];
  const nameOf = (param: Node): string => (param.type === "AssignmentPattern" ? param.left.name : param.name);
  if (message.type !== "Identifier" || name === undefined || !params.some((param) => nameOf(param) === message.name))
    return [new Map()];
  const calls = source.nodes.filter((each) => each.type === "CallExpression" && each.callee.name === name);
  if (calls.length === 0) throw new Error(`nobody calls ${name}, which makes an error of what it is given`);
  return calls.map(
    (call) =>
      new Map(
        params.map((param, at) => [
          nameOf(param),
          call.arguments[at] ?? (param.type === "AssignmentPattern" ? param.right : undefined),
        ]),
      ),
  );
}

function codesOf(kind: Node): number[] {
  if (kind.type === "ConditionalExpression") return [...codesOf(kind.consequent), ...codesOf(kind.alternate)];
  return kind.type === "Literal" ? [errorCodes[kind.value as ErrorKind]] : [];
}

/** All texts of one file. */
export function errorTexts(code: string, file: string): ErrorText[] {
  const source = new Source(code, file);
  const reader = new Reader(source);
  const none: Binding = new Map();
  const plain = { codes: [], details: [], hints: [], file };
  const reason = (node: Node): ErrorText[] =>
    reader.read(node, none).map((message) => ({ ...plain, kind: "reason", message }));

  function error(node: Node): ErrorText[] {
    const [kind, message, options] = node.arguments as [Node, Node, Node | undefined];
    const codes = codesOf(kind);
    // Another error's code: what is thrown is that error.
    if (codes.length === 0) return [];
    return bindings(source, node, message).flatMap((binding) => {
      const option = (name: string): Text[] => {
        const found = options?.properties?.find((each: Node) => each.key?.name === name);
        return found === undefined ? [] : reader.read(found.value, binding);
      };
      const words = (name: string): string[] =>
        [...new Set(option(name).map(({ text }) => text))].filter((text) => text !== "");
      return reader.read(message, binding).map((each) => ({
        kind: "error" as const,
        codes,
        message: each,
        details: words("details"),
        hints: words("hint"),
        file,
      }));
    });
  }

  return source.nodes.flatMap((node): ErrorText[] => {
    if (node.type === "NewExpression" && node.callee.name === "CniError") return error(node);
    if (node.type === "NewExpression" && /(Fault|JsonError)$/.test(node.callee.name ?? ""))
      return reason(node.arguments[0]);
    if (node.type === "CallExpression" && node.callee.name === "inContext" && node.arguments.length === 3)
      return reader.read(node.arguments[1], none).map((message) => ({ ...plain, kind: "context", message }));
    // Words that a schema has for a value it refuses.
    if (node.type === "Property" && node.key.name === "errorText" && node.value.type === "Literal") {
      const [before = "", after = ""] = String(node.value.value).split("{value}");
      return [{ ...plain, kind: "reason", message: joined([literal(before), placeholder("value"), literal(after)]) }];
    }
    // What CHECK found: one sentence for each difference.
    const isList = (each: Node) => each.type === "ArrayExpression" && each.elements.length > 0;
    const isPush = node.type === "CallExpression" && node.callee.object?.name === "differences";
    if (isPush && node.callee.property.name === "push") return reason(node.arguments[0]);
    if (file.endsWith("/compare.ts") && node.type === "ReturnStatement" && node.argument && isList(node.argument))
      return node.argument.elements.filter((each: Node) => each.type === "TemplateLiteral").flatMap(reason);
    return [];
  });
}
