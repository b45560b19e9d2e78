// Another link that has the bridge's name.
import { CniError } from "../../lib/cni/error.ts";
import type { Host } from "../../lib/host/host.ts";
import type { Link } from "../../lib/netlink/route/link.ts";
import { openRoute } from "../../lib/netlink/route/open.ts";

/** What to say of it. */
export const notABridge = (verb: "ADD" | "STATUS", { name, kind = "unknown" }: Link): CniError =>
  new CniError(verb === "ADD" ? "invalidConfig" : "unavailable", `"${name}" already exists but is not a bridge`, {
    details: `its kind is ${kind}`,
    hint: 'choose another "bridge", or remove that link',
  });

/** Throws a CniError (50) where there is one. */
export function refuseForeignLink(host: Host, name: string): void {
  const node = openRoute(host);
  try {
    const link = node.link.get(name);
    if (link !== undefined && link.kind !== "bridge") throw notABridge("STATUS", link);
  } finally {
    node.close();
  }
}
