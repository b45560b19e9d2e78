// What the names in a request may look like: the rules of the Go library, which runtimes and file names rely on.
import { CniError } from "./error.ts";

const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
/** What no link's name may have in it; of white space what Go's unicode.IsSpace knows. */
const notInName = /[/:\t\n\v\f\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII begins with them
const beyondAscii = /[^\u0000-\u007f]/;
const maxIfNameBytes = 15;

function utf8Length(text: string): number {
  if (!beyondAscii.test(text)) return text.length;
  let length = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    length += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  }
  return length;
}

export function checkContainerId(id: string): void {
  if (namePattern.test(id)) return;
  throw new CniError("invalidEnvironment", "invalid characters in containerID", {
    details: id,
    hint: "CNI_CONTAINERID starts with a letter or digit and goes on with letters, digits, '_', '.', '-'",
  });
}

export function checkIfName(name: string): void {
  const fault = (msg: string, details: string) =>
    new CniError("invalidEnvironment", msg, { details, hint: "choose another CNI_IFNAME" });
  // No character's half takes more than three bytes.
  if (name.length * 3 > maxIfNameBytes && utf8Length(name) > maxIfNameBytes)
    throw fault(
      "interface name is too long",
      `interface name "${name}" should be less than ${maxIfNameBytes + 1} characters`,
    );
  if (name === "." || name === "..") throw fault("interface name is . or ..", `got "${name}"`);
  if (notInName.test(name))
    throw fault("interface name contains / or : or whitespace characters", `got ${JSON.stringify(name)}`);
}

export function checkNetworkName(name: string): void {
  if (name === "")
    throw new CniError("invalidConfig", "missing network name", { hint: 'give the network configuration a "name"' });
  if (namePattern.test(name)) return;
  throw new CniError("invalidConfig", "invalid characters found in network name", {
    details: name,
    hint: "a network's name starts with a letter or digit and goes on with letters, digits, '_', '.', '-'",
  });
}
