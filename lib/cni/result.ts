// The result of an ADD as values, in the shape of spec 1.1.0 whatever version goes over the wire.
import type { Ip } from "../ip/ip.ts";
import type { Prefix } from "../ip/prefix.ts";

export interface ResultInterface {
  readonly name: string;
  /** Lower case, colons; absent when unknown. */
  readonly mac?: string;
  readonly mtu?: number;
  /** The netns path as the runtime gave it; absent for a link on the node. */
  readonly sandbox?: string;
  readonly socketPath?: string;
  readonly pciID?: string;
}

export interface ResultIp {
  /** The address with its prefix length; host bits kept. */
  readonly address: Prefix;
  readonly gateway?: Ip;
  /** Index into `interfaces`. */
  readonly interface?: number;
}

export interface ResultRoute {
  readonly dst: Prefix;
  readonly gw?: Ip;
  readonly mtu?: number;
  readonly advmss?: number;
  readonly priority?: number;
  readonly table?: number;
  readonly scope?: number;
}

export interface Dns {
  readonly nameservers?: readonly string[];
  readonly domain?: string;
  readonly search?: readonly string[];
  readonly options?: readonly string[];
}

export interface Result {
  readonly interfaces: readonly ResultInterface[];
  readonly ips: readonly ResultIp[];
  readonly routes: readonly ResultRoute[];
  readonly dns: Dns;
}
