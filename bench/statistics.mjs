// Out of samples: medians, minima, and ratios of what ran in the same round.

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The two values between which the true median lies with 95 % certainty, from ranks alone. */
function medianBounds(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const reach = 0.98 * Math.sqrt(sorted.length);
  const at = (rank) => sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(rank)))];
  return [at(sorted.length / 2 - reach - 0.5), at(sorted.length / 2 + reach - 0.5)];
}

const cpuOf = ({ user, system }) => user + system;

/** What a lane's samples of one row come to: milliseconds, MB and counts. */
export function summarize(samples) {
  return {
    wallMs: median(samples.map(({ wall }) => wall)) / 1000,
    wallMinMs: Math.min(...samples.map(({ wall }) => wall)) / 1000,
    cpuMs: median(samples.map(cpuOf)) / 1000,
    peakMb: median(samples.map(({ peak }) => peak)) / 1024,
    faults: median(samples.map(({ faults }) => faults)),
  };
}

/** Medians of the ratios `ours` to `theirs`, round by round; `error` is half the interval the wall's median lies in. */
export function compare(ours, theirs) {
  const byRound = new Map(theirs.map((sample) => [sample.round, sample]));
  const pairs = ours.map((sample) => [sample, byRound.get(sample.round)]);
  const wall = pairs.map(([a, b]) => a.wall / b.wall);
  const [low, high] = medianBounds(wall);
  return {
    wall: median(wall),
    error: (high - low) / 2,
    cpu: median(pairs.map(([a, b]) => cpuOf(a) / Math.max(1, cpuOf(b)))),
    peak: median(pairs.map(([a, b]) => a.peak / Math.max(1, b.peak))),
  };
}
