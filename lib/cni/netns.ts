// The container's netns, as the plugins open it.
import { errnoText, isErrno, NotNetnsError } from "../host/errno.ts";
import type { Host, Netns } from "../host/host.ts";
import { CniError } from "./error.ts";

/** Opens CNI_NETNS for ADD or CHECK. Throws a CniError (999) that says what is wrong with the path. */
export function openContainer(path: string, host: Host): Netns {
  try {
    return host.openNetns(path);
  } catch (cause) {
    const reason =
      cause instanceof NotNetnsError
        ? cause.message
        : isErrno(cause, "ENOENT")
          ? `failed to Statfs "${path}": ${errnoText(cause.errno)}`
          : (cause as Error).message;
    throw new CniError("internal", `failed to open netns "${path}": ${reason}`, {
      hint: "the container has probably ended; if not, CNI_NETNS names the wrong path",
      cause,
    });
  }
}

/** Opens CNI_NETNS for DEL: undefined when it is unset, gone, or an ordinary file that its namespace left behind. */
export function openIfThere(path: string, host: Host): Netns | undefined {
  if (path === "") return undefined;
  try {
    return host.openNetns(path);
  } catch (error) {
    if (error instanceof NotNetnsError || isErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
