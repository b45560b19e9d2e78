// The differences between what CHECK expects of a link and what it found: one sentence for each.
import type { Link } from "../../lib/netlink/route/link.ts";
import type { TcSocket } from "../../lib/netlink/tc/open.ts";
import type { Tbf } from "../../lib/netlink/tc/qdisc.ts";

/** Of the bucket on a link. */
export function bucketDifferences(tc: TcSocket, { ifIndex, name }: Link, wanted: Tbf): string[] {
  const found = tc.qdisc.get(ifIndex, "root")?.tbf;
  if (found === undefined) return [`Failed to find qdisc: the root of ${name} is no tbf`];
  const differences: string[] = [];
  if (found.rate !== wanted.rate)
    differences.push(`Rate doesn't match: ${name} has ${found.rate} bytes a second, configured ${wanted.rate}`);
  if (found.limit !== wanted.limit)
    differences.push(`Limit doesn't match: ${name} has ${found.limit} bytes, configured ${wanted.limit}`);
  if (found.buffer !== wanted.buffer)
    differences.push(`Buffer doesn't match: ${name} has ${found.buffer} ticks, configured ${wanted.buffer}`);
  return differences;
}

/** Of the redirect of what one link receives to another. */
export function redirectDifferences(tc: TcSocket, from: Link, to: Link): string[] {
  const filters = tc.filter.list(from.ifIndex);
  if (filters.some(({ first, redirectsTo }) => first && redirectsTo === to.ifIndex)) return [];
  return [`Failed to find filter: what ${from.name} receives is not redirected to ${to.name}`];
}
