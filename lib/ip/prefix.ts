// An address with a prefix length, host bits kept: "10.1.2.3/24". A subnet is a prefix whose host bits are zero.
import type { Ip } from "./ip.ts";

export interface Prefix {
  readonly ip: Ip;
  readonly length: number;
}
