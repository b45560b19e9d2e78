// The subnets that the configuration gives its IPAM plugin, where it says so as host-local's does: "subnet", and "ranges"
// of lists of such. It is another plugin's part of the configuration, so nothing here is a fault.
import { memberOf } from "../../lib/cni/config.ts";
import { JsonObject, type Json } from "../../lib/cni/json.ts";
import { parsePrefix, type Prefix } from "../../lib/ip/prefix.ts";

const listOf = (json: Json | undefined): readonly Json[] => (Array.isArray(json) ? json : []);

/** None where it names none. */
export function ipamSubnets(tree: JsonObject): Prefix[] {
  const ipam = memberOf(tree, "ipam");
  if (!(ipam instanceof JsonObject)) return [];
  const ranges = listOf(memberOf(ipam, "ranges")).flatMap(listOf);
  return [ipam, ...ranges].flatMap((range) => {
    const subnet = range instanceof JsonObject ? memberOf(range, "subnet") : undefined;
    return (typeof subnet === "string" ? parsePrefix(subnet) : undefined) ?? [];
  });
}
