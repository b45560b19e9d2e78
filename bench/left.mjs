// What is left of a call: where the time of a Weft call goes, as far as the floor and the count of page faults tell.

/** The mean time of a page fault in ms, of what pages.c prints: microseconds for each kind of page. */
export function priceOf(printed) {
  const prices = [...printed.matchAll(/([\d.]+) us$/gm)].map(([, microseconds]) => Number(microseconds));
  if (prices.length !== 3) throw new Error(`pages.c printed something else: ${printed}`);
  return prices.reduce((sum, price) => sum + price, 0) / prices.length / 1000;
}

/**
 * One row for each call that has a floor, in ms: the whole; a static C program's start and end; the kernel's work; page
 * faults beyond the floor's; the rest, which is TypeScript and the engine. Without a VERSION row nothing is known.
 */
export function leftOf(rows, price) {
  const starts = rows.filter(({ title }) => title.endsWith("VERSION")).map(({ lanes }) => lanes.floorMusl?.wallMs);
  const start = Math.min(...starts);
  if (!Number.isFinite(start)) return [];
  return rows
    .filter(({ title, lanes }) => lanes.floorMusl !== undefined && !/DEL|parallel/.test(title))
    .map(({ title, lanes: { weft, floorMusl } }) => {
      const kernel = Math.max(0, floorMusl.wallMs - start);
      const faults = (weft.faults - floorMusl.faults) * price;
      return { title, whole: weft.wallMs, start, kernel, faults, rest: weft.wallMs - start - kernel - faults };
    });
}
