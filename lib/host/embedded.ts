// The embedded engine's system calls: the native module "host" (host/src/sys.rs) as it is. It is told how to make the
// errors it throws, so that both engines throw the same ones.
import * as native from "host";
import { systemError } from "./errno.ts";
import type { Host } from "./host.ts";
import { hostOver } from "./open.ts";

const host = hostOver(native);

export function openHost(): Host {
  native.onError(systemError);
  return host;
}
