// The heap image: what it holds is the same in every process, and what must differ does. A wrong stack limit or a stray
// pointer strikes in one start of many, so the executable starts by the thousand.
import {
  chmodSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, describe, expect, test, vi } from "vitest";
import { engine, ours } from "../testing/binaries.ts";
import { root } from "./bootstrap.mjs";
import { homeTarget } from "./engine.mjs";
import { compileRehearsal, linkBlank } from "./embedded.mjs";
import { planFor, writeImage } from "./image.mjs";
import { engineCrates, fetchCrates } from "./quickjs.mjs";

const directory = mkdtempSync(join(tmpdir(), "weft-image-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** What is written at once the kernel may also map at once; so it maps sixteen pages, as of a file that it has read. */
function copyByPages(from: string, to: string): void {
  const bytes = readFileSync(from);
  const file = openSync(to, "wx", 0o755);
  for (let at = 0; at < bytes.length; at += 4096) writeSync(file, bytes.subarray(at, at + 4096));
  closeSync(file);
}

/** The Node engine has no image. */
const describeEmbedded = engine === "embedded" ? describe : () => {};

describeEmbedded("the executable", () => {
  const version =
    '{"cniVersion":"1.1.0","supportedVersions":["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}';

  // A shell starts it, because a test's own process takes longer to start one than it runs. ulimit -s counts kilobytes.
  const starts = 1500;
  const loop = (verb: string, expected: string) => `
    pad=; wrong=0
    for run in $(seq ${starts}); do
      pad=$pad$(printf %0$((run % 97))d 0); [ $((run % 83)) -ne 0 ] || pad=
      got=$(printf '%s' '{"cniVersion":"1.1.0","name":"n","type":"bridge"' | PAD=$pad CNI_COMMAND=${verb} CNI_PATH=/x "$0")
      [ "$got" = '${expected}' ] || { wrong=$((wrong + 1)); printf '%s\\n' "$got"; }
    done
    echo "$wrong wrong"`;
  const broken = JSON.stringify(
    {
      cniVersion: "1.1.0",
      code: 6,
      msg: "error unmarshall network config: unexpected end of JSON input",
      details: "the configuration on standard input is not what JSON or the CNI specification allow at this place",
    },
    null,
    4,
  );

  test.each([
    ["as it is", ""],
    ["with a stack of 300 KB", "ulimit -s 300"],
    ["with a stack without end", "ulimit -s unlimited"],
    ["with 16 MB of address space", "ulimit -v 16384"],
  ])("started %s by the thousand, answers and refuses alike", async (_how, limit) => {
    for (const [verb, expected] of [
      ["VERSION", version],
      ["STATUS", broken],
    ] as const) {
      const { stdout } = await execa("sh", ["-c", `${limit}\n${loop(verb, expected)}`, join(ours, "bridge")]);
      expect(stdout).toBe("0 wrong");
    }
  });

  test("a blank one is refused what must not be in an image, and runs as any other", async () => {
    const script = `
      import { getenv, readFile, write } from "host";
      const told = [];
      for (const each of [() => getenv("HOME"), () => Math.random()]) {
        try { each(); told.push("nothing"); } catch (error) { told.push(error.message); }
      }
      const kept = { tree: { leaves: ["1", "2"] }, names: new Map([["first", {}]]) };
      const many = Array.from({ length: 1000 }, (_, number) => ({ number }));
      const crowd = Array.from({ length: 6000 }, (_, number) => ({ number, next: undefined }));
      for (const each of crowd) each.next = crowd[each.number + 50];
      const first = crowd[0];
      // proc_pid_stat(5): minflt.
      const faults = () => Number(readFile("/proc/self/stat", 4096).split(" ")[9]);
      const ends = {
        // To use an object is not to write to it: its page stays the file's.
        pages() {
          const before = faults();
          for (const each of many) if (each.number < 0) return 1;
          write(1, String(faults() - before));
          return 6;
        },
        // A few of many that lie between them.
        scattered() {
          const before = faults();
          for (let each = first; each !== undefined; each = each.next) if (each.number < 0) return 1;
          write(1, String(faults() - before));
          return 6;
        },
        // proc_pid_smaps(5): Rss of the first mapping that is code.
        code() { write(1, / r-xp .*?\\nRss: +(\\d+) kB/s.exec(readFile("/proc/self/smaps", 16384))[1]); return 7; },
        // Several times what the limit allows: garbage in circles that pass through what is in the image, whose objects
        // change all the while.
        garbage() {
          for (let turn = 0; turn < 1e6; turn++) {
            const circle = { kept, name: "name " + (turn % 7) };
            circle.list = [kept.tree, ends.garbage, circle];
            kept.names.get("first").last = circle;
            kept.names.set(circle.name, circle);
            kept["key" + (turn % 50)] = circle.list;
            if (turn % 3 === 0) delete kept["key" + (turn % 50)];
            kept.tree.leaves.push(circle.name);
            kept.tree.leaves.pop();
          }
          const { tree, names } = kept;
          return tree.leaves.join() === "1,2" && names.size === 8 && names.get("first").last.kept === kept ? 4 : 5;
        },
        told() { write(1, told.join("; ") + "; " + getenv("HOME")); return 3; },
        recursion() { return 1 + ends.recursion(); },
        memory() { for (const all = []; ; ) all.push("x".repeat(1000) + all.length); },
      };
      // An image has room for five times its bytecode, and this one has little code.
      export const room = "${"x".repeat(400_000)}";
      export default () => ends[getenv("END")]();`;
    writeFileSync(join(directory, "main.js"), script);
    const blank = await linkBlank(join(directory, "main.js"), homeTarget);
    copyFileSync(blank, join(directory, "blank"));
    const said = vi.spyOn(console, "log").mockImplementation(() => {});
    writeImage(blank, homeTarget, join(directory, "imaged"));
    expect(said).toHaveBeenCalledWith(expect.stringMatching(/^a heap image of /));
    said.mockRestore();
    const { stdout: pages } = await execa(join(directory, "imaged"), { env: { END: "pages" }, reject: false });
    expect(pages).toMatch(/^\d+$/);
    // They lie on some forty pages, of which the kernel maps sixteen at once.
    expect(Number(pages)).toBeLessThan(20);
    // What a call uses of the engine lies together (host/order.ld).
    copyByPages(join(directory, "imaged"), join(directory, "in-pages"));
    const { stdout: code } = await execa(join(directory, "in-pages"), { env: { END: "code" }, reject: false });
    expect(code).toMatch(/^\d+$/);
    expect(Number(code)).toBeLessThan(500);
    // What a rehearsed call uses lies together.
    const stat = `1 (x)${" 0".repeat(40)}`;
    const answers = [["getenv", "scattered"], ["readFile", stat], ["readFile", stat], ["write"]];
    const rehearsal = (recorded: unknown[][]) => {
      writeFileSync(join(directory, "recorded.json"), JSON.stringify({ scattered: recorded }));
      return compileRehearsal(homeTarget, join(directory, "recorded.json"), directory);
    };
    const told = vi.spyOn(console, "log").mockImplementation(() => {});
    writeImage(blank, homeTarget, join(directory, "rehearsed"), await rehearsal(answers));
    expect(told.mock.calls).toEqual([[expect.stringMatching(/^a heap image of /)]]);
    // It asks for more than was recorded, for less, for something else.
    for (const recorded of [answers.slice(0, 3), [...answers, ["close"]], answers.with(1, ["close"])]) {
      told.mockClear();
      planFor(blank, homeTarget, await rehearsal(recorded));
      expect(told.mock.calls).toEqual([[expect.stringContaining("npm run record")]]);
    }
    told.mockRestore();
    const [scattered, together] = await Promise.all(
      ["imaged", "rehearsed"].map(async (name) => {
        const { stdout } = await execa(join(directory, name), { env: { END: "scattered" }, reject: false });
        expect(stdout).toMatch(/^\d+$/);
        return Number(stdout);
      }),
    );
    expect(together).toBeLessThan((scattered as number) / 2);
    for (const name of ["blank", "imaged", "rehearsed"]) {
      const run = (end: string, limit = "true") =>
        execa("sh", ["-c", `${limit}; exec "$0"`, join(directory, name)], {
          env: { HOME: "/here", END: end },
          extendEnv: false,
          reject: false,
        });
      const done = await run("told");
      expect(done).toMatchObject({
        exitCode: 3,
        stdout: "a module calls the host while it is read: see docs/host.md; not a function; /here",
      });
      expect(await run("garbage")).toMatchObject({ exitCode: 4, stdout: "" });
      const error = async (end: string, limit?: string) => JSON.parse((await run(end, limit)).stdout);
      for (const kilobytes of ["200", "300", "unlimited"])
        expect(await error("recursion", `ulimit -s ${kilobytes}`)).toMatchObject({
          code: 999,
          msg: "Maximum call stack size exceeded",
        });
      expect(await error("memory")).toMatchObject({ code: 999, msg: "out of memory" });
    }
  });

  test("was rehearsed with calls that ask the kernel for what they asked when they were recorded", async () => {
    const said = vi.spyOn(console, "log");
    planFor(
      join(root, "dist/embedded", `weft-${homeTarget}-blank`),
      homeTarget,
      await compileRehearsal(homeTarget, undefined, directory),
    );
    expect(said.mock.calls).toEqual([]);
    said.mockRestore();
  });

  test("is made of crates from the mirror that cargo's own configuration names", async () => {
    const [home, fetched] = [join(directory, "home"), join(directory, "crates")];
    const mirror = await engineCrates();
    mkdirSync(home);
    writeFileSync(
      join(home, "config.toml"),
      `[source]\ncrates-io.replace-with = "mirror"\nmirror.directory = ${JSON.stringify(mirror)}\n`,
    );
    // Tests have no network: there is nowhere else to fetch them from.
    await fetchCrates(fetched, { CARGO_HOME: home });
    expect(readdirSync(fetched).sort()).toEqual(readdirSync(mirror).sort());
  });
});

describe("the build", () => {
  function blankThatPrints(text: string): string {
    const file = join(directory, "prints");
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  }

  test("refuses two images that differ", () => {
    const blank = blankThatPrints('printf "0000000011111111%s" "$PAD"');
    expect(() => writeImage(blank, homeTarget, join(directory, "out"))).toThrow("two runs made different heap images");
  });

  test("says what kept an image from being made", () => {
    const blank = blankThatPrints("echo 'no room' >&2; exit 1");
    expect(() => writeImage(blank, homeTarget, join(directory, "out"))).toThrow("no room");
  });
});
