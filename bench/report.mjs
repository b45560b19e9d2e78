// The run as a table for people (results.md), for programs (results.json) and as a picture (results.svg).
import { readFileSync, writeFileSync } from "node:fs";
import { cpus, release } from "node:os";
import { join } from "node:path";
import { root } from "../build/bootstrap.mjs";
import { barsOf } from "./bars.mjs";
import { leftOf } from "./left.mjs";
import { plot } from "./plot.mjs";
import { compare, summarize } from "./statistics.mjs";

const titles = {
  go: "Go",
  weft: "Weft",
  blank: "Weft, no heap image",
  node: "Weft on Node",
  floorGlibc: "floor, glibc",
  floorMusl: "floor, musl",
};
const titleOf = (lane) => titles[lane] ?? lane;

/** Lanes beside the four of every run: the Node build, or other builds. */
const extras = (lanes) => lanes.filter((lane) => !["go", "weft", "floorGlibc", "floorMusl"].includes(lane));

const fixed = (value, digits) => (value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits));
const ms = (value) => fixed(value, value < 10 ? 2 : 1);
const table = (head, rows) =>
  [head, head.map((_, at) => (at === 0 ? "---" : "---:")), ...rows]
    .map((cells) => `| ${cells.join(" | ")} |`)
    .join("\n");

/** A row's figures by lane, and Weft's ratios to Go and to the floors. */
function rowsOf({ measured, samples, counts, lanes }) {
  return measured.flatMap(({ id, rows }) =>
    rows.map(({ step, title }) => {
      const of = (lane) => samples.get(id).filter((sample) => sample.lane === lane && sample.step === step);
      const present = lanes.filter((lane) => of(lane).length > 0);
      const figures = present.map((lane) => [lane, { ...summarize(of(lane)), ...counts.get(`${id} ${lane}`)?.[step] }]);
      const ratio = (ours, theirs) =>
        present.includes(ours) && present.includes(theirs) ? compare(of(ours), of(theirs)) : undefined;
      return {
        title,
        rounds: of("go").length,
        lanes: Object.fromEntries(figures),
        toGo: ratio("weft", "go"),
        toFloorGlibc: ratio("weft", "floorGlibc"),
        toFloorMusl: ratio("weft", "floorMusl"),
        extrasToGo: Object.fromEntries(extras(lanes).map((lane) => [lane, ratio(lane, "go")])),
      };
    }),
  );
}

function wallTable(rows, lanes) {
  const head = ["call", ...lanes.map(titleOf), "Weft to Go", "±", "to glibc floor", "to musl floor"];
  const more = extras(lanes);
  return table(
    [...head, ...more.map((lane) => `${titleOf(lane)} to Go`)],
    rows.map(({ title, lanes: figures, toGo, toFloorGlibc, toFloorMusl, extrasToGo }) => [
      title,
      ...lanes.map((lane) =>
        figures[lane] === undefined ? "–" : `${ms(figures[lane].wallMs)} (${ms(figures[lane].wallMinMs)})`,
      ),
      `**${fixed(toGo.wall, 2)}**`,
      fixed(toGo.error, 2),
      fixed(toFloorGlibc?.wall, 2),
      fixed(toFloorMusl?.wall, 2),
      ...more.map((lane) => fixed(extrasToGo[lane]?.wall, 2)),
    ]),
  );
}

function costTable(rows, lanes) {
  const shown = lanes.filter((lane) => lane !== "floorGlibc");
  const each = (figures, figure) => shown.map((lane) => figure(figures[lane] ?? {})).join(" / ");
  return table(
    ["call", "CPU ms", "to Go", "peak MB", "to Go", "page faults", "system calls", "fsyncs"],
    rows.map(({ title, lanes: figures, toGo }) => [
      title,
      each(figures, ({ cpuMs }) => ms(cpuMs)),
      fixed(toGo.cpu, 2),
      each(figures, ({ peakMb }) => fixed(peakMb, 1)),
      fixed(toGo.peak, 2),
      each(figures, ({ faults }) => fixed(faults, 0)),
      each(figures, ({ calls }) => calls ?? "–"),
      each(figures, ({ syncs }) => syncs ?? "–"),
    ]),
  );
}

function leftTable(rows, price) {
  const figures = ({ title, ...times }) => [title, ...Object.values(times).map((time) => fixed(time, 2))];
  return table(
    ["call", "whole", "a C program's start and end", "kernel", "page faults", "TypeScript and engine"],
    leftOf(rows, price).map(figures),
  );
}

function barTable(bars) {
  const limit = (value, most) => (value === undefined ? "" : `${most ? "≤" : "≥"} ${value}`);
  const verdict = ({ met, aimMet }) =>
    [
      met === undefined ? [] : met ? "met" : "**not met**",
      aimMet === undefined ? [] : aimMet ? "aim met" : "aim not met",
    ]
      .flat()
      .join(", ");
  return table(
    ["figure", "measured", "bar", "aim", "verdict"],
    bars.map((bar) => [
      bar.name,
      fixed(bar.value, 2),
      limit(bar.bar, bar.most),
      limit(bar.aim, bar.most),
      verdict(bar),
    ]),
  );
}

/** Prints the tables; a whole run also becomes the three files. */
export function report(run) {
  const { lanes, bytes, peers, cgo, whole, price } = run;
  const rows = rowsOf(run);
  const bars = barsOf(rows, bytes);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const cpu = cpus();
  const machine = `Linux ${release()}, ${cpu.length} × ${cpu[0].model.trim()}`;
  const go = Object.entries(peers)
    .map(([name, tag]) => `${name} ${tag}`)
    .join(", ");
  const order = lanes
    .filter((lane) => lane !== "floorGlibc")
    .map(titleOf)
    .join(" / ");
  const text = `# Measured: Weft ${version} beside Go's plugins

\`npm run bench\` on ${machine}. Everything of a row ran alternately, in changing order, on executables copied afresh; each call's exit
status was checked, and of every tenth also its effect. Go: ${go}, ${cgo ? "dynamically linked (cgo)" : "static, as they are released"}; the flannel chain is
three Go processes and one of Weft. The floor is a C program that makes the same kernel requests and does nothing else: the columns
beside it are what the engine costs. Within 6 % is noise. [README.md](README.md) says how it is measured.

## Bars

${barTable(bars)}

## Wall time, ms: median (minimum)

The ratios are medians of the ratios within each round; ± is half the interval that holds the true median with 95 % certainty.

${wallTable(rows, lanes)}

## What is left of a call, ms

Weft's time, less what the floor on musl takes for VERSION and for this call, less the page faults it has beyond the floor's, at
${fixed(price * 1000, 1)} µs each: the mean of the three kinds that [pages.c](pages.c) measures.

${leftTable(rows, price)}

## What it takes

Each cell: ${order}. CPU is user and system time, of all processes; peak memory is that of the largest single process; system calls are
counted by strace in a run of their own.

${costTable(rows, lanes)}

Bytes on disk of these five names: ${lanes.map((lane) => `${titleOf(lane)} ${(bytes[lane] / 1e6).toFixed(2)} MB`).join(", ")}.
`;
  console.log(text);
  if (!whole) return console.log("Not a whole run: bench/results.* stay as they are.");
  writeFileSync(join(root, "bench/results.md"), text);
  writeFileSync(
    join(root, "bench/results.json"),
    `${JSON.stringify({ version, machine, peers, bytes, bars, rows }, null, 1)}\n`,
  );
  writeFileSync(join(root, "bench/results.svg"), plot(rows, machine));
}
