// Where the blocks of the heap image lie: those that calls use together, ordered by the calls that use them, so that what one
// call needs lies on few pages and next to each other.

/** A block's size stands in front of it (host/src/arena.h: ARENA_HEADER). */
const header = 8;

/**
 * Reads what a rehearsal printed: a line for each call, how many recorded answers it did not ask for and then the blocks it
 * used, `number:size:how` each, how being 1 for one that was read and 2 for one that was written. Returns the former, and
 * the plan as host/src/layout.rs reads it.
 */
export function planFrom(printed) {
  const lines = printed.trimEnd().split("\n");
  const blocks = new Map();
  const left = lines.map((line, call) => {
    const [left, ...used] = line.split(" ");
    for (const each of used) {
      const [number, size, how] = each.split(":").map(Number);
      const block = blocks.get(number) ?? { number, size, users: lines.map(() => 0), how: 0 };
      blocks.set(number, block);
      block.users[call] = 1;
      block.how = Math.max(block.how, how);
    }
    return Number(left);
  });
  const order = (a, b) => b.users.join("").localeCompare(a.users.join("")) || b.how - a.how || a.number - b.number;
  const places = [];
  let end = 0;
  for (const { number, size } of [...blocks.values()].sort(order)) {
    places.push([number, size, end + header]);
    end += header + size;
  }
  const plan = places.sort(([a], [b]) => a - b).flat();
  return { left, plan: Buffer.from(Uint32Array.from(plan).buffer) };
}
