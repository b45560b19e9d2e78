// Where whatever went wrong becomes the one error object of the CNI specification.
import { isErrno, type SystemError } from "../host/errno.ts";
import type { Host } from "../host/host.ts";
import { CniError, type ErrorKind } from "./error.ts";

const netlinkName = "NetlinkError";
const firewallName = "FirewallError";

/** What lib/firewall, which knows nothing of CNI, tells of (error.ts there), and what it is here. */
export const firewallFaults = { failed: "internal", busy: "tryAgainLater" } as const satisfies Record<
  string,
  ErrorKind
>;
interface FirewallError extends Error {
  readonly fault: keyof typeof firewallFaults;
  readonly details: string;
  readonly hint: string;
}

/** As the engine throws it; it throws null where there is no memory left to say so in. */
const isOutOfMemory = (error: unknown): boolean =>
  error === null || (error instanceof Error && error.name === "InternalError" && error.message === "out of memory");

/** What an error says, for the log of an undo, which goes on: the error that led there is the one that counts. */
export const saidBy = (error: unknown): string => (isOutOfMemory(error) ? "out of memory" : (error as Error).message);

/** Refusals that a later try may not meet: somebody else held what we need. */
const isPassing = (error: unknown): boolean =>
  isErrno(error, "EBUSY", "ETXTBSY", "EAGAIN", "ENOBUFS", "ENOMEM", "EMFILE", "ENFILE");

/** What goes wrong between us and the kernel, as CNI says it. Errors that nobody foresaw are 999, their cause on standard error. */
export function toCniError(error: unknown, host: Host): CniError {
  if (error instanceof CniError) return error;
  if (isOutOfMemory(error))
    return new CniError("internal", "out of memory: this call needs more than a plugin may use", {
      hint: "ask for less in one call: ports and rules are what there can be tens of thousands of",
    });
  if (!(error instanceof Error))
    return new CniError("internal", String(error), { hint: "this is a defect in the plugin" });
  if (error.name === firewallName) {
    const { fault, message, details, hint } = error as FirewallError;
    return new CniError(firewallFaults[fault], message, { details, hint, cause: error });
  }
  const system = error as Partial<SystemError>;
  if (system.errno === undefined) {
    host.log(`${error.name}: ${error.message}\n${error.stack ?? ""}`);
    return new CniError("internal", error.message, {
      hint: "this is a defect in the plugin; the stack trace is on standard error",
      cause: error,
    });
  }
  if (isPassing(error))
    return new CniError("tryAgainLater", error.message, {
      hint: "the node is short of something for now; try again",
      cause: error,
    });
  if (error.name === netlinkName)
    return new CniError("internal", error.message, {
      hint: "the kernel refused this change; its reason is in the message",
      cause: error,
    });
  return new CniError("ioFailure", error.message, { hint: hintFor(error), cause: error });
}

function hintFor(error: unknown): string {
  if (isErrno(error, "ENOSPC", "EDQUOT")) return "make room on this file system";
  if (isErrno(error, "EROFS")) return "this file system is mounted read-only";
  if (isErrno(error, "EACCES", "EPERM")) return "CNI plugins run as root with CAP_NET_ADMIN and CAP_SYS_ADMIN";
  return "look at this path and its file system";
}

/** The error with our context in front of its message; its code and details stay. */
export function inContext(error: unknown, context: string, host: Host): CniError {
  const { code, message, details } = toCniError(error, host);
  return new CniError({ code }, `${context}: ${message}`, { details, cause: error });
}
