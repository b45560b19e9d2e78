// resolv.conf(5), as far as a result's dns has a place for it.
import type { Dns } from "../../lib/cni/result.ts";

/** Reads the text of a resolv.conf; lines it does not know are passed over. */
export function parseResolvConf(text: string): Dns {
  const nameservers: string[] = [];
  const search: string[] = [];
  const options: string[] = [];
  let domain: string | undefined;
  for (const line of text.split("\n").map((each) => each.trim())) {
    if (line === "" || line.startsWith("#") || line.startsWith(";")) continue;
    const [keyword, ...fields] = line.split(/\s+/);
    const [first] = fields;
    if (first === undefined) continue;
    if (keyword === "nameserver") nameservers.push(first);
    else if (keyword === "domain") domain = first;
    else if (keyword === "search") search.push(...fields);
    else if (keyword === "options") options.push(...fields);
  }
  return { nameservers, domain, search, options };
}
