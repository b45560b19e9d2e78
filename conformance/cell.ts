// A node of its own for each scenario: a network namespace and a mount namespace in which /run, /sys and /var/lib are new.
// Nothing done in it is seen outside, and it is gone when its holder ends, which it does when this process does.
import { mkdirSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { execa } from "execa";

const setUp = `
mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && mount -t sysfs sys /sys || exit 1
mkdir -p /run/netns /run/flannel /run/net.d /var/lib/cni
touch /run/netns/node && mount --bind /proc/self/ns/net /run/netns/node || exit 1
ip link set lo up
echo ready
exec cat`;

/** Ends what hangs: the calls of two hundred pods in turn are one run, and take half a minute on a machine that is busy. */
const runMs = 600_000;
/** NSFS_MAGIC in linux/magic.h. */
const nsfsMagic = 0x6e736673;
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** What a process left. `exit` is undefined for one that was ended by a signal or ran out of time. */
export interface Outcome {
  readonly exit: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Name under /run/netns; the node's own when absent. */
  readonly netns?: string;
}

export class Cell {
  /** The node's file tree, as seen from here. */
  readonly root: string;
  readonly #pid: string;
  readonly #end: () => Promise<unknown>;

  private constructor(pid: number, end: () => Promise<unknown>) {
    this.#pid = String(pid);
    this.root = `/proc/${pid}/root`;
    this.#end = end;
  }

  static async open(): Promise<Cell> {
    const holder = execa("unshare", ["-n", "-m", "sh", "-c", setUp], {
      stdin: "pipe",
      buffer: false,
      stderr: "inherit",
    });
    const pid = holder.pid;
    if (pid === undefined) throw new Error("unshare did not start");
    await new Promise<void>((resolve, reject) => {
      holder.stdout.once("data", () => resolve());
      holder.catch(reject).then(() => reject(new Error("the cell ended before it was ready")));
    });
    return new Cell(pid, () => {
      holder.stdin.end();
      return holder;
    });
  }

  /** Ends the holder; the kernel takes the namespaces and all that is in them. */
  async close(): Promise<void> {
    await this.#end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A path of the node, as this process reaches it. */
  path(inside: string): string {
    return join(this.root, inside);
  }

  /** Runs one program in the node, with no environment but the one given and the usual PATH. */
  async run(file: string, args: readonly string[] = [], options: RunOptions = {}): Promise<Outcome> {
    const netns = options.netns === undefined ? "--net" : `--net=${this.path(`/run/netns/${options.netns}`)}`;
    const done = await execa("/usr/bin/nsenter", ["-t", this.#pid, "--mount", netns, "--", file, ...args], {
      env: { PATH: searchPath, ...options.env },
      extendEnv: false,
      input: options.stdin ?? "",
      reject: false,
      stripFinalNewline: false,
      timeout: runMs,
    });
    return { exit: done.exitCode, stdout: done.stdout, stderr: done.stderr };
  }

  /** Runs a shell script in the node; a failing one throws, with what it said. */
  async shell(script: string, netns?: string): Promise<string> {
    const done = await this.run("/bin/sh", ["-ec", script], netns === undefined ? {} : { netns });
    if (done.exit !== 0) throw new Error(`cell: ${script}\n${done.stderr}`);
    return done.stdout;
  }

  /** Makes a pod's network namespace, /run/netns/NAME. */
  async addPod(name: string): Promise<void> {
    await this.shell(`touch /run/netns/${name} && unshare --net=/run/netns/${name} true`);
  }

  /** Whether a file under /run/netns is a namespace still. */
  isNetns(name: string): boolean {
    try {
      return statfsSync(this.path(`/run/netns/${name}`)).type === nsfsMagic;
    } catch {
      return false;
    }
  }

  /** Writes a file of the node, with the folders above it. */
  write(inside: string, text: string): void {
    mkdirSync(dirname(this.path(inside)), { recursive: true });
    writeFileSync(this.path(inside), text);
  }
}
