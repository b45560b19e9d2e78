// CNI errors: one object on standard output, exit status 1. Spec 1.1.0, "Error".

/** The spec's error numbers, by the kind of fault; 8 and 999 are what the Go plugins use besides. */
export const errorCodes = {
  /** A delegate failed and did not say why in a way we can read. */
  delegateFailed: 0,
  incompatibleVersion: 1,
  unsupportedField: 2,
  unknownContainer: 3,
  invalidEnvironment: 4,
  ioFailure: 5,
  undecodableConfig: 6,
  invalidConfig: 7,
  sameNetns: 8,
  tryAgainLater: 11,
  unavailable: 50,
  unavailableExistingImpaired: 51,
  internal: 999,
} as const;

export type ErrorKind = keyof typeof errorCodes;

export interface CniErrorOptions {
  /** Facts beyond the message: which path, which address, whose. */
  readonly details?: string;
  /** What the operator can try; ends `details` on the wire. */
  readonly hint?: string;
  readonly cause?: unknown;
}

/** The one error a plugin reports. `msg` is short, lower case, names the field and quotes the value. */
export class CniError extends Error {
  readonly code: number;
  /** Facts, then the hint: what goes out as "details"; "" when there is nothing to add. */
  readonly details: string;

  constructor(kind: ErrorKind | { readonly code: number }, msg: string, options: CniErrorOptions = {}) {
    super(msg, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CniError";
    this.code = typeof kind === "string" ? errorCodes[kind] : kind.code;
    this.details = [options.details, options.hint].filter((part) => part !== undefined && part !== "").join("; ");
  }
}
