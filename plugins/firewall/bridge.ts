// The bridge that a policy keeps apart: the first link of a result that is on the node and is one. Plugins in between may
// have put links of their own before it.
import { CniError } from "../../lib/cni/error.ts";
import type { Result } from "../../lib/cni/result.ts";
import type { Host } from "../../lib/host/host.ts";
import { utf8Bytes } from "../../lib/host/utf8.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";
import type { Isolation } from "./wish.ts";

/** IFNAMSIZ of linux/if.h, without the zero. */
const maxNameBytes = 15;
const isLinkName = (name: string): boolean => name !== "" && utf8Bytes(name).length <= maxNameBytes;

/** Throws a CniError (7) where the result has no such link. */
export function bridgeOf(host: Host, { interfaces }: Result, ingressPolicy: Isolation["policy"]): string {
  const hint = 'put "firewall" behind "bridge" in the list, or set "ingressPolicy" to open';
  if (interfaces.length === 0)
    throw new CniError(
      "invalidConfig",
      `interface needs to be set for ingress policy "${ingressPolicy}", make sure to chain "firewall" plugin with "bridge"`,
      { hint },
    );
  const names = interfaces.flatMap(({ name, sandbox = "" }) => (sandbox === "" ? [name] : []));
  const route = openRoute(host);
  try {
    // The kernel knows a link by its other names, too; its rules do not.
    const isBridge = (name: string) => {
      const link = isLinkName(name) ? route.link.get(name) : undefined;
      return link?.kind === "bridge" && link.name === name;
    };
    const found = names.find(isBridge);
    if (found !== undefined) return found;
  } finally {
    route.close();
  }
  const seen = names.map((name) => JSON.stringify(name)).join(", ") || "none";
  throw new CniError(
    "invalidConfig",
    `"ingressPolicy" "${ingressPolicy}" keeps bridges apart, and no link of the result on the node is a bridge: ${seen}`,
    { hint },
  );
}
