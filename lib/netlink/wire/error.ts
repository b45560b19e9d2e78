// What the kernel says no with: an errno, and with extended acks a text and the attribute it means.
import { errnoName, errnoText, type ErrnoName } from "../../host/errno.ts";

export interface NetlinkErrorFacts {
  /** What was asked, as `ip` would say it: `link add "cni0"`. */
  readonly operation: string;
  readonly errno: number;
  /** "IFLA.mtu", when the kernel pointed at one. */
  readonly attribute?: string | undefined;
  /** The kernel's own words, when it had some. */
  readonly kernelText?: string | undefined;
}

/** A netlink request that the kernel refused. `isErrno` of lib/host/errno.ts knows it too. */
export class NetlinkError extends Error {
  readonly operation: string;
  readonly errno: number;
  readonly attribute: string | undefined;
  readonly kernelText: string | undefined;

  constructor({ operation, errno, attribute, kernelText }: NetlinkErrorFacts) {
    const said = kernelText === undefined ? "" : ` (kernel: "${kernelText}")`;
    const where = attribute === undefined ? "" : ` at ${attribute}`;
    super(`${operation}: ${errnoText(errno)}${where}${said}`);
    this.name = "NetlinkError";
    this.operation = operation;
    this.errno = errno;
    this.attribute = attribute;
    this.kernelText = kernelText;
  }

  get errnoName(): ErrnoName | `E${number}` {
    return errnoName(this.errno);
  }
}
