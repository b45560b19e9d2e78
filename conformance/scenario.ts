// A scenario is a sequence of plugin calls on a fresh node. It is played by one implementation at a time; what is kept of
// it after each call is all that a runtime, an operator or another plugin could see.
import { plugins } from "../testing/binaries.ts";
import { Cell, type Outcome } from "./cell.ts";
import { Names, nameLinks } from "./normalise.ts";
import { observe, observeFiles, type FileState, type NodeState } from "./observe.ts";

export type Implementation = "ours" | "go";

/** One call of a plugin. What is left out is as kubelet would have it: container c0ffee, interface eth0, netns `pod`. */
export interface Call {
  readonly verb: string;
  readonly plugin: string;
  /** Standard input: a text goes as it is, a value as JSON, a function is asked with the outcomes so far. */
  readonly config?: unknown;
  /** Added to the environment; undefined takes a variable out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** The pod's netns by name. */
  readonly pod?: string;
  /** What an error must say, in whatever words and punctuation each implementation has around it. */
  readonly says?: RegExp;
  /** In our run, too, this call is Go's: what Go made must be taken over, and the reverse. */
  readonly byGo?: true;
  /** Go's plugin to ask instead, where its own is older than the library whose checks are compared. */
  readonly goAs?: string;
  /** What Go's plugin is given instead. */
  readonly goConfig?: unknown;
  /** Where standard output goes instead: a path of the node, or "closed". */
  readonly stdoutTo?: string;
}

/** Something done to the node between calls. */
export interface Deed {
  readonly shell: string;
  readonly pod?: string;
}

export interface Scenario {
  readonly name: string;
  readonly steps: readonly (Call | Deed)[];
  /** Pods to make before; one called `pod` when left out. */
  readonly pods?: readonly string[];
  /** Links, addresses and sysctls are looked at, too. */
  readonly look?: "files" | "node";
  /** Our run has these plugins of Go's in its CNI_PATH. */
  readonly goParts?: readonly string[];
}

/** What one step left behind, drawn values named. */
export interface Played {
  readonly did: string;
  readonly exit?: number | undefined;
  readonly stdout?: unknown;
  /** How it was printed: with four blanks, in one line, or else the text. */
  readonly layout?: string;
  /** The order of its keys. */
  readonly keys?: unknown;
  readonly error?: { code?: unknown; cniVersion?: unknown; msg?: unknown; details?: unknown; says?: unknown };
  readonly stderr?: "empty" | "text";
  readonly files: Record<string, FileState>;
  readonly state?: NodeState;
}

/** Where each implementation's executables are, and the rules of a run. */
export interface Bins {
  readonly ours: string;
  readonly go: string;
}

/** Folders of the node a call's CNI_PATH names: each implementation's, and the mixture a scenario asks for. */
async function placeBins(cell: Cell, bins: Bins, goParts: readonly string[]): Promise<void> {
  const link = (folder: string, name: string, by: Implementation) =>
    `ln -s ${by === "ours" ? bins.ours : bins.go}/${name} /run/bin/${folder}/${name}`;
  await cell.shell(
    [
      "mkdir -p /run/bin/go /run/bin/ours",
      ...plugins.map((name) => link("go", name, "go")),
      ...plugins.map((name) => link("ours", name, goParts.includes(name) ? "go" : "ours")),
    ].join("\n"),
  );
}

function keyOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(keyOrder);
  if (typeof value !== "object" || value === null) return 0;
  return Object.entries(value).map(([key, each]) => [key, keyOrder(each)]);
}

function parsed(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** What a runtime could see of an outcome. */
export function outcomeOf({ exit, stdout, stderr }: Outcome, says: RegExp | undefined): Partial<Played> {
  const json = parsed(stdout);
  const common = { exit, stderr: stderr === "" ? "empty" : "text" } as const;
  if (json === undefined) return { ...common, stdout };
  // Go writes <, > and & as escapes.
  const plain = stdout.replace(/\\u00(?:3c|3e|26)/g, (code) => JSON.parse(`"${code}"`) as string);
  const layout =
    plain === JSON.stringify(json, null, 4)
      ? "four blanks"
      : plain === `${JSON.stringify(json)}\n`
        ? "one line"
        : stdout;
  if (exit === 0 || json.code === undefined) return { ...common, stdout: json, layout, keys: keyOrder(json) };
  const { code, cniVersion, msg, details } = json;
  const whole = `${String(msg)}; ${String(details ?? "")}`;
  const said = says === undefined ? { msg, details } : { says: says.test(whole) ? `matches ${says}` : whole };
  return { ...common, layout, error: { code, cniVersion, ...said } };
}

async function call(cell: Cell, step: Call, by: Implementation, config: unknown): Promise<Outcome> {
  const env: Record<string, string | undefined> = {
    CNI_COMMAND: step.verb,
    CNI_CONTAINERID: "c0ffee",
    CNI_NETNS: `/run/netns/${step.pod ?? "pod"}`,
    CNI_IFNAME: "eth0",
    CNI_PATH: `/run/bin/${by}`,
    ...step.env,
  };
  const given = Object.entries(env).filter((each): each is [string, string] => each[1] !== undefined);
  const stdin = typeof config === "string" ? config : config === undefined ? "" : JSON.stringify(config);
  const path = `/run/bin/${by}/${by === "go" ? (step.goAs ?? step.plugin) : step.plugin}`;
  const options = { env: Object.fromEntries(given), stdin };
  if (step.stdoutTo === undefined) return cell.run(path, [], options);
  const target = step.stdoutTo === "closed" ? ">&-" : `>${step.stdoutTo}`;
  return cell.run("/bin/sh", ["-c", `exec ${path} ${target}`], options);
}

/** What an implementation makes of a scenario. */
export interface Play {
  /** The node before. */
  readonly start?: NodeState;
  readonly steps: readonly Played[];
}

/** Plays a scenario on a node of its own. */
export async function play(scenario: Scenario, by: Implementation, bins: Bins): Promise<Play> {
  await using cell = await Cell.open();
  await placeBins(cell, bins, by === "ours" ? (scenario.goParts ?? []) : []);
  const pods = scenario.pods ?? ["pod"];
  for (const pod of pods) await cell.addPod(pod);
  const names = new Names(JSON.stringify(scenario.steps));
  const look = async (): Promise<NodeState | undefined> => {
    if (scenario.look !== "node") return undefined;
    const state = await observe(
      cell,
      pods.filter((pod) => cell.isNetns(pod)),
    );
    nameLinks(state);
    names.learn(state);
    return state;
  };
  const start = await look();
  const steps: Played[] = [];
  for (const step of scenario.steps) {
    let done: Partial<Played> = {};
    if ("shell" in step) await cell.shell(step.shell, step.pod);
    else {
      const given: unknown = by === "go" ? (step.goConfig ?? step.config) : step.config;
      const config: unknown = typeof given === "function" ? given(steps) : given;
      done = outcomeOf(await call(cell, step, step.byGo === true ? "go" : by, config), step.says);
    }
    const did = "shell" in step ? "a deed" : `${step.verb} ${step.plugin}`;
    const state = await look();
    if (state === undefined) names.learnResult(done.stdout);
    steps.push({ did, ...done, files: observeFiles(cell), ...(state === undefined ? {} : { state }) });
  }
  const named = names.value({ ...(start === undefined ? {} : { start }), steps });
  return JSON.parse(JSON.stringify(named).replaceAll(/\/run\/bin\/(ours|go)/g, "/run/bin")) as Play;
}

/** A configuration with the result an earlier step printed; drawn values stand in it as they are. */
export const withResult =
  (conf: Record<string, unknown>, step: number) =>
  (played: readonly Played[]): unknown => ({ ...conf, prevResult: played[step]?.stdout });
