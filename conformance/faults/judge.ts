// What must hold whatever befalls a call: one answer in the protocol's form or none, no half of an attachment left by a
// failed ADD, a DEL that says it is done only when it is, and a node on which the next container is served.
import { neverCame, told, type Case, type Fault, type Seen } from "./fault.ts";

type Json = Record<string, unknown>;

/** Files that stay by design: locks, the mark of this boot, the round robin's place. */
const kept =
  /^\/run\/cni\/(locks\/|host-local-first-add$)|^\/var\/lib\/cni\/networks\/[^/]+\/(lock|last_reserved_ip\.\d+)$/;
/** Links that are every container's, or the node's. */
const shared = new Set(["lo", "cni0"]);

const linksOf = (seen: Seen, part: string): Json[] => JSON.parse(seen[part] || "[]") as Json[];
const addressesOf = ({ addr_info }: Json): string[] =>
  ((addr_info ?? []) as Json[])
    .filter(({ local }) => !String(local).startsWith("fe80:"))
    .map(({ local, prefixlen }) => `${String(local)}/${String(prefixlen)}`);

/** What of a rule set names an attachment: the comments of masquerading and of macspoofchk, and the latter's chains. */
const ruleOfAttachment = /comment "(macspoofchk-|[\da-f]{16}-).*?"|chain cni-br-iface-\S+/g;

/** What is there of attachments, one word each: links on the node and in the pods with their addresses, files, rules. */
export function attachmentsIn(seen: Seen, look: string): string[] {
  const parts = Object.keys(seen).filter((part) => part.startsWith(`${look}.`) && seen[part]?.startsWith("["));
  const links = parts.flatMap((part) =>
    linksOf(seen, part)
      .filter(({ ifname }) => !shared.has(String(ifname)))
      .map((link) => [part.slice(look.length + 1), link.ifname, ...addressesOf(link)].join(" ")),
  );
  const loops = parts
    .filter((part) => part !== `${look}.node`)
    .flatMap((part) => linksOf(seen, part))
    .filter((link) => link.ifname === "lo" && (link.flags as string[]).includes("UP"))
    .map(() => "lo up");
  const files = (seen[`${look}.files`] ?? "").split("\n").filter((path) => path !== "" && !kept.test(path));
  const rules = (seen[`${look}.rules`] ?? "").match(ruleOfAttachment) ?? [];
  return [...links, ...loops, ...files, ...rules].sort();
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}

/** What is wrong with the answer of the struck call. */
function answerFaults({ struck }: Case, seen: Seen, fault: Fault): string[] {
  const exit = Number(seen["struck.exit"]);
  const stdout = seen["struck.stdout"] ?? "";
  if (neverCame(fault, seen)) {
    if (exit !== 0) return [`nothing befell it, but exit ${exit}, and it said ${stdout}`];
  } else if (fault.errno === undefined) {
    return exit === 137 ? [] : [`it was not killed: exit ${exit}`];
  } else if (!(seen.trace ?? "").includes("(INJECTED)")) {
    return ["the call was not refused"];
  }
  if (exit === 0) {
    if (struck.verb !== "ADD") return stdout === "" ? [] : [`it succeeded and said ${stdout}`];
    return Array.isArray(parsed(stdout)?.ips) ? [] : [`it succeeded without a result: ${stdout}`];
  }
  const { code, msg } = parsed(stdout) ?? {};
  const fine = exit === 1 && typeof code === "number" && typeof msg === "string" && msg !== "";
  return fine
    ? []
    : [`exit ${exit}, and it said ${JSON.stringify(stdout)} and ${JSON.stringify(seen["struck.stderr"])}`];
}

/** The calls after it: all succeed; where one adds, the node has what it says. */
function afterFaults({ after, ifName }: Case, seen: Seen): string[] {
  return Object.entries(after).flatMap(([name, { verb, pod, plugin }]) => {
    const said = `${seen[`${name}.stdout`] ?? ""}${seen[`${name}.stderr`] ?? ""}`;
    if (Number(seen[`${name}.exit`]) !== 0) return [`${name} failed: ${said}`];
    if (verb !== "ADD" || plugin === "host-local") return [];
    const link = linksOf(seen, `${name}.${pod}`).find(({ ifname }) => ifname === ifName);
    const has = link === undefined ? [] : addressesOf(link);
    const ips = (parsed(seen[`${name}.stdout`] ?? "")?.ips ?? []) as Json[];
    const missing = ips.map(({ address }) => String(address)).filter((address) => !has.includes(address));
    const faults = missing.map((address) => `${name}: ${ifName} has no ${address}, but ${has.join(" ")}`);
    return ips.length > 0 && (link?.flags as string[]).includes("UP")
      ? faults
      : [...faults, `${name} brought no link up`];
  });
}

/** Everything a fault did that must not happen, and what befell. `good` is the same play with no fault in it. */
export function judge(each: Case, good: Seen, seen: Seen, fault: Fault): string[] {
  if (seen.end === undefined) return [`${told(fault)}: the play broke off`];
  const faults = [...answerFaults(each, seen, fault), ...afterFaults(each, seen)];
  const must = (look: string, wanted: readonly string[], what: string, counts = (_: string) => true) => {
    const found = attachmentsIn(seen, look).filter(counts);
    if (JSON.stringify(found) !== JSON.stringify(wanted))
      faults.push(`${what}: there is ${found.join(", ") || "nothing"}, not ${wanted.join(", ") || "nothing"}`);
  };
  const before = each.looks.includes("before") ? attachmentsIn(good, "before") : [];
  const succeeded = Number(seen["struck.exit"]) === 0;
  const { verb } = each.struck;
  if (verb === "ADD" && fault.errno !== undefined && !succeeded) {
    // A loopback link is no attachment: whether something else had it up before ADD is not known, so it stays up. DEL
    // takes it down, which is looked at below.
    must("struck", before, "a failed ADD left something", (each) => each !== "lo up");
  }
  if (verb === "CHECK" || verb === "STATUS") must("struck", before, `${verb} changed something`);
  if ((verb === "DEL" || verb === "GC") && succeeded)
    must("struck", attachmentsIn(good, "struck"), `${verb} said it was done`);
  for (const look of each.looks.filter((name) => name in each.after && each.after[name]?.verb !== "ADD"))
    must(look, attachmentsIn(good, look), `after ${look}`);
  return faults.map((text) => `${told(fault)}: ${text}`);
}
