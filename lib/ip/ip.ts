// IPv4 and IPv6 addresses as values. Text form and leniency follow Go's net package, because file names
// and rules on a node depend on it.

export type Family = 4 | 6;

/** An address. Compare with `equalIps`, print with `formatIp`. IPv4-mapped IPv6 never occurs: parsing makes it IPv4. */
export interface Ip {
  readonly family: Family;
  /** The address as an unsigned number, network order: 32 or 128 bits. */
  readonly value: bigint;
}
