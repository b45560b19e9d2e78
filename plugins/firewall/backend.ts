// Which of the two keeps an attachment's rules, and whose an address is.
import { CniError } from "../../lib/cni/error.ts";
import type { Attachment } from "../../lib/cni/plugin.ts";
import { automaticBackend, type Backend } from "../../lib/firewall/backend.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, type Ip } from "../../lib/ip/ip.ts";
import type { FirewallConf } from "./conf.ts";
import { signOfFirewalld } from "./firewalld.ts";
import { compareByIptables, ensureByIptables } from "./iptables.ts";
import { closedByOthers, compareByNft, ensureByNft } from "./nft.ts";
import { isOwnerGone, note, noted, notedFor } from "./records.ts";
import { removeAddresses } from "./remove.ts";
import type { Wish } from "./wish.ts";

/** The configured one, or the one that the Go plugin would choose. Throws a CniError where that is firewalld. */
export function chooseBackend({ backend }: FirewallConf, host: Host): Backend {
  if (backend !== undefined) return backend;
  const sign = signOfFirewalld(host);
  if (sign === undefined) return automaticBackend(host);
  throw new CniError(
    "unsupportedField",
    'firewalld keeps the rules of this node, and "backend" does not say otherwise',
    {
      details: sign,
      hint: 'have firewalld trust the network (firewall-cmd --zone=trusted --add-source=SUBNET) and set "backend" to iptables or nftables, or keep Go\'s plugin',
    },
  );
}

/** Notes whose the addresses are, then makes what is missing. */
export function ensureRules(host: Host, backend: Backend, wish: Wish): void {
  for (const ip of wish.addresses) note(host, ip, wish.owner);
  if (backend === "iptables") ensureByIptables(host, wish);
  else ensureByNft(host, wish);
}

export const missingRules = (host: Host, backend: Backend, wish: Wish): string[] =>
  backend === "iptables" ? compareByIptables(host, wish) : compareByNft(host, wish);

/** Chains of others that drop the container's packets whatever its rules accept, as far as that is certain. */
export const closedChains = (host: Host, backend: Backend, { addresses }: Wish): string[] =>
  backend === "iptables" ? [] : closedByOthers(host, addresses);

/**
 * Takes away an attachment's rules from both backends: those of the addresses that are noted as its own, and of `known`
 * ones that are not noted as those of another that is still there. Throws a CniError.
 */
export function removeRules(host: Host, attachment: Attachment, known: readonly Ip[]): void {
  const own = notedFor(host, attachment).map(({ ip }) => ip);
  const free = known.filter((ip) => {
    if (own.some((each) => equalIps(each, ip))) return false;
    const owner = noted(host, ip);
    return owner === undefined || isOwnerGone(host, owner);
  });
  removeAddresses(host, [...own, ...free]);
}
