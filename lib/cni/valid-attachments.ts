// What GC is told: the attachments of the network that there are. Spec 1.1.0, "GC".
import { memberOf } from "./config.ts";
import { CniError } from "./error.ts";
import { JsonObject, type Json } from "./json.ts";
import type { Attachment } from "./plugin.ts";

/** The key of the specification, and the one that was used before it was settled. */
export const validAttachmentsKeys = ["cni.dev/valid-attachments", "cni.dev/attachments"] as const;

function attachmentOf(item: Json, key: string, at: number): Attachment {
  const member = (name: string): string => {
    const value = item instanceof JsonObject ? memberOf(item, name) : undefined;
    if (typeof value === "string" && value !== "") return value;
    throw new CniError("invalidConfig", `"${key}[${at}]" must name a containerID and an ifname`, {
      hint: "nothing was removed: who is valid must be clear first; the runtime writes this list",
    });
  };
  return { containerId: member("containerID"), ifName: member("ifname") };
}

/** The list; undefined where the configuration has none, which says nothing. null says that no attachment is valid. */
export function validAttachments(tree: JsonObject): readonly Attachment[] | undefined {
  for (const key of validAttachmentsKeys) {
    const at = tree.keys.lastIndexOf(key);
    if (at < 0) continue;
    const list = tree.values[at];
    if (list === null) return [];
    if (!Array.isArray(list))
      throw new CniError("invalidConfig", `"${key}" must be a list`, {
        hint: "nothing was removed: who is valid must be clear first; the runtime writes this list",
      });
    return list.map((item: Json, at) => attachmentOf(item, key, at));
  }
  return undefined;
}
