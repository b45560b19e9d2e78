// What a plugin is: a name, the versions it speaks, how it reads its configuration, and a handler for every verb.
// Dispatch (dispatch.ts) checks the request and calls the handler; only dispatch touches the environment, standard
// output and the exit status.
import type { Host } from "../host/host.ts";
import type { ConfigSource } from "./config.ts";
import type { Result } from "./result.ts";
import type { SpecVersion } from "./version.ts";

export type Verb = "ADD" | "DEL" | "CHECK" | "STATUS" | "GC";

/** The identity of everything a plugin makes. */
export interface Attachment {
  readonly containerId: string;
  readonly ifName: string;
}

/** What every verb gets, after dispatch has checked it. */
export interface BaseRequest<Conf> {
  /** The network's name. */
  readonly network: string;
  /** The version the configuration asks for and the result goes out in. */
  readonly cniVersion: SpecVersion;
  readonly conf: Conf;
  /** Standard input as received: what a delegate gets. */
  readonly text: string;
  /** CNI_ARGS as received; "" when unset. */
  readonly args: string;
  /** CNI_PATH as received. */
  readonly path: string;
  /** The plugins this executable carries, for delegation in this process. */
  readonly suite: Suite;
}

export interface AttachmentRequest<Conf> extends BaseRequest<Conf> {
  readonly attachment: Attachment;
  /** CNI_NETNS as received; "" when unset, which only DEL allows. */
  readonly netns: string;
}

export interface AddRequest<Conf> extends AttachmentRequest<Conf> {
  readonly prevResult: Result | undefined;
}
export interface CheckRequest<Conf> extends AttachmentRequest<Conf> {
  /** Dispatch does not insist on it: loopback and host-local need none. */
  readonly prevResult: Result | undefined;
}
export interface DelRequest<Conf> extends AttachmentRequest<Conf> {
  /** Absent under 0.3.1, and where it could not be read (which dispatch logs and forgives). */
  readonly prevResult: Result | undefined;
}
export type StatusRequest<Conf> = BaseRequest<Conf>;
export interface GcRequest<Conf> extends BaseRequest<Conf> {
  /** undefined: the runtime named no list, so nothing may be collected. */
  readonly validAttachments: readonly Attachment[] | undefined;
}

export interface Plugin<Conf> {
  readonly name: string;
  readonly versions: readonly SpecVersion[];
  /**
   * Reads this plugin's configuration. Throws a `CniError` naming the field and value. For DEL it forgives every fault
   * that DEL can work without, so that a broken configuration never keeps an attachment alive.
   */
  conf(source: ConfigSource, verb: Verb): Conf;
  add(request: AddRequest<Conf>, host: Host): Result | Promise<Result>;
  del(request: DelRequest<Conf>, host: Host): void | Promise<void>;
  check(request: CheckRequest<Conf>, host: Host): void | Promise<void>;
  status(request: StatusRequest<Conf>, host: Host): void | Promise<void>;
  gc(request: GcRequest<Conf>, host: Host): void | Promise<void>;
}

/** One line of the table in plugins/main.ts. */
export interface SuiteEntry {
  readonly versions: readonly SpecVersion[];
  /** Reads the plugin's code, which VERSION never needs. */
  readonly load: () => Promise<AnyPlugin>;
}
export type Suite = Readonly<Record<string, SuiteEntry>>;

/** A plugin whose configuration type only it knows. */
// biome-ignore lint/suspicious/noExplicitAny: the type of a configuration is private to its plugin
export type AnyPlugin = Plugin<any>;

/** Declares a plugin; a missing handler does not compile, so no verb succeeds by doing nothing. */
export function definePlugin<Conf>(plugin: Plugin<Conf>): Plugin<Conf> {
  return plugin;
}
