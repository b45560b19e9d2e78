// Spec versions: which exist, how they order, which verb came when.

export const specVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type SpecVersion = (typeof specVersions)[number];

/** Every version this suite speaks; most plugins advertise all of them. */
export const allVersions: readonly SpecVersion[] = specVersions;
