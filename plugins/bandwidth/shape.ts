// What is put on links: a bucket where packets leave, and the redirect of what comes in. A link of ours may have both from
// an ADD that was ended before it was done; they are replaced. What somebody else put there stays.
import { inContext } from "../../lib/cni/boundary.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Undo } from "../../lib/cni/undo.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import { addRedirect } from "../../lib/netlink/tc/filter.ts";
import { ROOT_HANDLE } from "../../lib/netlink/tc/message.ts";
import type { TcSocket } from "../../lib/netlink/tc/open.ts";
import { addIngress, addTbf, type Tbf } from "../../lib/netlink/tc/qdisc.ts";

/** The bucket as the link's root. */
export function putBucket(host: Host, tc: TcSocket, { ifIndex, name }: Link, tbf: Tbf, undo: Undo): void {
  const request = addTbf(ifIndex, tbf);
  // Both places are asked first: an answer that never came may have been yes, and a refusal may mean another's.
  undo.push(`remove the bucket of "${name}"`, () => {
    if (hasBucket(tc, ifIndex)) tc.qdisc.del(ifIndex, "root");
  });
  try {
    try {
      tc.change(request);
    } catch (error) {
      if (!isErrno(error, "EEXIST") || !hasBucket(tc, ifIndex)) throw error;
      host.log(`replacing the root of "${name}", left behind by an earlier ADD`);
      tc.qdisc.del(ifIndex, "root");
      tc.change(request);
    }
  } catch (error) {
    throw isErrno(error, "EEXIST") ? taken(`root of "${name}"`) : inContext(error, `create qdisc on "${name}"`, host);
  }
}

/** The redirect of everything that `from` receives. */
export function putRedirect(host: Host, tc: TcSocket, from: Link, to: Link, undo: Undo): void {
  const { ifIndex, name } = from;
  undo.push(`remove the redirect of "${name}"`, () => {
    if (hasOnlyRedirects(tc, ifIndex)) tc.qdisc.del(ifIndex, "ingress");
  });
  try {
    try {
      tc.change(addIngress(ifIndex));
    } catch (error) {
      if (!isErrno(error, "EEXIST") || !hasOnlyRedirects(tc, ifIndex)) throw error;
      host.log(`replacing the ingress of "${name}", left behind by an earlier ADD`);
      tc.qdisc.del(ifIndex, "ingress");
      tc.change(addIngress(ifIndex));
    }
  } catch (error) {
    if (isErrno(error, "EEXIST")) throw taken(`ingress of "${name}"`);
    throw inContext(error, `create ingress qdisc on "${name}"`, host);
  }
  try {
    tc.change(addRedirect(ifIndex, to.ifIndex));
  } catch (error) {
    throw inContext(error, `add filter to "${name}"`, host);
  }
}

/** Handle "1:" is what this plugin and Go's give: of Go's v1.5 it may be another kind. */
const hasBucket = (tc: TcSocket, ifIndex: number): boolean => tc.qdisc.get(ifIndex, "root")?.handle === ROOT_HANDLE;

/** An ingress that nobody put another filter into; its kind may also be clsact, which is somebody else's. */
const hasOnlyRedirects = (tc: TcSocket, ifIndex: number): boolean =>
  tc.qdisc.get(ifIndex, "ingress")?.kind === "ingress" &&
  tc.filter.list(ifIndex).every(({ kind, first }) => kind === "u32" && first);

const taken = (what: string): CniError =>
  new CniError("internal", `create qdisc: file exists: the ${what} is somebody else's`, {
    hint: "see tc qdisc show and tc filter show of this link: only one can shape it",
  });
