// Conditions in nft's words, read without nft: the forms that conditions have in practice. What is none of them is
// refused, never guessed at.
import { CniError } from "../../lib/cni/error.ts";
import { bitsOf, parseIp, type Family } from "../../lib/ip/ip.ts";
import { parsePrefix, type Prefix } from "../../lib/ip/prefix.ts";
import type { Mark, Match } from "../../lib/netlink/nft/match.ts";

const understood =
  "understood are `ip saddr`, `ip daddr` (`ip6` in conditionsV6), `iifname`, `meta mark [& MASK]` and `fib daddr type`, each with " +
  "`!=` or without, and a value or `{ several, values }`";

/** One field with all the values it may have, or none of which it may have. */
interface Condition {
  readonly choices: readonly Match[];
  readonly not: boolean;
}

/**
 * The matches of a rule, one list for each rule that is needed: one of several values takes as many rules, none of several
 * as many matches. Throws a CniError (7) that names the field and the word.
 */
export function nftConditions(words: readonly string[], family: Family): Match[][] {
  const reader = new Reader(words, family);
  let rules: Match[][] = [[]];
  while (!reader.atEnd()) {
    const { choices, not } = reader.condition();
    rules = rules.flatMap((rule) => (not ? [[...rule, ...choices]] : choices.map((each) => [...rule, each])));
  }
  return rules;
}

class Reader {
  readonly #tokens: readonly string[];
  readonly #family: Family;
  #at = 0;

  constructor(words: readonly string[], family: Family) {
    this.#family = family;
    this.#tokens =
      words
        .join(" ")
        .match(/"[^"]*"|!=|==|[{},&]|[^\s{},&!="]+|./g)
        ?.filter((token) => token !== " ") ?? [];
  }

  atEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  condition(): Condition {
    const word = this.#next();
    switch (word) {
      case "ip":
      case "ip6": {
        const field = this.#next();
        if ((word === "ip") !== (this.#family === 4) || (field !== "saddr" && field !== "daddr"))
          throw this.#fault(`${word} ${field}`);
        return this.#values((text) => ({ field, is: this.#prefix(text) }));
      }
      case "meta":
        if (this.#peek() === "mark" || this.#peek() === "iifname") return this.condition();
        throw this.#fault(`meta ${this.#peek()}`);
      case "mark":
        return this.#mark();
      case "iifname":
        return this.#values((text) => ({ field: "iifname", is: this.#linkName(text) }));
      case "fib":
        if (this.#next() !== "daddr" || this.#next() !== "type") throw this.#fault("fib");
        return this.#values((text) => {
          if (text === "local" || text === "unicast" || text === "broadcast" || text === "multicast")
            return { field: "fibDaddrType", is: text };
          throw this.#fault(text);
        });
      default:
        throw this.#fault(word);
    }
  }

  #mark(): Condition {
    const mask = this.#skip("&") ? this.#number(this.#next()) : undefined;
    return this.#values((text) => {
      const value = this.#number(text);
      const is: Mark = mask === undefined ? { value } : { value, mask };
      return { field: "mark", is };
    });
  }

  /** What comes after a field: an operator or none, one value or several in braces. */
  #values(read: (text: string) => Match): Condition {
    const not = this.#skip("!=");
    if (!not) this.#skip("==");
    const texts: string[] = [];
    if (this.#skip("{")) {
      do texts.push(this.#next());
      while (this.#next(",", "}") === ",");
    } else {
      texts.push(this.#next());
    }
    return { not, choices: texts.map((text) => (not ? { ...read(text), not: true } : read(text))) };
  }

  #prefix(text: string): Prefix {
    const ip = parseIp(text);
    const prefix = ip === undefined ? parsePrefix(text) : { ip, length: bitsOf(ip.family) };
    if (prefix?.ip.family !== this.#family) throw this.#fault(text);
    return prefix;
  }

  #linkName(text: string): string {
    const name = text.replace(/^"(.*)"$/, "$1");
    // "eth*" would be the beginning of many names.
    if (/^[!-~]{1,15}$/.test(name) && !/[/*\\]/.test(name)) return name;
    throw this.#fault(text);
  }

  #number(text: string): number {
    const number = /^(0x[0-9a-fA-F]+|[0-9]+)$/.test(text) ? Number(text) : Number.NaN;
    if (number <= 0xffffffff) return number;
    throw this.#fault(text);
  }

  #peek(): string {
    return this.#tokens[this.#at] ?? "";
  }

  #skip(token: string): boolean {
    const found = this.#peek() === token;
    if (found) this.#at++;
    return found;
  }

  #next(...allowed: string[]): string {
    const token = this.#peek();
    if (token === "" || (allowed.length > 0 && !allowed.includes(token))) throw this.#fault(token);
    this.#at++;
    return token;
  }

  #fault(token: string): CniError {
    const where = token === "" ? "at its end" : `at ${JSON.stringify(token)}`;
    return new CniError("invalidConfig", `cannot read "conditionsV${this.#family}" ${where}`, {
      details: `it says ${JSON.stringify(this.#tokens.join(" "))}; ${understood}`,
      hint: "write the condition so, or use the iptables backend",
    });
  }
}
