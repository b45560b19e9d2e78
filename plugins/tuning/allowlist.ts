// The node's say in which sysctls a network may set: a file of regular expressions, one a line; a name that none of them
// matches anywhere is refused. Without the file every name is allowed.
//
// The Go plugin reads the lines as RE2. What RE2 and this engine read alike is taken; a line with anything else is
// refused before anything is set, since it might allow what its author did not mean: flags and groups with a name,
// classes like [[:alpha:]] and \pL, \A, \z, \Q...\E, and what RE2 lacks (look-around, back references).
import { CniError } from "../../lib/cni/error.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";

const path = "/etc/cni/tuning/allowlist.conf";

/** The syntax that both read alike: ordinary characters, escaped punctuation, \d \w \s \b, groups, plain classes. */
const alike =
  /^(?:[^\\[\](]|\\[^A-Za-z0-9]|\\[dDwWsSbB]|\((?!\?)|\(\?:|\[(?!\^?\])\^?(?:[^\\[\]]|\\[^A-Za-z0-9]|\\[dDwWsS])+\])*$/;

/** The file's lines; undefined where there is no file. */
export function readAllowlist(host: Host): string[] | undefined {
  let text: string;
  try {
    text = host.files.read(path);
  } catch (error) {
    if (isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "");
}

/** Throws a CniError (7) where the node does not allow one of the names, or where its list cannot be read. */
export function refuseForbidden(names: Iterable<string>, host: Host): void {
  const allowed = readAllowlist(host);
  if (allowed === undefined) return;
  const patterns = allowed.map(patternOf);
  for (const name of names) {
    if (patterns.some((pattern) => pattern.test(name))) continue;
    throw new CniError(
      "invalidConfig",
      `Sysctl ${name} is not allowed. Only the following sysctls are allowed: [${allowed.join(" ")}]`,
      { hint: `take it out of the network configuration, or add a line for it to ${path} on this node` },
    );
  }
}

function patternOf(line: string): RegExp {
  let reason = "";
  try {
    if (alike.test(line)) return new RegExp(line);
  } catch (error) {
    reason = `: ${(error as Error).message}`;
  }
  throw new CniError(
    "invalidConfig",
    `allowlist "${line}" is no regular expression that everybody reads alike${reason}`,
    {
      details: path,
      hint: "write this line with characters, dots, classes, groups and repetitions, and escape what is meant as it is: ^net\\.ipv4\\.conf\\.IFNAME\\.",
    },
  );
}
