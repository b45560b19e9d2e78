// Packet filter rules of an attachment: masquerading, and the guard against foreign source addresses. They are there before
// the container's link comes up, in one transaction where nf_tables has them. Without either in the configuration ADD does
// not come here; DEL always does, since the configuration may have changed.
import type { Attachment, AttachmentRequest, GcRequest } from "../../lib/cni/plugin.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Faults } from "../../lib/cni/faults.ts";
import type { Undo } from "../../lib/cni/undo.ts";
import { compare, ensure, remove } from "../../lib/firewall/apply.ts";
import { automaticBackend, isIptablesUsable, openNftIfThere } from "../../lib/firewall/backend.ts";
import { findIptables } from "../../lib/firewall/iptables/find.ts";
import {
  compareMasquerade,
  ensureLegacy,
  masqueradeRemovals,
  planMasquerade,
  removeLegacy,
} from "../../lib/firewall/masquerade/masquerade.ts";
import type { Owner } from "../../lib/firewall/masquerade/names.ts";
import { removeStaleLegacy, staleMasquerade } from "../../lib/firewall/masquerade/stale.ts";
import type { Plan } from "../../lib/firewall/plan.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Mac } from "../../lib/ip/mac.ts";
import type { Prefix } from "../../lib/ip/prefix.ts";
import type { TableRef } from "../../lib/netlink/nft/message.ts";
import type { NftSocket } from "../../lib/netlink/nft/open.ts";
import type { BridgeConf } from "./conf.ts";
import { macSpoofPlan, macSpoofRemoval, staleMacSpoof } from "./mac-spoof.ts";

type Owned = Pick<AttachmentRequest<BridgeConf>, "network" | "attachment" | "conf">;

/** The port of an attachment, its container's MAC and addresses; CHECK may find neither port nor MAC. */
export interface Guarded {
  readonly port: string | undefined;
  readonly mac: Mac | undefined;
  readonly addresses: readonly Prefix[];
}

const ownerOf = (network: string, { containerId, ifName }: Attachment): Owner => ({ network, containerId, ifName });

/** Makes the rules that the configuration asks for. */
export function ensureRules(host: Host, request: Owned, guarded: Guarded, undo: Undo): void {
  const { network, attachment, conf } = request;
  const masquerade = masquerades(conf, guarded)
    ? planMasquerade(
        host,
        conf.ipMasqBackend ?? automaticBackend(host),
        ownerOf(network, attachment),
        guarded.addresses,
      )
    : { plans: [], byIptables: [] };
  const plans = [...macSpoofPlans(request, guarded), ...masquerade.plans];
  undo.push("delete the rules", () => removeRules(host, request));
  if (plans.length > 0) withNft(host, (nft) => ensure(nft, ...plans));
  ensureLegacy(host, masquerade);
}

const masquerades = ({ ipMasq }: BridgeConf, { addresses }: Guarded): boolean => ipMasq && addresses.length > 0;

const macSpoofPlans = ({ attachment, conf }: Owned, { port, mac }: Guarded): Plan[] =>
  conf.macSpoofCheck && port !== undefined && mac !== undefined ? [macSpoofPlan(attachment, port, mac)] : [];

function withNft(host: Host, body: (nft: NftSocket) => void): void {
  const nft = openNftIfThere(host);
  if (nft === undefined) throw noNfTables("internal");
  try {
    body(nft);
  } finally {
    nft.close();
  }
}

const noNfTables = (kind: "internal" | "unavailable"): CniError =>
  new CniError(kind, "this kernel has no nf_tables", {
    details: '"ipMasq" and "macspoofchk" keep their rules there',
    hint: 'load the module nf_tables; or set "macspoofchk" to false, and "ipMasqBackend" to iptables with an iptables of the older kind',
  });

/** What is missing of the rules that the configuration asks for, a sentence each. */
export function missingRules(host: Host, request: Owned, guarded: Guarded): string[] {
  const { network, attachment, conf } = request;
  const missing: string[] = [];
  if (masquerades(conf, guarded))
    missing.push(...compareMasquerade(host, conf.ipMasqBackend, ownerOf(network, attachment), guarded.addresses));
  const plans = macSpoofPlans(request, guarded);
  if (plans.length > 0) withNft(host, (nft) => missing.push(...compare(nft, ...plans)));
  return missing.map((line) => `Missing rule: ${line}`);
}

/** Takes away all that an ADD of the attachment may have made, by names alone, in whichever backend. */
export function removeRules(host: Host, { network, attachment }: Pick<Owned, "network" | "attachment">): void {
  const owner = ownerOf(network, attachment);
  try {
    let tables: readonly TableRef[] = [];
    const nft = openNftIfThere(host, (opened) => {
      tables = opened.table.list();
    });
    try {
      // Mostly there are none, and that is all there is to ask.
      if (nft !== undefined && tables.length > 0)
        remove(nft, ...masqueradeRemovals(host, owner), macSpoofRemoval(attachment));
    } finally {
      nft?.close();
    }
  } finally {
    removeLegacy(host, owner);
  }
}

/** Takes away the network's rules of attachments that are not valid. `links` are the node's, by name, where they are known. */
export function removeStaleRules(
  host: Host,
  { network, valid }: Pick<GcRequest<BridgeConf>, "network" | "valid">,
  links: ReadonlySet<string> | undefined,
  faults: Faults,
): void {
  const owners = valid.map((attachment) => ownerOf(network, attachment));
  faults.attempt(() => {
    const nft = openNftIfThere(host);
    try {
      nft?.update(() => [
        ...staleMasquerade(host, nft, network, owners),
        ...(links === undefined ? [] : staleMacSpoof(nft, valid, links)),
      ]);
    } finally {
      nft?.close();
    }
  });
  faults.attempt(() => removeStaleLegacy(host, network, owners));
}

/** Throws a CniError (50) where the rules that the configuration asks for could not be made. */
export function checkRulesPossible(host: Host, { ipMasq, ipMasqBackend, macSpoofCheck }: BridgeConf): void {
  const backend = ipMasq ? (ipMasqBackend ?? automaticBackend(host)) : undefined;
  if (backend === "iptables" && !isIptablesUsable(host))
    throw new CniError("unavailable", '"ipMasq" needs iptables, which is not in PATH or fails', {
      details: `PATH is ${JSON.stringify(host.env("PATH") ?? "")}`,
      hint: 'install iptables where the runtime\'s PATH leads, or set "ipMasqBackend" to nftables',
    });
  const inNft =
    macSpoofCheck || backend === "nftables" || (backend !== undefined && findIptables(host, 4)?.variant === "nft");
  if (!inNft) return;
  const nft = openNftIfThere(host);
  nft?.close();
  if (nft === undefined) throw noNfTables("unavailable");
}
