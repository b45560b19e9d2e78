// Every way in which ours may differ from the Go plugins, and why. Anything else that differs is a defect.
import type { Difference } from "./compare.ts";

const withKernel = ["bridge", "flannel", "verbs"] as const;

const without = (text: unknown, key: string): string => {
  const { [key]: _, ...rest } = JSON.parse(String(text)) as Record<string, unknown>;
  return JSON.stringify(rest);
};

const appears = (go: unknown) => go === undefined;
const vanishes = (_: unknown, ours: unknown) => ours === undefined;

export const differences = {
  // The protocol.
  "errors carry cniVersion": {
    why: "the spec asks for it; Go leaves it out",
    in: ["protocol", "verbs"],
    path: /^\d+\.error\.cniVersion$/,
    fits: (go, ours) => go === undefined && typeof ours === "string",
  },
  "errors have the spec's codes": {
    why: "Go has 999 for whatever is not the skeleton's; 7 is for configurations, 5 for files, 11 for what may pass",
    in: ["verbs"],
    path: /^\d+\.error\.code$/,
    fits: (go, ours) => go === 999 && [5, 7, 11].includes(Number(ours)),
  },
  "what to try ends the details": {
    why: "an operator can act on it",
    in: ["protocol", "verbs"],
    path: /^\d+\.error\.details$/,
    fits: (go, ours) => String(ours).startsWith(String(go ?? "")) && String(ours).length > String(go ?? "").length,
  },
  "a name that is too long is told": {
    why: "whoever reads the log can find it",
    in: ["protocol"],
    path: /^\d+\.error\.details$/,
    scenario: /interface names/,
    fits: (_, ours) => /^interface name ".*" should be less than 16 characters/.test(String(ours)),
  },

  // bridge.
  "a bridge has a lock": {
    why: "first ADDs beside each other make one bridge; the lock file is empty and may stay",
    in: withKernel,
    path: /^\d+\.files\.\/run\/cni\/(locks\/(bridge-[^/]*)?)?$/,
    fits: appears,
  },
  "MACs are set, not left to the kernel": {
    why: "udev gives a MAC of its own to a link whose MAC the kernel drew, after ADD has reported it",
    in: withKernel,
    path: /^\d+\.state\.(node|pods\.\w+)\.links\.\w+\.addr_assign_type$/,
    fits: (go, ours) => go === "1" && ours === "3",
  },
  "a 1.1.0 result has the MTU of each link": {
    why: "the spec has had the field since 1.1.0",
    in: ["verbs"],
    path: /^\d+\.stdout\.interfaces\.\d+\.mtu$/,
    fits: appears,
  },

  // host-local.
  "CHECK and DEL make no folder": {
    why: "looking changes nothing, and a full or read-only disk must not stop a DEL",
    in: ["verbs"],
    path: /^\d+\.files\.\/var\/lib\/cni\/networks\/([\w-]+\/(lock)?)?$/,
    fits: vanishes,
  },

  // flannel.
  "the saved delegate knows its interface": {
    why: "DEL can tell two attachments of one container apart; bridge ignores the key",
    in: ["flannel", "verbs"],
    path: /^\d+\.files\.\/var\/lib\/cni\/flannel\/.*\.content$/,
    fits: (go, ours) => without(ours, "weft.ifName") === go,
  },
  "flannel checks": {
    why: "Go's flannel says that all is well without looking; ours asks the delegate",
    in: ["verbs"],
    scenario: /^flannel/,
    path: /^\d+\.(exit|stdout|layout|error)$/,
    fits: (go, ours) => [0, "", undefined].includes(go as undefined) && ours !== 0,
  },
  "where Go's bridge stands in for its flannel, nothing is saved": {
    why: "the Go flannel that can be built ends at CNI 0.4.0",
    in: ["verbs"],
    scenario: /^flannel, 1/,
    path: /^\d+\.files\.\/var\/lib\/cni\/flannel\//,
    fits: appears,
  },

  // loopback.
  "loopback's result is of the version it says": {
    why: "Go labels its own structure with the version asked for and does not convert it",
    in: ["verbs"],
    scenario: /^loopback, (no version|0)/,
    path: /^\d+\.stdout\.(ip4|ip6|dns|interfaces|ips(\.\d\.version)?)$/,
  },
} as const satisfies Record<string, Difference>;
