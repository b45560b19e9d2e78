// The picture of the README: for each call a bar as long as Weft's share of Go's wall time, with the bar it must stay
// under and the aim. Written by hand, because it is thirty rectangles; its colours follow the reader's light or dark.

const marks = [
  [/^bridge VERSION/, "VERSION", 0.4, 0.25],
  [/^flannel STATUS/, "flannel STATUS", 0.45],
  [/^loopback ADD/, "loopback ADD", 0.4, 0.3],
  [/^flannel ADD chain, tmpfs/, "flannel ADD, on tmpfs", 0.33, 0.25],
  [/^flannel ADD chain, (?!tmpfs)/, "flannel ADD, on a disk", 0.33, 0.25],
  [/^20 parallel flannel ADD/, "20 flannel ADDs at once", 1 / 3],
  [/^100 parallel flannel ADD/, "100 flannel ADDs at once", 1 / 3],
  [/^flannel DEL chain, tmpfs/, "flannel DEL (the kernel's wait)", 1],
  [/^host-local ADD, 250 /, "host-local ADD, 250 held", 0.5],
  [/^host-local ADD, 10,000 /, "host-local ADD, 10,000 held", 0.6],
];

const [left, width, top, rowHeight] = [200, 440, 58, 28];
const x = (ratio) => left + Math.min(ratio, 1.1) * width;

function bar({ label, ratio, weftMs, goMs, limit, aim }, at) {
  const y = top + at * rowHeight;
  const mark = (value, kind) =>
    value === undefined
      ? ""
      : `<line class="${kind}" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${y}" y2="${y + 20}"/>`;
  const ms = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(0));
  const end = Math.max(x(ratio), x(limit)) + 8;
  return `<text class="label" x="${left - 10}" y="${y + 14}" text-anchor="end">${label}</text>
<rect class="weft" x="${left}" y="${y + 2}" width="${(x(ratio) - left).toFixed(1)}" height="16" rx="2"/>${mark(limit, "limit")}${mark(aim, "aim")}
<text class="value" x="${end.toFixed(1)}" y="${y + 14}">${ratio.toFixed(2)} <tspan class="quiet">(${ms(weftMs)} of ${ms(goMs)} ms)</tspan></text>`;
}

/** The SVG as text. Rows that were not measured are left out. */
export function plot(rows, machine) {
  const bars = marks.flatMap(([pattern, label, limit, aim]) => {
    const row = rows.find(({ title }) => pattern.test(title));
    if (row === undefined) return [];
    return [{ label, limit, aim, ratio: row.toGo.wall, weftMs: row.lanes.weft.wallMs, goMs: row.lanes.go.wallMs }];
  });
  const bottom = top + bars.length * rowHeight;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 ${bottom + 34}" role="img" aria-label="Wall time of Weft as a share of the Go plugins'">
<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 } .quiet, .note { fill: #656d76 } .title { font-weight: 600; font-size: 15px }
.weft { fill: #2f81f7 } .go { stroke: #8c959f } .limit { stroke: #cf222e; stroke-width: 2 } .aim { stroke: #1a7f37; stroke-width: 2; stroke-dasharray: 4 2 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .quiet, .note { fill: #9198a1 } .limit { stroke: #ff7b72 } .aim { stroke: #56d364 } }
</style>
<text class="title" x="10" y="22">Wall time of a call: Weft's share of the Go plugins'</text>
<line class="limit" x1="${left}" x2="${left}" y1="34" y2="46"/><text class="note" x="${left + 6}" y="45">must stay under</text>
<line class="aim" x1="${left + 130}" x2="${left + 130}" y1="34" y2="46"/><text class="note" x="${left + 136}" y="45">aim</text>
<line class="go" x1="${x(1)}" x2="${x(1)}" y1="${top - 6}" y2="${bottom}"/><text class="note" x="${x(1)}" y="45" text-anchor="middle">Go = 1</text>
${bars.map(bar).join("\n")}
<text class="note" x="10" y="${bottom + 22}">paired ratios of one run, shorter is better; ${machine}</text>
</svg>
`;
}
