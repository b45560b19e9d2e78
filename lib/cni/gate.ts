// Which verb a plugin takes at which version: how versions order, which verb came with which.
import { CniError } from "./error.ts";
import type { Verb } from "./plugin.ts";
import { specVersions, type SpecVersion } from "./version.ts";

type Triple = readonly [major: number, minor: number, micro: number];

/** One to three integers, missing ones 0; "" is 0.1.0. Throws a CniError (6). */
export function parseVersion(version: string): Triple {
  const parts = (version === "" ? "0.1.0" : version).split(".");
  if (parts.length > 3 || !parts.every((part) => /^[+-]?[0-9]+$/.test(part) && Number.isSafeInteger(Number(part))))
    throw new CniError("undecodableConfig", `cannot read "cniVersion": invalid version "${version}"`, {
      hint: `use one of ${specVersions.join(", ")}`,
    });
  const [major = 0, minor = 0, micro = 0] = parts.map(Number);
  return [major, minor, micro];
}

/** Whether `a` is `b` or later. */
export function atLeast(a: string, b: string): boolean {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  const differs = left.findIndex((part, at) => part !== right[at]);
  return differs < 0 || (left[differs] ?? 0) > (right[differs] ?? 0);
}

const ranks: ReadonlyMap<string, number> = new Map(specVersions.map((version, rank) => [version, rank]));

/** The same, by a look at a table where both are versions that there are. */
function atLeastKnown(a: string, b: SpecVersion): boolean {
  const rank = ranks.get(a);
  return rank === undefined ? atLeast(a, b) : rank >= (ranks.get(b) ?? 0);
}

/** The first version that has the verb, for the verbs that came later. */
const since: Partial<Record<Verb, SpecVersion>> = { CHECK: "0.4.0", STATUS: "1.1.0", GC: "1.1.0" };

/** Whether this plugin takes this verb at this version; throws a CniError (1, or 6 where the version is unreadable). */
export function gate(verb: Verb, configVersion: string, supported: readonly SpecVersion[]): SpecVersion {
  const wanted = configVersion === "" ? "0.1.0" : configVersion;
  const first = since[verb];
  if (first !== undefined && !atLeastKnown(wanted, first))
    throw new CniError("incompatibleVersion", `config version does not allow ${verb}`, {
      details: `config is "${configVersion}"`,
      hint: `${verb} came with ${first}`,
    });
  const found = supported[(supported as readonly string[]).indexOf(wanted)];
  if (found !== undefined) return found;
  const hint = `set "cniVersion" to one of ${supported.join(", ")}`;
  if (first !== undefined && !supported.some((version) => atLeast(version, wanted)))
    throw new CniError("incompatibleVersion", `plugin version does not allow ${verb}`, {
      details: `config is "${configVersion}"`,
      hint,
    });
  const list = supported.map((version) => JSON.stringify(version)).join(" ");
  throw new CniError("incompatibleVersion", "incompatible CNI versions", {
    details: `config is ${JSON.stringify(wanted)}, plugin supports [${list}]`,
    hint,
  });
}
