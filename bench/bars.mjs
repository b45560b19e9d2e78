// What Weft promises, and whether this run held it. Ratios are to Go unless they say otherwise.

const worst = (rows, figure) => (rows.length === 0 ? undefined : Math.max(...rows.map(figure)));
const wall = ({ toGo }) => toGo.wall;

/** One bar: `value` must not be above `bar`, and `aim` is where it should go. */
function upTo(name, value, bar, aim) {
  return { name, value, bar, aim, most: true };
}

/** The same for what must not be below. */
function atLeast(name, value, bar, aim) {
  return { name, value, bar, aim, most: false };
}

export function barsOf(rows, bytes) {
  const titled = (pattern) => rows.filter(({ title }) => pattern.test(title));
  const rate = (pattern, peer) => {
    const found = titled(pattern);
    return found.length === 0 ? undefined : Math.min(...found.map((row) => 1 / row[peer].wall));
  };
  /** Of the one row of this title. */
  const titledUpTo = (title, bar, aim) =>
    upTo(
      `${title}, wall`,
      worst(
        rows.filter((row) => row.title === title),
        wall,
      ),
      bar,
      aim,
    );
  const adds = /^(flannel|bridge|host-local|loopback) ADD/;
  const bars = [
    upTo("VERSION, wall, the slowest", worst(titled(/VERSION/), wall), 0.22),
    upTo("STATUS of the flannel chain, wall", worst(titled(/^flannel STATUS/), wall), 0.25),
    upTo("loopback ADD, wall", worst(titled(/^loopback ADD/), wall), 0.3),
    upTo("flannel ADD chain on tmpfs, wall", worst(titled(/^flannel ADD chain, tmpfs/), wall), 0.25),
    upTo("flannel ADD chain on a disk, wall", worst(titled(/^flannel ADD chain, (?!tmpfs)/), wall), 0.33, 0.25),
    upTo(
      "flannel DEL chain, CPU",
      worst(titled(/^flannel DEL/), ({ toGo }) => toGo.cpu),
      0.4,
    ),
    upTo("flannel DEL chain, wall", worst(titled(/^flannel DEL/), wall), 1.0),
    titledUpTo("bridge ADD with ipMasq, nftables", 0.2, 0.12),
    titledUpTo("bridge DEL with ipMasq, nftables", 0.6, 0.5),
    titledUpTo("bridge ADD with ipMasq, iptables", 0.5),
    titledUpTo("bridge DEL with ipMasq, iptables", 0.6),
    titledUpTo("portmap ADD, without mappings", 0.4, 0.3),
    titledUpTo("portmap ADD, 10 ports, nftables", 0.15, 0.1),
    titledUpTo("portmap ADD, 10 ports, iptables", 0.15, 0.1),
    titledUpTo("portmap ADD, 1 port, nftables, 1,000 pods' rules held", 0.35),
    titledUpTo("portmap ADD, 1 port, iptables, 1,000 pods' rules held", 0.4),
    upTo("host-local ADD, 250 held in a /24, wall", worst(titled(/^host-local ADD, 250 /), wall), 0.5),
    upTo("host-local ADD, 10,000 held in a /16, wall", worst(titled(/^host-local ADD, 10,000 /), wall), 0.6),
    atLeast("20 parallel flannel ADDs, rate", rate(/^20 parallel flannel ADD/, "toGo"), 3),
    atLeast("100 parallel flannel ADDs, rate", rate(/^100 parallel flannel ADD/, "toGo"), 3),
    atLeast(
      "parallel flannel ADDs, rate, to the glibc floor",
      rate(/parallel flannel ADD/, "toFloorGlibc"),
      undefined,
      0.75,
    ),
    atLeast(
      "parallel flannel ADDs, rate, to the musl floor",
      rate(/parallel flannel ADD/, "toFloorMusl"),
      undefined,
      0.75,
    ),
    upTo(
      "peak memory of an ADD, the worst",
      worst(titled(adds), ({ toGo }) => toGo.peak),
      0.6,
    ),
    upTo(
      "peak memory of an ADD, MB",
      worst(titled(adds), ({ lanes }) => lanes.weft.peakMb),
      undefined,
      2.5,
    ),
    upTo("bytes on disk of all names, MB", bytes.weft / 1e6, 3.5, 2.5),
  ];
  return bars
    .filter(({ value }) => value !== undefined && Number.isFinite(value))
    .map((bar) => ({ ...bar, met: holds(bar, bar.bar), aimMet: holds(bar, bar.aim) }));
}

function holds({ value, most }, limit) {
  if (limit === undefined) return undefined;
  return most ? value <= limit : value >= limit;
}
