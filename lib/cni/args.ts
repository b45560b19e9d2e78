// CNI_ARGS: "K=V;K=V", read only by the plugins that know a key of it. The strictness is the Go library's.
import { CniError } from "./error.ts";

function fault(msg: string): CniError {
  return new CniError("invalidEnvironment", msg, { hint: "correct CNI_ARGS; it looks like KEY=VALUE;KEY=VALUE" });
}

function truth(text: string): boolean {
  const lower = text.toLowerCase();
  if (lower === "1" || lower === "true") return true;
  if (lower === "0" || lower === "false") return false;
  throw fault(
    `ARGS: error parsing value of pair "IgnoreUnknown=${text}": boolean unmarshal error: invalid input ${text}`,
  );
}

/**
 * The values of the `known` keys. Throws a CniError (4) on a piece that is no pair, and on unknown keys unless
 * IgnoreUnknown says otherwise (Kubernetes' runtimes always do).
 */
export function parseCniArgs<const Key extends string>(
  args: string,
  known: readonly Key[],
): Partial<Record<Key, string>> {
  const values: Partial<Record<Key, string>> = {};
  const unknown: string[] = [];
  let ignoreUnknown = false;
  if (args === "") return values;
  for (const piece of args.split(";")) {
    const [key, value, ...rest] = piece.split("=");
    if (key === undefined || value === undefined || rest.length > 0)
      throw fault(`ARGS: invalid pair ${JSON.stringify(piece)}`);
    if (key === "IgnoreUnknown") ignoreUnknown = truth(value);
    else if ((known as readonly string[]).includes(key)) values[key as Key] = value;
    else unknown.push(piece);
  }
  if (unknown.length > 0 && !ignoreUnknown)
    throw fault(`ARGS: unknown args [${unknown.map((each) => JSON.stringify(each)).join(" ")}]`);
  return values;
}
