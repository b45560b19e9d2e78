// Which of the result's addresses ports are mapped to.
import type { Result } from "../../lib/cni/result.ts";
import type { Family } from "../../lib/ip/ip.ts";
import type { Prefix } from "../../lib/ip/prefix.ts";

export type Addresses = Partial<Readonly<Record<Family, Prefix>>>;

/** The first address of each family that is not known to be of another link than the container's. */
export function containerAddresses({ ips, interfaces }: Result, ifName: string): Addresses {
  const own = ips.filter(({ interface: at }) => {
    const link = at === undefined ? undefined : interfaces[at];
    return link === undefined || (link.name === ifName && (link.sandbox ?? "") !== "");
  });
  const first = (family: Family) => own.find(({ address }) => address.ip.family === family)?.address;
  const [v4, v6] = [first(4), first(6)];
  return { ...(v4 && { 4: v4 }), ...(v6 && { 6: v6 }) };
}

export const familiesOf = (addresses: Addresses): Family[] =>
  ([4, 6] as const).filter((family) => addresses[family] !== undefined);
