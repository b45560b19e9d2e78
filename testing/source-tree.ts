// The syntax tree of a source file, with the way up and the names in it. vitest brings the parser.
import { parseAst } from "vitest/node";

export interface Node {
  readonly type: string;
  // biome-ignore lint/suspicious/noExplicitAny: the nodes of a syntax tree, as ESTree has them
  readonly [key: string]: any;
}

/** A file's syntax tree, with the way up. */
export class Source {
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
