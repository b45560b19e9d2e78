// The bridge plugin's configuration: what the schema cannot say, and the form the other files use.
import { parseCniArgs } from "../../lib/cni/args.ts";
import {
  decodeForgiving,
  prepareSchema,
  readConfig,
  type ConfigSource,
  type FromSchema,
} from "../../lib/cni/config.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Verb } from "../../lib/cni/plugin.ts";
import type { Dns } from "../../lib/cni/result.ts";
import type { Backend } from "../../lib/firewall/backend.ts";
import { checkIfName } from "../../lib/cni/validators.ts";
import type { Host } from "../../lib/host/host.ts";
import { parseMac, type Mac } from "../../lib/ip/mac.ts";
import { validate } from "#generated/bridge.validate.js";
import { vlanGatewayName } from "./names.ts";
import { schema } from "./schema.ts";

prepareSchema(schema);

export { schema as bridgeSchema } from "./schema.ts";

type Given = FromSchema<typeof schema>;

/** VLAN ids `first` to `last`, both included. */
export interface VlanRange {
  readonly first: number;
  readonly last: number;
}

export interface BridgeConf {
  /** The bridge's name. */
  readonly bridge: string;
  readonly isGateway: boolean;
  /** Implies isGateway. */
  readonly isDefaultGateway: boolean;
  readonly forceAddress: boolean;
  /** Asked for and, with IPAM, meant to do something. */
  readonly ipMasq: boolean;
  /** undefined: whichever the Go plugins would choose on this node. */
  readonly ipMasqBackend: Backend | undefined;
  readonly macSpoofCheck: boolean;
  /** undefined: the kernel's own. */
  readonly mtu: number | undefined;
  readonly hairpin: boolean;
  readonly isolated: boolean;
  readonly promisc: boolean;
  /** The port's native VLAN. */
  readonly vlan: number | undefined;
  /** The port's tagged VLANs, in order, without overlap. */
  readonly trunk: readonly VlanRange[];
  /** A new bridge keeps VLANs apart. */
  readonly vlanFiltering: boolean;
  readonly preserveDefaultVlan: boolean;
  /** IPv6 duplicate address detection stays on. */
  readonly dad: boolean;
  /** A container with IPv6 from IPAM listens to routers as the kernel would have it. */
  readonly acceptRa: boolean;
  /** The container's link is brought up. */
  readonly containerUp: boolean;
  /** The IPAM plugin; undefined: the attachment gets no addresses. */
  readonly ipam: string | undefined;
  /** Replaces IPAM's in the result. */
  readonly dns: Dns | undefined;
  /** Of the container's link. */
  readonly mac: Mac | undefined;
}

const backends: readonly Backend[] = ["iptables", "nftables"];

const fault = (msg: string, hint = "correct the network configuration"): CniError =>
  new CniError("invalidConfig", msg, { hint });

/**
 * Reads the configuration. ADD and CHECK refuse what they cannot do, STATUS what ADD would refuse; DEL and GC forgive
 * everything, since they need little of it.
 */
export function readBridgeConf(
  source: ConfigSource,
  verb: Verb,
  cniArgs: string,
  { log }: Pick<Host, "log">,
): BridgeConf {
  const strict = verb !== "DEL" && verb !== "GC";
  const given = strict
    ? readConfig(source, schema, validate)
    : decodeForgiving(schema, source.tree, (line) => log(`bridge: ${line}`));
  const { vlan, mtu, dns } = given;
  const trunk = strict ? trunkRanges(given.vlanTrunk ?? []) : [];
  const ipam = given.ipam?.type || undefined;
  const conf: BridgeConf = {
    bridge: given.bridge,
    isGateway: given.isGateway || given.isDefaultGateway,
    isDefaultGateway: given.isDefaultGateway,
    forceAddress: given.forceAddress,
    ipMasq: given.ipMasq && ipam !== undefined,
    ipMasqBackend: backends.find((backend) => backend === given.ipMasqBackend),
    macSpoofCheck: given.macspoofchk,
    mtu: mtu > 0 ? mtu : undefined,
    hairpin: given.hairpinMode,
    isolated: given.portIsolation,
    promisc: given.promiscMode,
    vlan: vlan === 0 ? undefined : vlan,
    trunk,
    vlanFiltering: vlan !== 0 || given.vlanTrunk !== undefined,
    preserveDefaultVlan: given.preserveDefaultVlan,
    dad: given.enabledad,
    acceptRa: given.acceptRa,
    containerUp: !given.disableContainerInterface,
    ipam,
    dns: dns?.nameservers || dns?.search || dns?.options || dns?.domain ? dns : undefined,
    // STATUS is about no attachment, and has no CNI_ARGS that would mean something.
    mac: strict ? macOf(given, verb === "STATUS" ? "" : cniArgs) : undefined,
  };
  if (strict) {
    checkLinkNames(conf);
    checkBackend(conf, given.ipMasqBackend);
  }
  if (verb === "ADD" || verb === "STATUS") checkCombinations(conf);
  return conf;
}

type TrunkItem = NonNullable<Given["vlanTrunk"]>[number];

/** The union of what the entries name, as ranges in order. */
function trunkRanges(items: readonly TrunkItem[]): VlanRange[] {
  const ranges: VlanRange[] = [];
  for (const { id, minID, maxID } of items) {
    if (minID !== undefined && maxID !== undefined) {
      if (maxID < minID) throw fault("minID is greater than maxID in trunk parameter");
      ranges.push({ first: minID, last: maxID });
    } else if (minID !== undefined || maxID !== undefined) {
      const missing = minID === undefined ? "minID" : "maxID";
      throw fault(`minID and maxID should be configured simultaneously, ${missing} is missing`);
    }
    if (id !== undefined) ranges.push({ first: id, last: id });
  }
  const union: VlanRange[] = [];
  for (const range of ranges.sort((a, b) => a.first - b.first)) {
    const before = union.at(-1);
    if (before === undefined || range.first > before.last + 1) union.push(range);
    else union[union.length - 1] = { first: before.first, last: Math.max(before.last, range.last) };
  }
  return union;
}

/** The names become links, sysctl paths and a lock file: none may be more than a name. */
function checkLinkNames({ bridge, vlan, isGateway }: BridgeConf): void {
  const names = vlan !== undefined && isGateway ? [bridge, vlanGatewayName(bridge, vlan)] : [bridge];
  for (const name of names) {
    try {
      if (name === "") throw new Error("it is empty");
      checkIfName(name);
    } catch (cause) {
      const why = (cause as Error).message;
      throw new CniError(
        "invalidConfig",
        `failed to create bridge "${bridge}": no link can be named "${name}": ${why}`,
        {
          cause,
          hint: 'choose another "bridge" in the network configuration',
        },
      );
    }
  }
}

function checkBackend({ ipMasq, ipMasqBackend }: BridgeConf, given: string | undefined): void {
  if (!ipMasq || given === undefined || ipMasqBackend !== undefined) return;
  throw fault(`unknown ipmasq backend "${given}"`, 'set "ipMasqBackend" to iptables or nftables, or leave it out');
}

function checkCombinations({ ipam, containerUp, hairpin, promisc }: BridgeConf): void {
  if (ipam !== undefined && !containerUp)
    throw fault(
      "cannot use IPAM when DisableContainerInterface flag is set",
      'leave out one of "ipam", "disableContainerInterface"',
    );
  if (hairpin && promisc)
    throw fault(
      "cannot set hairpin mode and promiscuous mode at the same time",
      'leave out one of "hairpinMode", "promiscMode"',
    );
}

/** The MAC asked for: runtimeConfig's, else that of args.cni, else that of CNI_ARGS. */
function macOf({ runtimeConfig, args }: Given, cniArgs: string): Mac | undefined {
  const { MAC } = parseCniArgs(cniArgs, ["MAC"]);
  const text = runtimeConfig?.mac || args?.cni?.mac || MAC || undefined;
  if (text === undefined) return undefined;
  const mac = parseMac(text);
  if (mac === undefined) throw fault(`address ${text}: invalid MAC address`, "give six bytes: 0a:58:0a:f4:01:02");
  return mac;
}
