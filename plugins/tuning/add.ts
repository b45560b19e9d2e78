// ADD: settings of the netns first, then those of the link, whose old ones are on disk before anything of it changes. What
// fails half-way is taken back.
import { CniError } from "../../lib/cni/error.ts";
import { openContainer } from "../../lib/cni/netns.ts";
import type { AttachmentRequest } from "../../lib/cni/plugin.ts";
import type { Result, ResultInterface } from "../../lib/cni/result.ts";
import { Undo } from "../../lib/cni/undo.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import { openRoute, type RouteSocket } from "../../lib/netlink/route/open.ts";
import { refuseForbidden } from "./allowlist.ts";
import { backupName, readBackup, writeBackup, type Backup } from "./backup.ts";
import { changesLink, type TuningConf } from "./conf.ts";
import { backupOf, changeLink, stepsBack, stepsTo } from "./link.ts";
import { peerToTune } from "./peer.ts";
import { settingsOf, writeSettings } from "./sysctls.ts";

type Add = AttachmentRequest<TuningConf>;

/** The sockets in the two netns of an attachment. */
interface Places {
  readonly node: RouteSocket;
  readonly pod: RouteSocket;
}

/** Tunes the container, and passes on what the plugins before made, with the MAC and the MTUs there are now. */
export function add(request: Add, host: Host): Result {
  const { conf, attachment } = request;
  const settings = settingsOf(conf.sysctls, attachment.ifName);
  refuseForbidden(conf.sysctls.keys(), host);
  const before = request.prevResult();
  if (before === undefined) {
    throw new CniError("invalidConfig", "Required prevResult missing", {
      hint: "tuning changes what another plugin made: put it behind that one in the list",
    });
  }
  const netns = openContainer(request.netns, host);
  const undo = new Undo();
  const open: { close(): void }[] = [netns];
  try {
    writeSettings(host, netns, settings, undo);
    if (!changesLink(conf.link)) return before;
    const pod = openRoute(host, netns);
    open.push(pod);
    const node = openRoute(host);
    open.push(node);
    return tuneLink(request, host, { node, pod }, before, undo);
  } catch (error) {
    undo.run(host);
    throw error;
  } finally {
    for (const each of open) each.close();
  }
}

function tuneLink(request: Add, host: Host, { node, pod }: Places, before: Result, undo: Undo): Result {
  const { conf, attachment } = request;
  const { mtu } = conf.link;
  const link = pod.link.get(attachment.ifName);
  if (link === undefined) {
    throw new CniError("internal", `failed to get "${attachment.ifName}": the container has no such link`, {
      hint: "the plugin before tuning makes this link; see what became of it",
    });
  }
  const peer = peerToTune(host, node, link, conf, before.interfaces);
  const backup = backupOf(link, conf.link);
  keepBackup(request, host, backup, peer, undo);
  undo.push(`give "${link.name}" back what it had`, () => giveBack(host, pod, link, backup));
  for (const step of stepsTo(conf.link)) changeLink(host, pod, link, step);
  if (peer !== undefined && mtu !== undefined && peer.mtu !== mtu) {
    undo.push(`give "${peer.name}" back its MTU`, () => giveBack(host, node, peer, { mtu: peer.mtu }));
    changeLink(host, node, peer, ["mtu", mtu]);
  }
  return { ...before, interfaces: before.interfaces.map((each) => asItIs(each, link, peer, conf)) };
}

function giveBack(host: Host, route: RouteSocket, { ifIndex }: Link, backup: Backup): void {
  const link = route.link.get(ifIndex);
  if (link === undefined) return;
  for (const step of stepsBack(link, backup)) changeLink(host, route, link, step);
}

/** A second ADD of an attachment finds what the first one made of its link: what the first one kept is what it had. */
function keepBackup(
  { network, attachment, conf }: Add,
  host: Host,
  backup: Backup,
  peer: Link | undefined,
  undo: Undo,
): void {
  const name = backupName(attachment);
  const first = readBackup(conf.dataDir, name, host)?.backup;
  const kept = Object.entries(first ?? {}).filter(([, value]) => value !== undefined);
  if (first === undefined) undo.push("remove the backup", () => void host.files.remove(`${conf.dataDir}/${name}`));
  writeBackup(conf.dataDir, name, { ...backup, network, peer, ...Object.fromEntries(kept) }, host);
}

/** What is said of a link, where it is one of those that were tuned. An MTU is said only where it was said before. */
function asItIs(
  said: ResultInterface,
  link: Link,
  peer: Link | undefined,
  { link: conf }: TuningConf,
): ResultInterface {
  const isLink = said.name === link.name && said.sandbox !== undefined;
  const isPeer = said.name === peer?.name && said.sandbox === undefined;
  const mac = isLink ? (conf.mac ?? said.mac) : said.mac;
  const mtu = said.mtu !== undefined && (isLink || isPeer) ? (conf.mtu ?? said.mtu) : said.mtu;
  return { ...said, mac, mtu };
}
