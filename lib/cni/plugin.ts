// What a plugin is: a name, the versions it speaks, how it reads its configuration, and a handler for each verb.
// Dispatch (dispatch.ts) checks the request and calls the handler; only dispatch touches the environment, standard
// output and the exit status.
import type { Host } from "../host/host.ts";
import type { ConfigSource } from "./config.ts";
import type { Result } from "./result.ts";
import type { SpecVersion } from "./version.ts";

export const verbs = ["ADD", "DEL", "CHECK", "STATUS", "GC"] as const;
export type Verb = (typeof verbs)[number];

/** The identity of everything a plugin makes. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
}

/** An attachment other than the one the environment tells of, for a call on its behalf. */
export interface Behalf extends Attachment {
  readonly netns: string;
}

/** The environment of a request. */
export interface CallEnv {
  readonly command: string;
  readonly containerId: string;
  readonly netns: string;
  readonly ifName: string;
  readonly args: string;
  readonly path: string;
}

/** What is known of a call once its configuration has been read: enough to word an error. */
export interface ReadCall {
  /** Standard input as received: its text is what a delegate gets. */
  readonly source: ConfigSource;
  /** The network's name. */
  readonly network: string;
  /** As the configuration says it; "" when it says nothing. */
  readonly configVersion: string;
}

/** What every verb gets, after dispatch has checked it. */
export interface Request<Conf> extends ReadCall {
  /** The version the configuration asks for and the result goes out in. */
  readonly cniVersion: SpecVersion;
  readonly conf: Conf;
  /** As received, but for what a caller in this process changed. */
  readonly env: CallEnv;
  /** The plugins this executable carries, for delegation in this process. */
  readonly suite: Suite;
  /** CNI_NETNS is this process's own netns, which only DEL comes through with. */
  readonly ownNetns: boolean;
  /** Whom the call is about, where it is not whom the environment tells of. */
  readonly behalf?: Behalf | undefined;
}

export interface AttachmentRequest<Conf> extends Request<Conf> {
  readonly attachment: Attachment;
  /** CNI_NETNS as received. On DEL "" when it is unset, or when it is our own netns, which must not be touched. */
  readonly netns: string;
  /** What the plugins before us made; on CHECK and DEL the final result. Throws a CniError where it cannot be read. */
  prevResult(): Result | undefined;
}

export interface GcRequest<Conf> extends Request<Conf> {
  /** The attachments of the network that there are: whatever else the network has on this node is to go. */
  readonly valid: readonly Attachment[];
}

export interface Plugin<Conf> {
  readonly name: string;
  /** What it says of itself where it is called without a verb, if not what all say: tools on nodes read the version out of it. */
  readonly introduction?: string;
  readonly versions: readonly SpecVersion[];
  /**
   * Reads this plugin's configuration. Throws a `CniError` naming the field and value. For DEL it forgives every fault
   * that DEL can work without, so that a broken configuration never keeps an attachment alive. `args` is CNI_ARGS.
   */
  conf(source: ConfigSource, verb: Verb, args: string, host: Host): Conf;
  add(request: AttachmentRequest<Conf>, host: Host): Result;
  del(request: AttachmentRequest<Conf>, host: Host): void;
  check(request: AttachmentRequest<Conf>, host: Host): void;
  /** Throws a CniError (50, 51) where an ADD could not succeed now. */
  status(request: Request<Conf>, host: Host): void;
  /** Removes what is in no valid attachment: all it can, then says what it could not. */
  gc(request: GcRequest<Conf>, host: Host): void;
}

/** A plugin whose configuration type only it knows. */
// biome-ignore lint/suspicious/noExplicitAny: the type of a configuration is private to its plugin
export type AnyPlugin = Plugin<any>;

/** The plugins this executable carries, by name. */
export type Suite = ReadonlyMap<string, AnyPlugin>;

/** Declares a plugin; a missing handler does not compile, so no verb succeeds by doing nothing. */
export function definePlugin<Conf>(plugin: Plugin<Conf>): Plugin<Conf> {
  return plugin;
}
