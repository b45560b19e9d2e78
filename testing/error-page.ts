// docs/errors.md, made from the texts in the source. `npm test -- testing/error-page.test.ts -u` writes it anew.
import { globSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { errorCodes, type ErrorKind } from "../lib/cni/error.ts";
import { errorTexts, type ErrorText } from "./error-texts.ts";

/** Why an error has its number. */
const causes: Readonly<Record<ErrorKind, string>> = {
  delegateFailed: "Another plugin (IPAM, or flannel's delegate) broke down and did not say why in a way we can read.",
  incompatibleVersion: 'The `"cniVersion"` of the configuration is not spoken here, or does not have this verb.',
  unsupportedField: "The configuration asks for what this build, or this kernel, cannot do.",
  unknownContainer: "The container is not known.",
  invalidEnvironment: "A variable of the request (`CNI_COMMAND`, `CNI_CONTAINERID`, ...) is missing or wrong.",
  ioFailure: "A file, standard input or standard output could not be read or written.",
  undecodableConfig: "The configuration on standard input, or a version or result in it, cannot be read.",
  invalidConfig: "The configuration can be read, and says something that cannot be.",
  sameNetns: "`CNI_NETNS` is the network namespace of the node itself.",
  tryAgainLater: "Somebody else holds what is needed, or it is not there yet. Runtimes try again by themselves.",
  unavailable: "STATUS: an ADD could not succeed now.",
  unavailableExistingImpaired:
    "STATUS: an ADD could not succeed now, and containers that run may have lost their network.",
  internal: "The node is not in the state that is needed, or the kernel refused a change, or the plugin has a defect.",
};

interface Section {
  readonly title: string;
  readonly folders: readonly string[];
}
export const sections: readonly Section[] = [
  { title: "Every plugin", folders: ["lib/cni"] },
  { title: "flannel", folders: ["plugins/flannel", "lib/flannel"] },
  { title: "bridge", folders: ["plugins/bridge"] },
  { title: "host-local", folders: ["plugins/host-local-ipam"] },
  { title: "loopback", folders: ["plugins/loopback"] },
  { title: "bandwidth", folders: ["plugins/bandwidth"] },
  { title: "portmap", folders: ["plugins/portmap"] },
  { title: "tuning", folders: ["plugins/tuning"] },
  { title: "firewall", folders: ["plugins/firewall"] },
  { title: "iptables and nftables", folders: ["lib/firewall/iptables", "lib/firewall"] },
];

/** All texts of some folders, in the order of the files and of the lines. */
export function textsIn(root: string, folders: readonly string[]): ErrorText[] {
  const files = folders.flatMap((folder) => globSync(`${folder}/*.ts`, { cwd: root }).sort());
  if (new Set(files.map(dirname)).size !== folders.length) throw new Error(`no source in one of ${folders.join(", ")}`);
  const sources = files.filter((file) => !file.endsWith(".test.ts"));
  return sources.flatMap((file) => errorTexts(readFileSync(`${root}/${file}`, "utf8"), file));
}

const code = (text: string): string => `\`${text.replaceAll("|", "\\|")}\``;
/** A sentence for people; what is in angle brackets would be HTML. */
const prose = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "\\<");
const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n");
const unique = (lines: readonly string[]): string[] => [...new Set(lines)];

function sectionText({ title, folders }: Section, root: string): string {
  const texts = textsIn(root, folders);
  const of = (kind: ErrorText["kind"]) => texts.filter((each) => each.kind === kind);
  const list = (kind: ErrorText["kind"]) => unique(of(kind).map(({ message }) => `* ${code(message.text)}`)).join("\n");
  const rows = of("error").map(({ codes, message, details, hints }) => [
    unique(codes.map(String)).join(" or "),
    code(message.text),
    details.map(code).join("<br>"),
    hints.length === 0 ? "what `<details>` ends with" : hints.map(prose).join("<br>"),
  ]);
  const differs = texts.some(({ message }) => message.text === "<differences>");
  return [
    `## ${title}`,
    table(["code", "msg", "facts", "what to do"], rows),
    ...(of("context").length === 0 ? [] : [`In front of another error's \`msg\`:`, list("context")]),
    ...(of("reason").length === 0
      ? []
      : [`In the place of \`<reason>\`${differs ? " and `<differences>`" : ""}:`, list("reason")]),
  ].join("\n\n");
}

const introduction = `# Errors

A plugin that fails prints one JSON object on standard output and exits with status 1: \`code\`, \`msg\`, and \`details\`, which are
facts and then, after a semicolon, what to do. Kubelet and the runtimes log \`msg\` and \`details\`. Values that differ from call to
call are in angle brackets here; what is in square brackets may be missing.

* A \`msg\` is read from left to right: what was being done, then why it failed, as in \`failed to allocate for range 0: no IP
  addresses available in range set: 10.244.1.1-10.244.1.254\`. The code and the details are those of the last part.
* What the kernel refuses reads \`open /run/x: permission denied\` where a file is meant, and \`link add "cni0": numerical result
  out of range at IFLA.mtu (kernel: "...")\` where a link, an address or a route is.
* A code of 100 or more is another plugin's own, passed on.

This page is made from the source; a test holds the two together.`;

/** The whole page. */
export function errorPage(root: string): string {
  const used = new Set(sections.flatMap(({ folders }) => textsIn(root, folders).flatMap(({ codes }) => codes)));
  const kinds = (Object.keys(causes) as ErrorKind[]).filter((kind) => used.has(errorCodes[kind]));
  const rows = kinds.map((kind) => [String(errorCodes[kind]), causes[kind]]);
  const parts = [
    introduction,
    "## What the codes mean",
    table(["code", "cause"], rows),
    ...sections.map((section) => sectionText(section, root)),
  ];
  return `${parts.join("\n\n")}\n`;
}
