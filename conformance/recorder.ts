// Plugins that write down how they were called: their variables and standard input, before they do what the real ones do
// or print what a test wants.
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync } from "node:fs";
import type { Cell } from "./cell.ts";

/** One call of a plugin as it saw it. */
export interface Recorded {
  readonly plugin: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

export const recorderPath = "/run/recorder";
const calls = "/run/calls";
/** What stands here is printed instead of running a real plugin. */
const answers = "/run/answers";

/** One call is in one folder, numbered in order; plugins of a list never run at once. */
const script = (name: string, real: string) => `#!/bin/sh
call=${calls}/$(ls ${calls} | wc -l)
mkdir $call
env | grep ^CNI_ | sort >$call/env
cat >$call/stdin
echo ${name} >$call/plugin
test ! -e ${answers}/${name}.$CNI_COMMAND || { . ${answers}/${name}.$CNI_COMMAND; exit; }
test -e ${real}/${name} || exit 0
exec ${real}/${name} <$call/stdin
`;

/** Puts recorders of these names into the node; each goes on to its name in `real`, where that is there. */
export function placeRecorders(cell: Cell, names: readonly string[], real: string): void {
  mkdirSync(cell.path(calls), { recursive: true });
  mkdirSync(cell.path(answers), { recursive: true });
  for (const name of names) {
    cell.write(`${recorderPath}/${name}`, script(name, real));
    chmodSync(cell.path(`${recorderPath}/${name}`), 0o755);
  }
}

/** What a recorder of this name does at this verb: a shell script; "$call/stdin" is its standard input. */
export function answerWith(cell: Cell, name: string, verb: string, shell: string): void {
  cell.write(`${answers}/${name}.${verb}`, shell);
}

/** The calls since the last time. */
export function takeCalls(cell: Cell): Recorded[] {
  const numbers = existsSync(cell.path(calls)) ? readdirSync(cell.path(calls)).map(Number) : [];
  const recorded = numbers
    .sort((a, b) => a - b)
    .map((number) => {
      const read = (name: string) => readFileSync(cell.path(`${calls}/${number}/${name}`), "utf8");
      const lines = read("env").split("\n").filter(Boolean);
      return {
        plugin: read("plugin").trim(),
        env: Object.fromEntries(lines.map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string])),
        stdin: read("stdin"),
      };
    });
  for (const number of numbers) rmSync(cell.path(`${calls}/${number}`), { recursive: true });
  return recorded;
}

/** Standard input with the escapes undone that Go's encoder writes in strings, so that texts can be compared. */
export const unescaped = (text: string): string =>
  text.replace(/\\u00(?:3c|3e|26)/g, (code) => JSON.parse(`"${code}"`) as string);
