// Which of the two keeps an attachment's rules, and taking them away from both.
import { CniError } from "../../lib/cni/error.ts";
import type { Faults } from "../../lib/cni/faults.ts";
import { automaticBackend, type Backend } from "../../lib/firewall/backend.ts";
import type { Host } from "../../lib/host/host.ts";
import { equalIps, type Ip } from "../../lib/ip/ip.ts";
import type { FirewallConf } from "./conf.ts";
import { compareByIptables, ensureByIptables, removeByIptables } from "./iptables.ts";
import { compareByNft, ensureByNft, isFirewalldThere, removeByNft } from "./nft.ts";
import { forget, note, noted, notedFor } from "./records.ts";
import type { Owner, Wish } from "./wish.ts";

/** The configured one, or the one that the Go plugin would choose. Throws a CniError where that is firewalld. */
export function chooseBackend({ backend }: FirewallConf, host: Host): Backend {
  if (backend !== undefined) return backend;
  if (!isFirewalldThere(host)) return automaticBackend(host);
  throw new CniError(
    "unsupportedField",
    'firewalld keeps the rules of this node, and "backend" does not say otherwise',
    {
      details: "nf_tables has a table inet firewalld",
      hint: 'set "backend" to iptables or nftables, or keep the Go firewall plugin on this node',
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

/**
 * Takes away an owner's rules from both backends: those of the addresses that are noted as its own, and of `known` ones
 * that are not noted as another's.
 */
export function removeRules(host: Host, owner: Owner, known: readonly Ip[], faults: Faults): void {
  faults.attempt(() => removeByNft(host, owner));
  faults.attempt(() => {
    const own = notedFor(host, owner);
    const others = known.filter((ip) => noted(host, ip) === undefined && !own.some((each) => equalIps(each.ip, ip)));
    const addresses = [...own.map(({ ip }) => ip), ...others];
    removeByIptables(host, addresses);
    for (const ip of addresses) forget(host, ip);
  });
}
