// System calls of each step, counted by strace in a run of its own: strace makes everything slow.
import { readFileSync } from "node:fs";
import { execa } from "execa";

const out = "/run/strace";
const syncs = /^(fsync|fdatasync|syncfs|sync_file_range|sync)$/;

/** What a call must have printed, so that what is counted and timed is known to be the plugin's answer. */
const answers = { ADD: /"(ips|interfaces|ip4)"/, CHECK: /^$/, DEL: /^$/, STATUS: /^$/, VERSION: /"supportedVersions"/ };

const fill = (text) => text.replaceAll("{id}", "c0ffee".padStart(64, "0")).replaceAll("{i}", "0");

function parse(table) {
  const calls = [...table.matchAll(/^ *(\d+) (\w+)$/gm)].map(([, number, name]) => ({ name, number: Number(number) }));
  const sum = (list) => list.reduce((total, { number }) => total + number, 0);
  const all = calls.filter(({ name }) => name !== "total");
  return { calls: sum(all), syncs: sum(all.filter(({ name }) => syncs.test(name))) };
}

/** Runs a lane's steps once, in order. Counts by step; none where there is no strace. */
export async function count(steps) {
  const counts = {};
  let result = "";
  for (const { name, exe, args = [], env, stdin, previous, measured } of steps) {
    const filled = Object.fromEntries(Object.entries(env).map(([key, value]) => [key, fill(value)]));
    const text = stdin === undefined ? "" : readFileSync(stdin, "utf8");
    const input = previous ? JSON.stringify({ ...JSON.parse(text), prevResult: JSON.parse(result) }) : text;
    const options = { env: filled, extendEnv: false, input };
    if (measured === false) {
      await execa(exe, args, options);
      continue;
    }
    const { stdout, stderr, code, exitCode } = await execa(
      "strace",
      ["-f", "-c", "-U", "calls,name", "-o", out, exe, ...args],
      {
        ...options,
        reject: false,
      },
    );
    if (code === "ENOENT") return undefined;
    const expected = answers[filled.CNI_COMMAND];
    if (exitCode !== 0 || !expected.test(stdout))
      throw new Error(`${exe} ${filled.CNI_COMMAND}: ${exitCode} ${stdout} ${stderr}`);
    result ||= stdout;
    counts[name] = parse(readFileSync(out, "utf8"));
  }
  return counts;
}
