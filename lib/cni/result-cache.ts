// What libcni keeps of each ADD that succeeded, as far as a plugin may act on it: which netns an attachment was made for.
// A runtime may keep it elsewhere, or nothing: that no result is here says nothing of an attachment.
import { isErrno, NotNetnsError } from "../host/errno.ts";
import type { Host, Netns } from "../host/host.ts";
import { decode } from "./config.ts";
import { JsonObject, parseJson } from "./json.ts";

const directory = "/var/lib/cni/results";

/** The names of all cached results: "<network>-<containerID>-<ifName>". */
export function cachedNames(host: Host): ReadonlySet<string> {
  try {
    return new Set(host.files.list(directory));
  } catch (error) {
    if (isErrno(error, "ENOENT")) return new Set();
    throw error;
  }
}

/** Whether the netns a cached result was made for is there still, and is not `but`. In doubt it is. */
export function livesByCache(host: Host, name: string, but?: Netns): boolean {
  try {
    const tree = parseJson(host.files.read(`${directory}/${name}`));
    if (!(tree instanceof JsonObject)) return true;
    const { netns: path } = decode({ type: "object", properties: { netns: { type: "string" } } } as const, tree);
    if (path === undefined) return true;
    if (path === "") return false;
    const { dev, ino, close } = host.openNetns(path);
    close();
    return dev !== but?.dev || ino !== but.ino;
  } catch (error) {
    return !(error instanceof NotNetnsError || isErrno(error, "ENOENT", "ENOTDIR", "ENAMETOOLONG"));
  }
}
