// Spec versions: which exist, and which share a result structure.

export const specVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type SpecVersion = (typeof specVersions)[number];

/** Every version this suite speaks; most plugins advertise all of them. */
export const allVersions: readonly SpecVersion[] = specVersions;

/** The versions from one on, for a plugin that came with it. */
export const versionsSince = (first: SpecVersion): readonly SpecVersion[] =>
  specVersions.slice(specVersions.indexOf(first));

/** What VERSION answers as its own, and what an error says when the request's version is unknown. */
export const newestVersion: SpecVersion = "1.1.0";

/** Result structures: versions within a family share one. */
export type ResultFamily = "0.2" | "0.4" | "1.x";

export function familyOf(version: SpecVersion): ResultFamily {
  if (version === "0.1.0" || version === "0.2.0") return "0.2";
  return version === "1.0.0" || version === "1.1.0" ? "1.x" : "0.4";
}
