// A plugin that does nothing but remember what it was asked, for tests of what stands before every plugin.
import type { ConfigSource } from "../lib/cni/config.ts";
import {
  definePlugin,
  type AnyPlugin,
  type AttachmentRequest,
  type GcRequest,
  type Request,
} from "../lib/cni/plugin.ts";
import type { Result } from "../lib/cni/result.ts";
import { allVersions } from "../lib/cni/version.ts";
import { answer } from "./runtime.ts";

type Conf = { readonly text: string; readonly args: string };
type Asked = Request<Conf> &
  Partial<Pick<AttachmentRequest<Conf>, "attachment" | "netns" | "prevResult">> &
  Partial<Pick<GcRequest<Conf>, "valid">>;

export class Recorder {
  /** Verbs in the order they came. */
  readonly verbs: string[] = [];
  readonly requests: Asked[] = [];
  result: Result = answer(["10.1.0.5/24"]);
  /** Run inside the verb; what it throws is what the plugin throws. */
  during: (verb: string, request: Asked) => void = () => {};

  readonly plugin: AnyPlugin = definePlugin<Conf>({
    name: "recorder",
    versions: allVersions,
    conf: (source: ConfigSource, _verb, args) => ({ text: source.text, args }),
    add: (request) => {
      this.#came("ADD", request);
      return this.result;
    },
    del: (request) => this.#came("DEL", request),
    check: (request) => this.#came("CHECK", request),
    status: (request) => this.#came("STATUS", request),
    gc: (request) => this.#came("GC", request),
  });

  #came(verb: string, request: Asked): void {
    this.verbs.push(verb);
    this.requests.push(request);
    this.during(verb, request);
  }
}
