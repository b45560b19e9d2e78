// Plays scenarios of the bridge plugin in a guest: a kernel with what this machine's may lack, a file system of its own in
// memory, the built plugins in it. One boot for all of an implementation's; what the guest saw comes back as one report.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { execa } from "execa";
import { guestKernelDirectory, guestModules } from "../../build/guest-kernel.mjs";
import type { Implementation } from "../scenario.ts";

type Json = Record<string, unknown>;

/** A call of bridge: container c0ffee, interface eth0, netns `pod`, unless told otherwise. */
export interface GuestCall {
  readonly verb: string;
  readonly conf: Json;
  readonly pod?: string;
  readonly container?: string;
  /** An empty CNI_NETNS. */
  readonly noNetns?: true;
  /** With the result that step printed. */
  readonly prevResult?: number;
  /** In both runs by this one: what one made must be taken over by the other. */
  readonly by?: Implementation;
  /** What an error must say in whatever words each implementation has around it. */
  readonly says?: RegExp;
}

/** Something done to the node, or in a pod. */
export interface GuestDeed {
  readonly shell: string;
  readonly pod?: string;
  /** Its exit status, where that is the point: 0 when left out. */
  readonly exits?: number;
}

export interface GuestScenario {
  readonly name: string;
  readonly steps: readonly (GuestCall | GuestDeed)[];
  /** Pods to make before; one called `pod` when left out. */
  readonly pods?: readonly string[];
}

/** What one step left behind, as the guest's tools told it. */
export interface GuestStep {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What is looked at after ADD and DEL. */
  readonly seen?: GuestState;
}

export interface GuestState {
  /** `bridge -j vlan show` on the node. */
  readonly vlans: readonly Json[];
  /** `ip -j -d addr` there. */
  readonly node: readonly Json[];
  /** The files of the reservations of network "net". */
  readonly store: readonly string[];
}

/** The steps of each scenario by each implementation. */
export type GuestReport = Readonly<Record<Implementation, readonly (readonly GuestStep[])[]>>;

const memoryMb = 512;
/** A quiet machine needs a minute at most; this ends what hangs. */
const bootAndPlayMs = 1_900_000;

/** Under which a scenario is played, and reports. */
const folderOf = (scenario: number): string => String(scenario).padStart(3, "0");

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

function line(step: GuestCall | GuestDeed): string {
  if ("shell" in step) return `deed ${quoted(step.pod ?? "")} ${quoted(step.shell)}`;
  const { verb, conf, pod = "pod", container = "c0ffee", noNetns, prevResult, by } = step;
  const netns = noNetns === true ? "" : `/run/netns/${pod}`;
  const words = [verb, netns, container, JSON.stringify(conf), ...(prevResult === undefined ? [] : [`${prevResult}`])];
  return `call ${by ?? '"$by"'} ${words.map(quoted).join(" ")}`;
}

/** A program of this machine, with the libraries it is linked with. */
async function addProgram(tree: string, command: string, place: string): Promise<void> {
  const { stdout: path } = await execa("sh", ["-c", 'readlink -f "$(command -v "$0")"', command]);
  const { stdout: linked } = await execa("ldd", [path], { reject: false });
  for (const [library] of linked.matchAll(/\/\S+/g)) {
    mkdirSync(join(tree, dirname(library)), { recursive: true });
    copyFileSync(library, join(tree, library));
  }
  mkdirSync(join(tree, dirname(place)), { recursive: true });
  copyFileSync(path, join(tree, place));
}

async function makeTree(
  tree: string,
  scenarios: readonly GuestScenario[],
  bins: Readonly<Record<Implementation, string>>,
): Promise<void> {
  for (const folder of [
    "proc",
    "sys",
    "dev",
    "run",
    "tmp",
    "var",
    "bin",
    "modules",
    "scenarios",
    "report",
    "opt/ours",
    "opt/go",
  ])
    mkdirSync(join(tree, folder), { recursive: true });
  symlinkSync("/run/lib", join(tree, "var/lib"));
  const programs = { busybox: "bin/busybox", ip: "usr/sbin/ip", bridge: "usr/sbin/bridge" };
  for (const [program, place] of Object.entries(programs)) await addProgram(tree, program, place);
  for (const by of ["ours", "go"] as const)
    for (const plugin of ["bridge", "host-local"]) copyFileSync(join(bins[by], plugin), join(tree, "opt", by, plugin));
  for (const name of guestModules)
    copyFileSync(join(guestKernelDirectory, `${name}.ko`), join(tree, "modules", `${name}.ko`));
  writeFileSync(join(tree, "modules/order"), guestModules.join("\n"));
  copyFileSync(join(import.meta.dirname, "init.sh"), join(tree, "init"));
  copyFileSync(join(import.meta.dirname, "play.sh"), join(tree, "play.sh"));
  chmodSync(join(tree, "init"), 0o755);
  scenarios.forEach(({ pods = ["pod"], steps }, at) => {
    const script = [...pods.map((pod) => `pod ${pod}`), ...steps.map(line), ""].join("\n");
    writeFileSync(join(tree, "scenarios", folderOf(at)), script);
  });
}

function readStep(step: string): GuestStep {
  const text = (name: string) => readFileSync(`${step}.${name}`, "utf8");
  const list = (name: string) => JSON.parse(text(name)) as Json[];
  const said = { exit: Number(text("exit")), stdout: text("stdout"), stderr: text("stderr") };
  if (!existsSync(`${step}.node`)) return said;
  // The shell's pattern itself: nothing matched.
  const store = text("store")
    .trim()
    .split(" ")
    .filter((path) => !path.includes("*"));
  return { ...said, seen: { vlans: list("vlans"), node: list("node"), store } };
}

async function readReport(answer: string, scenarios: readonly GuestScenario[], folder: string): Promise<GuestStep[][]> {
  const text = readFileSync(answer, "utf8");
  if (!text.endsWith("end\n")) throw new Error("it did not report");
  mkdirSync(folder);
  await execa("tar", ["-xz", "-C", folder], { input: Buffer.from(text.slice(0, -"end\n".length), "base64") });
  return scenarios.map(({ steps }, at) => steps.map((_, step) => readStep(join(folder, `${folderOf(at)}.${step}`))));
}

/** One guest, in which one implementation plays them all. */
async function boot(by: Implementation, initrd: string, answer: string): Promise<string> {
  // Emulated: a nested hypervisor that does not work hangs, and cannot be told from one that does. A second processor
  // would cost more than it does.
  const machine = `-accel tcg -m ${memoryMb} -smp 1 -nodefaults -display none -no-reboot`.split(" ");
  const kernel = ["-kernel", join(guestKernelDirectory, "vmlinuz"), "-initrd", initrd];
  const options = `console=ttyS0 quiet panic=-1 no_timer_check mitigations=off by=${by}`;
  const { all } = await execa(
    "qemu-system-x86_64",
    [...machine, ...kernel, "-append", options, "-serial", "stdio", "-serial", `file:${answer}`],
    { all: true, reject: false, stdin: "ignore", timeout: bootAndPlayMs },
  );
  return all;
}

/** Plays the scenarios with both implementations, in a guest each, and says what was seen there. */
export async function playInGuests(
  scenarios: readonly GuestScenario[],
  bins: Readonly<Record<Implementation, string>>,
): Promise<GuestReport> {
  const work = mkdtempSync(join(tmpdir(), "weft-guest-"));
  try {
    const initrd = join(work, "initrd");
    await makeTree(join(work, "tree"), scenarios, bins);
    await execa("sh", ["-c", 'cd "$0" && find . | cpio --quiet -o -H newc >"$1"', join(work, "tree"), initrd]);
    const played = async (by: Implementation) => {
      const answer = join(work, `report-${by}`);
      const console = await boot(by, initrd, answer);
      try {
        return await readReport(answer, scenarios, join(work, by));
      } catch (cause) {
        throw new Error(`the guest failed; its console says:\n${console.slice(-4000)}`, { cause });
      }
    };
    const [ours, go] = await Promise.all([played("ours"), played("go")]);
    return { ours, go };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
