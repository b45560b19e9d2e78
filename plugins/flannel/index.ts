// flannel: reads what flanneld says of this node, writes the configuration of a delegate (bridge with host-local, unless
// told otherwise), and has the delegate do the work. It touches neither links nor addresses. Read on in add.ts.
import { definePlugin } from "../../lib/cni/plugin.ts";
import { allVersions } from "../../lib/cni/version.ts";
import { add } from "./add.ts";
import { check } from "./check.ts";
import { conf } from "./conf.ts";
import { del } from "./del.ts";
import { gc } from "./gc.ts";
import { status } from "./status.ts";

export const flannel = definePlugin({ name: "flannel", versions: allVersions, conf, add, del, check, status, gc });
