// What an expression of the source may say when it runs: its own words, and placeholders for what only a call knows,
// named as the code names them.
import type { Node, Source } from "./source-tree.ts";

/** A text as people read it, and as a pattern that what is printed matches. */
export interface Text {
  readonly text: string;
  readonly pattern: string;
  /** How much of it is the same in every call. */
  readonly fixed: number;
}

/** What the parameters of the function around an expression are, where that is known. */
export type Binding = ReadonlyMap<string, Node | undefined>;

export const literal = (text: string): Text => ({
  text,
  pattern: text.replaceAll(/[\\^$.*+?()[\]{}|]/g, "\\$&"),
  fixed: text.length,
});
export const placeholder = (name: string): Text => ({ text: `<${name}>`, pattern: "[^]*", fixed: 0 });
export const joined = (parts: readonly Text[]): Text => ({
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

export class Reader {
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
        // A step's own words for its failure stand beside the step, to be said if it comes to that.
        if (node.property.name !== "failure") return undefined;
        const steps = this.#source.nodes.filter((each) => each.type === "Property" && each.key.name === "failure");
        return steps.flatMap((each) => this.#returned(each.value)).flatMap((each) => this.#texts(each, binding) ?? []);
      }
      case "CallExpression": {
        if (node.callee.type === "MemberExpression" && node.callee.object.name === "JSON") {
          const given = this.read(node.arguments[0], binding);
          return given.map((each) => joined([literal('"'), each, literal('"')]));
        }
        if (node.callee.type === "MemberExpression" && node.callee.property.name === "failure")
          return this.#texts(node.callee, binding);
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
