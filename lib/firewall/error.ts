// What keeps rules from being made. It is in nobody's protocol: a plugin makes a CNI error of it (lib/cni/boundary.ts).

/** failed: it would fail again. busy: somebody else changes rules just now, so a later try may not. */
export type FirewallFault = "failed" | "busy";

/** `message` is short, lower case, and quotes what it speaks of. */
export class FirewallError extends Error {
  readonly fault: FirewallFault;
  /** Facts beyond the message. */
  readonly details: string;
  /** What the operator can try. */
  readonly hint: string;

  constructor(
    fault: FirewallFault,
    message: string,
    { details = "", hint }: { readonly details?: string; readonly hint: string },
  ) {
    super(message);
    this.name = "FirewallError";
    this.fault = fault;
    this.details = details;
    this.hint = hint;
  }
}
