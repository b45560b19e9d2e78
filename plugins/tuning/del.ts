// DEL: the link gets back what it had. What nobody can give back is gone over, since a runtime that is told of it would not
// come to delete the link itself; the settings of the netns end with it.
import { toCniError } from "../../lib/cni/boundary.ts";
import { errorCodes } from "../../lib/cni/error.ts";
import { Faults } from "../../lib/cni/faults.ts";
import { openIfThere } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import { removeStale } from "../../lib/cni/stale-file.ts";
import { isErrno } from "../../lib/host/errno.ts";
import type { Host, Netns } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";
import { vethPeer } from "../../lib/netlink/route/peer.ts";
import { NetlinkError } from "../../lib/netlink/wire/error.ts";
import { backupName, readBackup, type Backup } from "./backup.ts";
import type { TuningConf } from "./conf.ts";
import { changeLink, stepsBack, type Step } from "./link.ts";

/** Gives back what ADD kept, and removes it; done where nothing was kept, or the link is gone. */
export function del({ conf, attachment, netns: path }: AttachmentRequest<TuningConf>, host: Host): void {
  const file = readBackup(conf.dataDir, backupName(attachment), host);
  if (file === undefined) return;
  const netns = file.backup === undefined ? undefined : openIfThere(path, host);
  if (netns !== undefined && file.backup !== undefined) giveBack(host, netns, attachment.ifName, file.backup);
  removeStale("tuning", host, () => host.files.remove(file.path));
  try {
    host.files.removeAbandoned(conf.dataDir);
  } catch (error) {
    // It was no part of this attachment, and holds up nobody.
    host.log(`tuning: what a killed call left stays: ${(error as Error).message}`);
  }
}

function giveBack(host: Host, netns: Netns, ifName: string, backup: Backup): void {
  const faults = new Faults(host);
  const open: { close(): void }[] = [netns];
  try {
    const pod = openRoute(host, netns);
    open.push(pod);
    const link = pod.link.get(ifName);
    if (link === undefined) return;
    for (const step of stepsBack(link, backup)) faults.attempt(() => changeBack(host, pod, link, step));
    const { peer: kept } = backup;
    if (kept !== undefined) {
      const node = openRoute(host);
      open.push(node);
      const peer = vethPeer(node, link, (name) => name === kept.name);
      if (peer !== undefined) faults.attempt(() => changeBack(host, node, peer, ["mtu", kept.mtu]));
    }
  } finally {
    for (const each of open) each.close();
  }
  faults.end();
}

function changeBack(host: Host, route: RouteSocket, link: Link, step: Step): void {
  try {
    changeLink(host, route, link, step);
  } catch (error) {
    const { code, message, cause } = toCniError(error, host);
    if (isErrno(cause, "ENODEV")) return;
    // The kernel would say the same to the next DEL, unless it is short of something.
    if (!(cause instanceof NetlinkError) || code === errorCodes.tryAgainLater) throw error;
    host.log(`tuning: "${link.name}" does not get back what it had: ${message}`);
  }
}
