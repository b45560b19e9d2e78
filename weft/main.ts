// weft: the command people run. What cnitool does, in this executable: adds, checks and deletes an attachment as a runtime
// would, from the same directories and the same variables. The lists are read in list.ts, the plugins run in chain.ts.
import { buildId, version } from "../lib/cni/build.ts";
import type { Suite } from "../lib/cni/plugin.ts";
import type { Host } from "../lib/host/host.ts";
import { absolute, attachmentOf } from "./attachment.ts";
import type { Attachment } from "./cache.ts";
import { addList, checkList, delList, gcList, statusOfList, wholeText } from "./chain.ts";
import { install, uninstall } from "./install.ts";
import { findNetwork, WeftError, type NetworkList } from "./list.ts";

const usage = `weft attaches network namespaces to CNI networks, as a container runtime does.

  weft add    NETWORK NETNS   attach, print the result
  weft check  NETWORK NETNS   say nothing, or what is wrong
  weft del    NETWORK NETNS   detach
  weft status NETWORK         say nothing, or why nothing could be attached now
  weft gc     NETWORK         detach whatever the network has on this node
  weft version                this build, and the plugins in it
  weft install   DIR          put this executable under its names into DIR; what it replaces is kept there
  weft uninstall DIR          put that back

  -i IFNAME                   the interface's name inside (default: CNI_IFNAME, or eth0)

NETWORK is the name in a list under NETCONFPATH (default /etc/cni/net.d), NETNS the path of a network namespace.
CNI_PATH names the directories of the plugins; CNI_ARGS (K=V;K=V) and CAP_ARGS (a JSON object) go to them.
`;

/** One verb; what it returns is printed. `wantsNetns`: without it, a NETNS is let pass, because cnitool asks for one. */
interface WeftVerb {
  readonly wantsNetns: boolean;
  run(list: NetworkList, attachment: () => Attachment, host: Host): unknown;
}

const verbs: Readonly<Record<string, WeftVerb>> = {
  add: { wantsNetns: true, run: (list, attachment, host) => addList(list, attachment(), host) },
  check: { wantsNetns: true, run: (list, attachment, host) => checkList(list, attachment(), host) },
  del: { wantsNetns: true, run: (list, attachment, host) => delList(list, attachment(), host) },
  status: { wantsNetns: false, run: (list, _attachment, host) => statusOfList(list, host) },
  gc: { wantsNetns: false, run: (list, _attachment, host) => gcList(list, host) },
};

const installers: Readonly<Record<string, typeof install>> = { install, uninstall };
const own = <T>(table: Readonly<Record<string, T>>, word: string): T | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined;

/** What is wrong with the words, or undefined. */
function misuse([verb, network, netns, ...rest]: readonly string[]): string | undefined {
  if (verb === undefined) return "which verb?";
  if (own(installers, verb) !== undefined) {
    if (network === undefined) return `${verb} which DIR?`;
    return netns === undefined ? undefined : `too many words: ${[netns, ...rest].join(" ")}`;
  }
  const known = own(verbs, verb);
  if (known === undefined) return `unknown verb "${verb}"`;
  if (network === undefined) return `${verb} which NETWORK?`;
  if (netns === undefined && known.wantsNetns) return `${verb} which NETNS?`;
  return rest.length === 0 ? undefined : `too many words: ${rest.join(" ")}`;
}

function runVerb(words: readonly string[], ifName: string | undefined, host: Host): string {
  const [verb = "", network = "", netns = ""] = words;
  const list = findNetwork(host, host.env("NETCONFPATH") || "/etc/cni/net.d", network);
  const result = verbs[verb]?.run(list, () => attachmentOf(netns, ifName, host), host);
  return result === undefined ? "" : JSON.stringify(result, null, 4);
}

/** Does what the words say; what there is to print. */
function answer(words: string[], host: Host, suite: Suite): string {
  if (words[0] === "help" || words.includes("--help") || words.includes("-h")) return usage;
  if (words[0] === "version" || words[0] === "--version")
    return `weft ${version} (build ${buildId}): ${[...suite.keys()].join(", ")}\n`;
  const option = words.indexOf("-i");
  const [, ifName] = option < 0 ? [] : words.splice(option, 2);
  const wrong = option >= 0 && ifName === undefined ? "-i which IFNAME?" : misuse(words);
  if (wrong !== undefined) throw new WeftError(`weft: ${wrong}\n\n${usage}`);
  const [verb = "", directory = ""] = words;
  const run = own(installers, verb);
  if (run === undefined) return runVerb(words, ifName, host);
  run(absolute(directory, host), [...suite.keys(), "weft"], host, (line) => host.writeStdout(`${line}\n`));
  return "";
}

/** Runs `weft` with this process's arguments; returns the exit status. */
export function runWeft(host: Host, suite: Suite): number {
  try {
    const text = answer(host.argv.slice(1), host, suite);
    if (text !== "") host.writeStdout(text);
    return 0;
  } catch (error) {
    host.log(wholeText(error));
    return 1;
  }
}
