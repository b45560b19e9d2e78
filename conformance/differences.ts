// Every way in which ours may differ from the Go plugins, and why. Anything else that differs is a defect.
import type { Difference } from "./difference.ts";

const withKernel = ["bridge", "flannel", "verbs"] as const;

const without = (text: unknown, ...keys: readonly string[]): string => {
  const entries = Object.entries(JSON.parse(String(text)) as Record<string, unknown>);
  return JSON.stringify(Object.fromEntries(entries.filter(([key]) => !keys.includes(key))));
};

const appears = (go: unknown) => go === undefined;
const vanishes = (_: unknown, ours: unknown) => ours === undefined;

/** A kept file as Go would write it: one blank to the level. */
function withoutOurKeys(text: unknown): string {
  const entries = Object.entries(JSON.parse(String(text)) as Record<string, unknown>);
  return JSON.stringify(Object.fromEntries(entries.filter(([key]) => !key.startsWith("weft."))), null, 1);
}

export const differences = {
  // The protocol.
  "errors carry cniVersion": {
    why: "the spec asks for it; Go leaves it out",
    in: ["protocol", "verbs", "host-local", "bridge", "flannel", "vlan-guest", "tuning", "bandwidth"],
    path: /^\d+\.error\.cniVersion$/,
    fits: (go, ours) => go === undefined && typeof ours === "string",
  },
  "errors have the spec's codes": {
    why: "Go has 999 for whatever is not the skeleton's; 7 and 6 are for configurations, 5 for files, 4 for CNI_ARGS, 11 for what may pass",
    in: ["protocol", "verbs", "host-local", "bridge", "flannel", "vlan-guest", "tuning", "bandwidth"],
    path: /^\d+\.error\.code$/,
    fits: (go, ours) => go === 999 && [4, 5, 6, 7, 11].includes(Number(ours)),
  },
  "what to try ends the details": {
    why: "an operator can act on it",
    in: ["protocol", "verbs", "host-local", "bridge", "tuning", "bandwidth"],
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

  "an attachment without addresses is refused by versions that cannot tell of it": {
    why: "Go finds out when all is done, and fails with 999; it is a matter of versions, which is 1",
    in: ["bridge"],
    scenario: /^layer 2, 0\.[12]\.0$/,
    path: /^0\.error\.code$/,
    fits: (go, ours) => go === 999 && ours === 1,
  },
  "what a delegate says is passed on as it says it": {
    why: "Go drops its standard error when it fails; what could not be undone is told there, too",
    in: ["bridge"],
    scenario: /^fault: (an )?IPAM/,
    path: /^\d\.stderr$/,
    fits: (go, ours) => go === "empty" && ours === "text",
    step: (go, ours) => ours.did.startsWith("ADD") && go.exit === 1 && ours.exit === 1,
  },
  "a delegate that answers junk has failed": {
    why: "0 is the number of delegates that do not say what is wrong; Go has it only where the exit status is not 0",
    in: ["bridge"],
    scenario: /^fault: IPAM that answers (junk|in a version to come)$/,
    path: /^1\.error\.code$/,
    fits: (go, ours) => go === 999 && ours === 0,
  },

  "a GC that does not say who is valid is told of": {
    why: "it removes nothing, and whoever sent it should know",
    in: ["verbs"],
    scenario: /, 1\.1\.0$/,
    path: /^3\.stderr$/,
    step: (go, ours) => ours.did.startsWith("GC") && go.exit === 0 && ours.exit === 0,
  },

  // bridge.
  "a bridge has a lock": {
    why: "first ADDs beside each other make one bridge, and portmap's take turns; lock files are empty and may stay",
    in: withKernel,
    path: /^\d+\.files\.\/run\/cni\/(locks\/(bridge-[^/]*|portmap)?)?$/,
    fits: appears,
  },
  "MACs are set, not left to the kernel": {
    why: "udev gives a MAC of its own to a link whose MAC the kernel drew, after ADD has reported it",
    in: [...withKernel, "bandwidth"],
    path: /^\d+\.state\.(node|pods\.\w+)\.links\.\w+\.addr_assign_type$/,
    fits: (go, ours) => go === "1" && ours === "3",
  },
  "a port says whose it is, a bridge what it is the gateway of": {
    why: "an operator sees it in ip -d link, GC finds what no attachment holds, and a subnet that changed what was its own",
    in: [...withKernel, "bandwidth"],
    path: /^\d+\.state\.node\.links\.[\w.]+\.ifalias$/,
    fits: appears,
  },
  "a bridge keeps its MAC": {
    why: "Go's takes that of the lowest port, as they come and go, unless it has a gateway: peers lose their flows",
    in: ["bridge", "vlan-guest"],
    path: /(links\.(br\d+|cni0)\.address|bridge_id|root_id|stdout\.interfaces\.0\.mac)$/,
    fits: (go, ours) =>
      /^(8000\.)?<mac of node\/(br\d+|cni0)>$/.test(String(ours)) &&
      /^(8000\.)?(<mac of node\/veth\d+>|00:00:00:00:00:00)$/.test(String(go)),
  },
  "a failed ADD is undone": {
    why: "the runtime's DEL may never come; what ours leaves is looked at in every failing step",
    in: ["bridge", "vlan-guest", "tuning", "bandwidth"],
    path: /^\d+\.(state|files)\./,
    step: (go, ours) => ours.did.startsWith("ADD") && go.exit === 1 && ours.exit === 1,
  },
  "a MAC that is none, and an IPAM plugin that is not there, are found before anything is made": {
    why: "Go makes the bridge first, and its DEL leaves it",
    in: ["bridge"],
    scenario: /^(a MAC that is none|fault: an IPAM plugin that is not there)/,
    path: /^1\.state\.node\.links\.br9(\.|$)/,
  },
  "a bridge's MTU follows the network's": {
    why: "somebody set a smaller one, which would stay for ever; every port carries the larger one",
    in: ["bridge"],
    scenario: /^a bridge that is there$/,
    path: /^\d+\.state\.node\.links\.br9\.(mtu|sysctls\.ipv6\/mtu)$/,
    fits: (go, ours) => Number(go) === 1300 && Number(ours) === 1400,
  },
  "a bridge may have IPv4 addresses of several subnets": {
    why: "they do not overlap, so nobody is cut off",
    in: ["bridge"],
    scenario: /^a bridge with another address$/,
    path: /^1\./,
    step: (go, ours) => go.exit === 1 && ours.exit === 0,
  },
  "a default route without a gateway is the default route": {
    why: "Go adds a second one by way of the same gateway, which the kernel has already, and fails",
    in: ["bridge"],
    scenario: /^the default gateway, and a default route of IPAM/,
    path: /^\d\./,
    step: (go, ours) => go.did !== "a deed" && ours.exit === 0,
  },
  "a gateway outside the subnet is on the link": {
    why: "there is no other way to it, and the pod has one link; the kernel only wants to be told",
    in: ["bridge"],
    scenario: /^a gateway outside the subnet$/,
    path: /^0\./,
    step: (go, ours) => go.exit === 1 && ours.exit === 0,
  },
  "what a plugin does not read is not judged": {
    why: "Go decodes these keys in every plugin, needed or not",
    in: ["bridge"],
    scenario: /^wrong: \{"(prevResult|capabilities)":/,
    path: /^0\./,
    step: (go, ours) => go.exit === 1 && ours.exit === 0,
  },
  "the guard comes before the work": {
    why: "Go's looks when all is done: the node's own links are changed by then, and standard output has two objects in it",
    in: ["bridge"],
    scenario: /^the node's own netns/,
    path: /^\d\.(error\.code|state\.node\.links\.eth[09])$/,
    fits: (go, ours) => (go === 0 && ours === 8) || (go === undefined && ours !== undefined),
  },
  "addresses are usable at once": {
    why: "IPAM vouches for them; duplicate address detection would hold a gateway back for more than a second",
    in: ["bridge", "flannel"],
    path: /\.links\.\w+\.addrs\.\d\.nodad$/,
    fits: (go, ours) => go === undefined && ours === true,
  },
  "a pod with IPv6 from IPAM takes no other": {
    why: "a router on an extended bridge would add its own addresses and routes",
    in: ["bridge", "flannel"],
    path: /^\d+\.state\.pods\.\w+\.links\.\w+\.sysctls\.ipv6\/(accept_ra|autoconf)$/,
    fits: (go, ours) => go === "1" && ours === "0",
  },
  "neighbours are told of an IPv6 address, too": {
    why: "they would go on with the MAC of whoever had the address before",
    in: ["bridge", "flannel"],
    path: /^\d+\.state\.pods\.\w+\.links\.\w+\.sysctls\.ipv6\/ndisc_notify$/,
    fits: (go, ours) => go === "0" && ours === "1",
  },
  "a DEL tolerates what only an ADD needs": {
    why: "CNI_ARGS, VLANs out of range, values of the wrong type, a file where a netns was: none of it says that an address must stay",
    in: ["bridge"],
    scenario:
      /^DEL (with CNI_ARGS that are junk|with a VLAN out of range|with values of the wrong type|when only a file is left)/,
    path: /^\d+\.(exit|stdout|layout|error|stderr|keys|files|state)/,
    step: (go, ours) => ours.did.startsWith("DEL") && go.exit === 1 && ours.exit === 0,
  },
  "a DEL says what of the configuration it goes on without": {
    why: "Go's DEL only looks for what ADD saved; ours deletes without that, too, and for that reads what it can",
    in: ["flannel"],
    scenario: /^fault: \{"delegate":/,
    path: /^\d+\.stderr$/,
    fits: (go, ours) => go === "empty" && ours === "text",
    step: (go, ours) => ours.did.startsWith("DEL") && go.exit === 0 && ours.exit === 0,
  },
  "a DEL without a netns takes the link all the same": {
    why: "the node's end has a name that follows from the attachment",
    in: ["bridge", "vlan-guest"],
    scenario: /^DEL with an empty netns, the pod still there/,
    path: /^1\.state\./,
  },
  "a layer 2 attachment can be checked": {
    why: "Go asks an IPAM plugin that is not named, and fails",
    in: ["bridge", "vlan-guest"],
    scenario: /^CHECK of a layer 2/,
    path: /^1\.(exit|stdout|layout|error|keys)/,
  },
  "CHECK looks in the table the route went to": {
    why: "Go looks in the main table and does not find it",
    in: ["bridge"],
    scenario: /^routes with priority, table and scope/,
    path: /^1\.(exit|stdout|layout|error|keys)/,
  },
  "a 1.1.0 result has the MTU of each link": {
    why: "the spec has had the field since 1.1.0",
    in: ["verbs", "bridge", "flannel"],
    path: /^\d+\.stdout\.interfaces\.\d+\.mtu$/,
    fits: appears,
  },

  // bridge, where the kernel has VLANs.
  "CHECK sees VLANs and gateways": {
    why: "Go looks at neither: a pod in another VLAN than was asked for passes",
    in: ["vlan-guest"],
    scenario: /^damage: /,
    path: /^3\.(exit|stdout|layout|error)$/,
    step: (_, ours) => ours.exit === 1 && String(ours.error?.says).startsWith("matches"),
  },
  "a bridge that is there comes to keep VLANs apart": {
    why: "Go gives its ports VLANs that nobody enforces",
    in: ["vlan-guest"],
    scenario: /^existing: /,
    path: /^\d\.state\.node\.links\.br9\.filtering$/,
    fits: (go, ours) => go === 0 && ours === 1,
  },
  "unless a port would lose its connection": {
    why: "its VLANs were set by somebody who did not expect them to be enforced: that is told, and nothing is done",
    in: ["vlan-guest"],
    scenario: /^existing: /,
    path: /^\d\.(exit|stdout|layout|error|files|state)/,
    step: (go, ours) => go.exit === 0 && ours.exit === 1 && String(ours.error?.says).startsWith("matches"),
  },
  "a VLAN's gateway is a veth of ours": {
    why: "Go puts the gateway's address on whatever has the name, be it no port of the bridge",
    in: ["vlan-guest"],
    scenario: /^ADD where a link has the gateway's name/,
    path: /^1\.(exit|stdout|layout|error|files|state)/,
    step: (_, ours) => ours.exit === 1 && String(ours.error?.says).startsWith("matches"),
  },

  // host-local.
  "the first ADD of a boot is noted": {
    why: "it tells what an earlier boot left from what is in use, whatever the clock does; the file is gone with the boot",
    in: ["host-local", "protocol", ...withKernel],
    path: /^\d+\.files\.\/run\/cni\/(host-local-first-add)?$/,
    fits: appears,
  },
  "an address is given back where the round robin's place cannot be written": {
    why: "the ADD fails, and Go's keeps the address until a DEL comes",
    in: ["host-local"],
    scenario: /^a last one that is a folder$/,
    path: /^1\.files\.\/var\/lib\/cni\/networks\/net\/10\.9\.0\.2$/,
    fits: vanishes,
  },
  "CHECK and DEL make no folder": {
    why: "looking changes nothing, and a full or read-only disk must not stop a DEL",
    in: ["verbs", "host-local", "bridge"],
    path: /^\d+\.files\.\/var\/lib\/cni\/networks\/([\w-]+\/(lock)?)?$/,
    fits: vanishes,
  },

  "a DEL is not stopped by CNI_ARGS": {
    why: "a runtime would ask again and again, and the address would never be free",
    in: ["host-local"],
    scenario: /^CNI_ARGS/,
    path: /^1\.(exit|stdout|layout|error|stderr|files\.)/,
  },
  "a range has an end after its start": {
    why: "Go's iterator walks past the end of the subnet and gives out addresses of others",
    in: ["host-local"],
    scenario: /start at the broadcast address, without an end/,
    path: /^0\.(exit|stdout|layout|error|keys|files\.)/,
  },
  "a routing table has a number the kernel takes": {
    why: "Go gives it on as it is, and bridge would put the route elsewhere",
    in: ["host-local"],
    scenario: /^wrong: .*"table":-1/,
    path: /^0\./,
    step: (go, ours) => go.exit === 0 && ours.exit === 1,
  },
  "a DEL needs no ranges": {
    why: "the name and the folder say where to look; a configuration gone wrong must not hold addresses",
    in: ["host-local"],
    scenario: /^DEL with (ranges at fault|no ranges)|^random$/,
    path: /^\d\.(exit|stdout|layout|error|keys|files\.)/,
    step: (go, ours) => ours.did.startsWith("DEL") && go.exit === 1 && ours.exit === 0,
  },
  "a version that is not there is told as 0.1.0": {
    why: "that is what it means",
    in: ["host-local"],
    path: /^\d+\.error\.msg$/,
    fits: (go, ours) => String(go).replace("version  does", "version 0.1.0 does") === ours,
  },
  "last_reserved_ip is made anew": {
    why: "a torn one would lose the place; Go writes over the old file and keeps the mode someone gave it",
    in: ["host-local"],
    path: /last_reserved_ip\.\d+\.mode$/,
    fits: (go, ours) => go === "0644" && ours === "0600",
  },
  "only files that are addresses are removed": {
    why: "nothing else in the folder is ours",
    in: ["host-local"],
    scenario: /files that are no addresses/,
    path: /files\..*\/10\.9\.0\.04$/,
    fits: appears,
  },

  // flannel.
  "the saved delegate knows whose it is": {
    why: "DEL can tell two attachments of one container apart; bridge ignores the keys",
    in: ["flannel", "verbs"],
    path: /^\d+\.files\.\/var\/lib\/cni\/flannel\/.*\.content$/,
    fits: (go, ours) => without(ours, "weft.containerId", "weft.ifName") === go,
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
    in: ["verbs", "flannel"],
    scenario: /^(flannel, 1|today's flannel)/,
    path: /^\d+\.files\.\/var\/lib\/cni\/flannel\//,
    fits: appears,
  },

  // loopback.
  "the guard leaves the node's lo alone": {
    why: "Go's looks when all is done: lo is down by then, or standard output has two objects in it",
    in: ["verbs"],
    scenario: /^loopback in the node's own netns/,
    path: /^0\.(state\.node\.links\.lo\.|stdout$|layout$|error$)/,
    step: (go, ours) => go.exit === 1 && ours.error?.code === 8,
  },
  "loopback's result is of the version it says": {
    why: "Go labels its own structure with the version asked for and does not convert it",
    in: ["verbs"],
    scenario: /^loopback, (no version|0)/,
    path: /^\d+\.stdout\.(ip4|ip6|dns|interfaces|ips(\.\d\.version)?)$/,
  },

  // tuning.
  "what the link had is kept with its network and the node's end": {
    why: "GC must know whose a file is, DEL what else was changed; Go reads the rest of it as its own",
    in: ["tuning"],
    path: /^\d+\.files\.\/run\/(cni|elsewhere)\/tuning\/c0ffee_eth0\.json\.content$/,
    fits: (go, ours) => go === withoutOurKeys(ours),
  },
  "a directory above the kept files is one that others may use": {
    why: "Go makes /run/cni, where many keep their files, with the mode of its own directory",
    in: ["tuning"],
    path: /^\d+\.files\.\/run\/(cni|elsewhere)\/\.mode$/,
    fits: (go, ours) => go === "0600" && ours === "0755",
  },
  "the node's end has the MTU of the container's": {
    why: "larger packets are lost between the two; a bridge's MTU follows its ports",
    in: ["tuning"],
    path: /^\d+\.state\.node\.links\.(veth1|br9)\.((port\.)?mtu|sysctls\.ipv6\/mtu)$/,
    fits: (go, ours) => Number(go) === 1500 && [1300, 1400].includes(Number(ours)),
  },
  "a result tells a MAC as the kernel does": {
    why: "whoever compares it with a link's finds it",
    in: ["tuning"],
    scenario: /^a MAC in capitals$/,
    path: /^1\.stdout\.interfaces\.2\.mac$/,
  },
  "a bridge that would lose its IPv6 is told of": {
    why: "Go changes no bridge's MTU; ours does not below what IPv6 needs, and says so",
    in: ["tuning"],
    scenario: /^args that win$/,
    path: /^1\.stderr$/,
    fits: (go, ours) => go === "empty" && ours === "text",
  },
  "CHECK compares what is meant, not how it is written": {
    why: "the kernel tells a MAC in small letters, and puts tabs between the fields of a setting",
    in: ["tuning"],
    scenario: /^(a MAC in capitals|a value of several fields)$/,
    path: /^2\.(exit|error|stdout|layout)$/,
    step: (go, ours) => ours.did.startsWith("CHECK") && go.exit === 1 && ours.exit === 0,
  },
  "sysctls of args need no others": {
    why: "Go breaks down where the configuration has none of its own",
    in: ["tuning"],
    scenario: /^sysctls of args alone$/,
    path: /^\d+\./,
    step: (go, ours) => go.did !== "ADD bridge" && ours.exit === 0,
  },
  "a second ADD keeps what the first one found": {
    why: "it finds what the first made of the link, and DEL would give that back",
    in: ["tuning"],
    scenario: /^(a second ADD$|CNI_ARGS)/,
    path: /^[23]\.(files|state\.(pods\.pod\.links\.eth0|node\.links\.(veth1|br9)))\./,
  },
  "DEL reads of a configuration what it needs": {
    why: "a configuration or CNI_ARGS that were broken since must not keep an attachment",
    in: ["tuning"],
    scenario: /^DEL with a configuration that is broken$/,
    path: /^[23]\.(exit|error|stdout|layout|files\..*)$/,
    step: (_, ours) => ours.did === "DEL tuning" && ours.exit === 0,
  },
  "DEL removes what it cannot give back": {
    why: "the link went with its netns; the file would stay for ever",
    in: ["tuning"],
    scenario: /^DEL when the netns is gone$/,
    path: /^3\.files\.\/run\/cni\/tuning\/c0ffee_eth0\.json$/,
    fits: vanishes,
  },
  "a sysctl that is a number is told as such": {
    why: "the field and the value are named",
    in: ["tuning"],
    scenario: /^fault: a sysctl that is a number$/,
    path: /^1\.error\.says$/,
  },

  // bandwidth.
  "what a container sends is redirected once": {
    why: "the first redirect takes every packet, so the second of Go's filter never sees one",
    in: ["bandwidth"],
    path: /^\d+\.state\.node\.links\.veth1\.filters\.2\.options\.actions\.1$/,
    fits: vanishes,
  },
  "what an ADD left behind is replaced": {
    why: "Go refuses: a runtime's second try would fail for ever",
    in: ["bandwidth"],
    scenario: /^(a second ADD|a link of its name that nobody uses)$/,
    path: /^2\./,
    step: (go, ours) => ours.did === "ADD bandwidth" && go.exit === 1 && ours.exit === 0,
  },
  "DEL reads no limits": {
    why: "a configuration that was broken since must not keep an attachment",
    in: ["bandwidth"],
    scenario: /^fault: /,
    path: /^2\.(exit|error|stdout|layout)$/,
    step: (go, ours) => ours.did === "DEL bandwidth" && go.exit === 1 && ours.exit === 0,
  },
  "CHECK looks for the bucket and for what leads to it": {
    why: "without them nothing is shaped, and with a link that is down nothing is sent",
    in: ["bandwidth"],
    scenario: /^CHECK finds a damaged (bucket|redirect|ingress|ifb's state)$/,
    path: /^3\.(exit|error|stdout|layout)$/,
    step: (go, ours) => go.exit === 0 && ours.exit === 1,
  },
  "without limits and without a result there is an error": {
    why: "Go breaks down",
    in: ["bandwidth"],
    scenario: /^fault: no result before it$/,
    path: /^2\./,
    step: (go, ours) => go.exit === 2 && ours.exit === 1,
  },
} as const satisfies Record<string, Difference>;
