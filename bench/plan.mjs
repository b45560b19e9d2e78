// The harness's plan: lanes that compete, each a list of steps that are run in this order once a round. Line by line:
//
//   rounds N / warmup N
//   lane NAME
//   step NAME                       what follows belongs to this step
//   exe PATH / arg TEXT / env K=V   "{i}" in a value becomes the instance, "{id}" a container id
//   stdin FILE                      all of it fits a pipe
//   count N                         so many at once; the time is that of all of them
//   previous                        the round's first output is added to stdin as prevResult
//   unmeasured / every N            run but not timed / run only each N-th round
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execa } from "execa";

function lines({ name, exe, args = [], env = {}, stdin, count = 1, previous = false, measured = true, every = 1 }) {
  return [
    `step ${name}`,
    `exe ${exe}`,
    ...args.map((arg) => `arg ${arg}`),
    ...Object.entries(env).map(([key, value]) => `env ${key}=${value}`),
    ...(stdin === undefined ? [] : [`stdin ${stdin}`]),
    ...(count === 1 ? [] : [`count ${count}`]),
    ...(previous ? ["previous"] : []),
    ...(measured ? [] : ["unmeasured"]),
    ...(every === 1 ? [] : [`every ${every}`]),
  ];
}

/** Runs the lanes alternately; the samples, in the order they were taken. Throws when any command failed. */
export async function runPlan(harness, { directory, lanes, rounds, warmup }) {
  const [plan, samples] = [join(directory, "plan"), join(directory, "samples")];
  const body = lanes.flatMap(({ name, steps }) => [`lane ${name}`, ...steps.flatMap(lines)]);
  writeFileSync(plan, [`rounds ${rounds}`, `warmup ${warmup}`, ...body, ""].join("\n"));
  await execa(harness, [plan, samples], { stderr: "inherit" });
  return readFileSync(samples, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}
