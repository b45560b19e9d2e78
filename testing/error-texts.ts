// The texts of our errors, read out of the source: every `new CniError(...)` and `new FirewallError(...)`, every context that is put in front of one,
// and every reason that stands inside one. Values that only a call knows are placeholders, named as the code names them.
import { firewallFaults } from "../lib/cni/boundary.ts";
import { errorCodes, type ErrorKind } from "../lib/cni/error.ts";
import { joined, literal, placeholder, Reader, type Binding, type Text } from "./source-texts.ts";
import { Source, type Node } from "./source-tree.ts";

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

const faults: Readonly<Record<string, ErrorKind>> = firewallFaults;

function codesOf(kind: Node): number[] {
  if (kind.type === "ConditionalExpression") return [...codesOf(kind.consequent), ...codesOf(kind.alternate)];
  return kind.type === "Literal" ? [errorCodes[faults[kind.value] ?? (kind.value as ErrorKind)]] : [];
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
    if (node.type === "NewExpression" && /^(Cni|Firewall)Error$/.test(node.callee.name ?? "")) return error(node);
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
