// bridge: what ADD makes of the node and the pod, what CHECK sees of it, and what DEL leaves.
import { compareAll } from "./compare.ts";
import { allVersions, call } from "./configs.ts";
import { withResult, type Call, type Deed, type Scenario } from "./scenario.ts";

type Conf = Record<string, unknown>;
type Step = Call | Deed;

const v4 = { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }]] };
const v6 = { type: "host-local", ranges: [[{ subnet: "fd00:9::/64" }]] };
const dual = { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/64" }]] };
const bridge = (more: Conf = {}): Conf => ({
  cniVersion: "1.0.0",
  name: "net",
  type: "bridge",
  bridge: "br9",
  ipam: v4,
  ...more,
});
const l2 = (more: Conf = {}): Conf => bridge({ ipam: undefined, ...more });
const second = { pod: "other", env: { CNI_CONTAINERID: "f00d" } } as const;
const add = (conf: Conf, more: Partial<Call> = {}) => call("ADD", "bridge", conf, more);
const del = (conf: Conf, more: Partial<Call> = {}) => call("DEL", "bridge", conf, more);
const check = (conf: Conf, step = 0, more: Partial<Call> = {}) => call("CHECK", "bridge", withResult(conf, step), more);
const shell = (text: string, pod?: string): Deed => (pod === undefined ? { shell: text } : { shell: text, pod });

/** ADD, CHECK, DEL of one configuration. */
const life = (conf: Conf, more: Partial<Call> = {}): Step[] => [add(conf, more), check(conf, 0, more), del(conf, more)];
const node = (name: string, steps: readonly Step[], more: Partial<Scenario> = {}): Scenario => ({
  name,
  look: "node",
  steps,
  ...more,
});

const shapes: Scenario[] = [
  node("IPv4 alone", life(bridge())),
  node("IPv6 alone", life(bridge({ ipam: v6 }))),
  node("dual stack, a gateway", life(bridge({ ipam: dual, isGateway: true }))),
  node("dual stack, the default gateway", life(bridge({ ipam: dual, isDefaultGateway: true }))),
  node(
    "the default gateway, routes beside it",
    life(
      bridge({
        isDefaultGateway: true,
        ipam: {
          ...dual,
          routes: [{ dst: "10.0.0.0/8" }, { dst: "fd00::/16" }, { dst: "192.0.2.0/24", gw: "10.9.0.77" }],
        },
      }),
    ),
  ),
  node(
    "the default gateway, and a default route of IPAM",
    life(bridge({ isDefaultGateway: true, ipam: { ...dual, routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] } })),
  ),
  node(
    "a default route with a gateway of its own",
    life(bridge({ isDefaultGateway: true, ipam: { ...v4, routes: [{ dst: "0.0.0.0/0", gw: "10.9.0.99" }] } })),
  ),
  node(
    "a default route, no gateway of ours",
    life(bridge({ ipam: { ...dual, routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }] } })),
  ),
  node(
    "routes with priority, table and scope",
    life(
      bridge({
        ipam: {
          ...v4,
          routes: [
            { dst: "10.0.0.0/8", priority: 50 },
            { dst: "192.0.2.0/24", table: 100 },
            { dst: "198.51.100.0/24", gw: "10.9.0.1", scope: 0 },
            { dst: "203.0.113.7/32" },
          ],
        },
      }),
    ),
  ),
  node("an IPv4-only pod on a gateway elsewhere", [
    add(
      bridge({
        isGateway: true,
        ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24", gateway: "10.9.0.254" }]] },
      }),
    ),
  ]),
  node(
    "two subnets of one family in one pod",
    life(bridge({ ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.10.0.0/24" }]] } })),
  ),
  node("layer 2 alone", [add(l2()), del(l2())]),
  node("layer 2, an empty IPAM type", [add(l2({ ipam: { type: "" } })), del(l2({ ipam: {} }))]),
  node("layer 2, flags that mean nothing there", [
    add(l2({ isGateway: true, isDefaultGateway: true, mtu: 1400 })),
    del(l2()),
  ]),
  node("the container's link left down", [
    add(l2({ disableContainerInterface: true })),
    del(l2({ disableContainerInterface: true })),
  ]),
  node("an MTU", life(bridge({ mtu: 1400, isGateway: true }))),
  node("a small MTU", [add(bridge({ mtu: 68 }))]),
  node("hairpin", life(bridge({ hairpinMode: true }))),
  node("promiscuous", life(bridge({ promiscMode: true }))),
  node("isolated ports", life(bridge({ portIsolation: true }))),
  node(
    "hairpin and isolated, turned off by the next pod",
    [
      add(bridge({ hairpinMode: true, portIsolation: true })),
      add(bridge(), second),
      del(bridge(), second),
      del(bridge()),
    ],
    { pods: ["pod", "other"] },
  ),
  node("detection of duplicates stays on", [
    add(bridge({ ipam: dual, enabledad: true })),
    del(bridge({ enabledad: true })),
  ]),
  node("dns of IPAM", [
    shell("printf 'nameserver 10.0.0.10\\nsearch a b\\n' >/run/resolv.conf"),
    add(bridge({ ipam: { ...v4, resolvConf: "/run/resolv.conf" } })),
  ]),
  ...([{ nameservers: ["1.1.1.1"] }, { search: [] }, { domain: "d" }, { options: ["ndots:5"] }, {}, null] as const).map(
    (dns, at) =>
      node(`dns of its own, ${at}`, [
        shell("printf 'nameserver 10.0.0.10\\n' >/run/resolv.conf"),
        add(bridge({ dns, ipam: { ...v4, resolvConf: "/run/resolv.conf" } })),
      ]),
  ),
  ...allVersions.flatMap((cniVersion) => [
    node(`two addresses, ${cniVersion}`, [
      add(bridge({ cniVersion, ipam: { ...dual, routes: [{ dst: "0.0.0.0/0" }, { dst: "fd01::/64" }] } })),
    ]),
    node(`routes of another family, and more than an address and a gateway, ${cniVersion}`, [
      add(bridge({ cniVersion, ipam: { ...v4, routes: [{ dst: "fd02::/64" }, { dst: "10.7.0.0/16", priority: 7 }] } })),
    ]),
    node(`layer 2, ${cniVersion}`, [add(l2({ cniVersion }), { says: /cannot convert: no valid IP addresses/ })]),
  ]),
];

const macs: Scenario[] = [
  node("a MAC by CNI_ARGS", life(bridge(), { env: { CNI_ARGS: "IgnoreUnknown=1;MAC=c2:11:22:33:44:55" } })),
  node("a MAC by args", life(bridge({ args: { cni: { mac: "C2-11-22-33-44-56" } } }))),
  node("a MAC by runtimeConfig", life(bridge({ runtimeConfig: { mac: "c211.2233.4457" } }))),
  node(
    "all three: runtimeConfig wins",
    life(bridge({ args: { cni: { mac: "c2:11:22:33:44:56" } }, runtimeConfig: { mac: "c2:11:22:33:44:57" } }), {
      env: { CNI_ARGS: "IgnoreUnknown=1;MAC=c2:11:22:33:44:55" },
    }),
  ),
  node(
    "two: args wins",
    life(bridge({ args: { cni: { mac: "c2:11:22:33:44:56" } } }), {
      env: { CNI_ARGS: "IgnoreUnknown=1;MAC=c2:11:22:33:44:55" },
    }),
  ),
  node("layer 2 and a MAC", [add(l2({ args: { cni: { mac: "c2:11:22:33:44:56" } } }))]),
  ...["junk", "c2:11:22:33:44", "01:00:5e:00:00:01"].map((mac) =>
    node(`a MAC that is none: ${mac}`, [add(bridge({ runtimeConfig: { mac } }), { says: /./ }), del(bridge())]),
  ),
];

/**
 * A bridge whose MAC is any but the one in 64 that is higher than its port's will be, and so is not given up for it. Its index
 * is the same after a second try, too: iproute2's `bridge` calls what a port leads to by what has that index on the node.
 */
const anyBridge =
  "until ip link add br9 index 9 type bridge && ip -br link show br9 | grep -qv ' fe:'; do ip link del br9; done";
/** A netns ends some time after its last name did, on a busy machine tenths of a second. */
const portGone = "while ip -o link show master br9 | grep -q .; do sleep 0.02; done";
const conflict = /already has an IP address different from 10\.9\.0\.1\/24/;
const existing: Scenario[] = [
  node("a bridge that is there", [
    shell(`${anyBridge}; ip link set br9 up mtu 1300`),
    ...life(bridge({ isGateway: true, mtu: 1400 })).map((step) =>
      "verb" in step && step.verb === "CHECK" ? check(bridge({ isGateway: true }), 1) : step,
    ),
  ]),
  node("a bridge that has the address", [
    shell("ip link add br9 address c2:00:00:00:00:09 type bridge; ip addr add 10.9.0.1/24 dev br9"),
    add(bridge({ isGateway: true })),
    del(bridge({ isGateway: true })),
  ]),
  node("a bridge that is there, no gateway of ours", [
    shell(`${anyBridge}; ip link set br9 up`),
    ...life(bridge()).map((step) => ("verb" in step && step.verb === "CHECK" ? check(bridge(), 1) : step)),
  ]),
  node("a bridge with another address", [
    shell("ip link add br9 address c2:00:00:00:00:09 type bridge; ip addr add 10.8.0.1/24 dev br9"),
    add(bridge({ isGateway: true }), { says: conflict }),
  ]),
  node("a bridge with another prefix length", [
    shell("ip link add br9 address c2:00:00:00:00:09 type bridge; ip link set br9 up; ip addr add 10.9.0.1/16 dev br9"),
    add(bridge({ isGateway: true }), { says: conflict }),
  ]),
  node("the same, forced", [
    shell("ip link add br9 address c2:00:00:00:00:09 type bridge; ip addr add 10.9.0.1/16 dev br9"),
    add(bridge({ isGateway: true, forceAddress: true })),
  ]),
  node("an overlapping IPv6 address", [
    shell(
      "ip link add br9 address c2:00:00:00:00:09 type bridge; ip link set br9 up; ip addr add fd00:9::fe/48 dev br9",
    ),
    add(bridge({ isGateway: true, ipam: v6 }), { says: /already has an IP address different from fd00:9::1\/64/ }),
  ]),
  node("an IPv6 address elsewhere", [
    shell(
      "ip link add br9 address c2:00:00:00:00:09 type bridge; ip link set br9 up; ip addr add fd00:8::fe/64 dev br9 nodad",
    ),
    add(bridge({ isGateway: true, ipam: v6 })),
  ]),
  node("a link of that name that is no bridge", [
    shell("ip link add br9 type veth peer name br9p"),
    add(bridge(), { says: /"br9" already exists but is not a bridge/ }),
    del(bridge()),
  ]),
  node("the container's name is taken", [
    shell("ip link add eth0 type veth peer name eth9", "pod"),
    add(bridge(), { says: /container veth name \("eth0"\) peer provided \("veth[^"]*"\) already exists/ }),
  ]),
  node("the same attachment twice", [add(bridge()), add(bridge(), { says: /already exists|duplicate allocation/ })]),
  node("another interface of the container", [
    add(bridge()),
    add(bridge({ isGateway: true }), { env: { CNI_IFNAME: "net1" } }),
    check(bridge(), 0),
    del(bridge(), { env: { CNI_IFNAME: "net1" } }),
    check(bridge(), 0),
    del(bridge()),
  ]),
  node("a long interface name, and an odd one", [
    add(bridge(), { env: { CNI_IFNAME: "a23456789012345" } }),
    add(bridge(), { env: { CNI_IFNAME: "ä~@%" }, says: /^failed to make veth pair: .*invalid argument/ }),
  ]),
  node("two networks on two bridges", [
    add(bridge()),
    add(bridge({ name: "two", bridge: "br10", ipam: { type: "host-local", ranges: [[{ subnet: "10.10.0.0/24" }]] } }), {
      env: { CNI_IFNAME: "net1" },
    }),
    del(bridge()),
  ]),
  node(
    "no address left",
    [
      ...["pod", "other"].map((pod) =>
        add(bridge({ isGateway: true, ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/30" }]] } }), {
          pod,
          env: { CNI_CONTAINERID: pod },
          says: /no IP addresses available in range set: 10\.9\.0\.1-10\.9\.0\.2/,
        }),
      ),
    ],
    { pods: ["pod", "other"] },
  ),
  node("a default bridge name", [add({ cniVersion: "1.0.0", name: "net", type: "bridge", ipam: v4 })]),
  node("forwarding that is on already", [
    shell("echo 1 >/proc/sys/net/ipv4/ip_forward"),
    add(bridge({ isGateway: true })),
  ]),
  node("IPv6 turned off in the pod", [
    shell(
      "echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6",
      "pod",
    ),
    add(bridge({ ipam: dual })),
    del(bridge()),
  ]),
];

const faults: Scenario[] = [
  ...(
    [
      ["hairpin and promiscuous", { hairpinMode: true, promiscMode: true }],
      ["IPAM and a disabled link", { disableContainerInterface: true }],
      ["VLAN 4095", { vlan: 4095 }],
      ["VLAN -1", { vlan: -1 }],
      ["a trunk of nothing", { vlanTrunk: [{}] }, /^failed to create bridge "br9": .*: operation not supported/],
      ["a trunk without a max", { vlanTrunk: [{ minID: 5 }] }],
      ["a trunk without a min", { vlanTrunk: [{ maxID: 5 }] }],
      ["a trunk the wrong way round", { vlanTrunk: [{ minID: 9, maxID: 5 }] }],
      ["a trunk id of 0", { vlanTrunk: [{ id: 0 }] }, /^incorrect trunk id parameter/],
      ["a trunk id of 4095", { vlanTrunk: [{ id: 4095 }] }, /^incorrect trunk id parameter/],
      ["a trunk min of 0", { vlanTrunk: [{ minID: 0, maxID: 5 }] }, /^incorrect trunk minID parameter/],
      ["a trunk max of 4095", { vlanTrunk: [{ minID: 1, maxID: 4095 }] }, /^incorrect trunk maxID parameter/],
    ] satisfies [string, Conf, RegExp?][]
  ).map(([name, conf, says]) =>
    node(`fault: ${name}`, [
      add(bridge(conf), says === undefined ? {} : { says }),
      check(bridge(conf), 0, { says: /./ }),
    ]),
  ),
  node("fault: an empty bridge name", [add(bridge({ bridge: "" }), { says: /./ })]),
  node("fault: a bridge name too long", [add(bridge({ bridge: "b234567890123456" }), { says: /./ })]),
  node("fault: an MTU below what the kernel takes", [add(bridge({ mtu: 67 }), { says: /./ })]),
  node("fault: an IPAM plugin that is not there", [
    add(bridge({ ipam: { type: "nothing" } }), { says: /failed to find plugin "nothing" in path \[\/run\/bin\/\w+\]/ }),
    del(bridge({ ipam: { type: "nothing" } }), { says: /failed to find plugin "nothing" in path/ }),
  ]),
  node("fault: an IPAM plugin with a slash", [
    add(bridge({ ipam: { type: "a/b" } }), { says: /invalid plugin name: a\/b/ }),
  ]),
  node("fault: IPAM that answers junk", [
    shell("mkdir /run/bin/x; printf '#!/bin/sh\\necho junk' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam"),
    add(bridge({ ipam: { type: "ipam" } }), { env: { CNI_PATH: "/run/bin/x" }, says: /./ }),
  ]),
  ...["0.2.0", "0.4.0", "1.1.0"].flatMap((said) =>
    ["0.2.0", "0.4.0", "1.0.0"].map((cniVersion) =>
      node(`IPAM that answers in ${said}, asked in ${cniVersion}`, [
        shell(
          `mkdir /run/bin/x; printf '#!/bin/sh\\necho \\047{"cniVersion":"${said}","ips":[{"version":"4","address":"10.9.0.5/24"}],"ip4":{"ip":"10.9.0.5/24"}}\\047' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam`,
        ),
        add(bridge({ cniVersion, ipam: { type: "ipam" } }), { env: { CNI_PATH: "/run/bin/x" } }),
      ]),
    ),
  ),
  node("fault: IPAM that answers in a version to come", [
    shell(
      `mkdir /run/bin/x; printf '#!/bin/sh\\necho \\047{"cniVersion":"9.0.0"}\\047' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam`,
    ),
    add(bridge({ ipam: { type: "ipam" } }), {
      env: { CNI_PATH: "/run/bin/x" },
      says: /unsupported CNI result version "9\.0\.0"/,
    }),
  ]),
  node("fault: IPAM without an address", [
    shell("mkdir /run/bin/x; printf '#!/bin/sh\\necho {}' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam"),
    add(bridge({ ipam: { type: "ipam" } }), {
      env: { CNI_PATH: "/run/bin/x" },
      says: /IPAM plugin returned missing IP config/,
    }),
  ]),
  node("fault: IPAM that fails in silence", [
    shell("mkdir /run/bin/x; printf '#!/bin/sh\\nexit 3' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam"),
    add(bridge({ ipam: { type: "ipam" } }), {
      env: { CNI_PATH: "/run/bin/x" },
      says: /netplugin failed with no error message/,
    }),
  ]),
  node("fault: IPAM that fails with a word", [
    shell("mkdir /run/bin/x; printf '#!/bin/sh\\necho oh >&2; exit 3' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam"),
    add(bridge({ ipam: { type: "ipam" } }), {
      env: { CNI_PATH: "/run/bin/x" },
      says: /netplugin failed: "oh\\n"/,
    }),
  ]),
  node("fault: IPAM that fails with a code", [
    shell(
      'mkdir /run/bin/x; printf \'#!/bin/sh\\necho \\x27{"code":123,"msg":"no","details":"more"}\\x27; exit 1\' >/run/bin/x/ipam; chmod +x /run/bin/x/ipam',
    ),
    add(bridge({ ipam: { type: "ipam" } }), { env: { CNI_PATH: "/run/bin/x" }, says: /no.*more/s }),
  ]),
  node("fault: no netns", [
    add(bridge(), {
      pod: "gone",
      says: /failed to open netns "\/run\/netns\/gone": failed to Statfs "\/run\/netns\/gone": no such file or directory/,
    }),
  ]),
  node("fault: a netns that is a file", [
    shell("touch /run/netns/file"),
    add(bridge(), { pod: "file", says: /unknown FS magic on "\/run\/netns\/file"/ }),
  ]),
  node("fault: a route that cannot be", [
    add(bridge({ ipam: { ...v4, routes: [{ dst: "10.0.0.0/8", gw: "10.9.0.1", scope: 254 }] } }), {
      says: /failed to add route '.*10\.0\.0\.0.* via 10\.9\.0\.1 dev eth0 metric 0 \(Scope: host, Table: 0\)': .*invalid argument/,
    }),
  ]),
  node("a gateway outside the subnet", [
    add(bridge({ ipam: { ...v4, routes: [{ dst: "10.0.0.0/8", gw: "192.0.2.1" }] } }), { says: /failed to add route/ }),
    del(bridge()),
  ]),
];

/** Their texts are Go's types' names; here only that both say no. */
const wrongTypes: Scenario[] = [
  { bridge: 1 },
  { isGateway: "true" },
  { isDefaultGateway: 1 },
  { forceAddress: "x" },
  { ipMasq: "no" },
  { mtu: "1400" },
  { mtu: 1400.0001 },
  { hairpinMode: [] },
  { promiscMode: {} },
  { vlan: "5" },
  { vlan: 1e3 + 0.5 },
  { vlanTrunk: {} },
  { vlanTrunk: [5] },
  { vlanTrunk: [{ id: "5" }] },
  { ipam: "x" },
  { ipam: { type: 1 } },
  { dns: [] },
  { dns: { nameservers: "x" } },
  { args: 1 },
  { args: { cni: { mac: 1 } } },
  { runtimeConfig: { mac: 1 } },
  { runtimeConfig: [] },
  { enabledad: 0 },
  { portIsolation: "1" },
  { prevResult: 1 },
  { ipMasqBackend: 1 },
  { capabilities: [] },
].map((keys) => node(`wrong: ${JSON.stringify(keys)}`, [add(bridge(keys), { says: /./ })]));

const rightTypes: Scenario[] = [
  {
    isGateway: null,
    mtu: null,
    bridge: null,
    vlan: null,
    vlanTrunk: null,
    ipam: null,
    dns: null,
    args: null,
    runtimeConfig: null,
  },
  { IsGateway: true, MTU: 1400, HAIRPINMODE: true, Bridge: "br7" },
  { capabilities: { mac: true }, unknown: [1] },
  { mtu: 0, vlan: 0 },
  { mtu: -5 },
].map((keys) => node(`right: ${JSON.stringify(keys)}`, [add(bridge(keys), { says: /./ })]));

const gone: Scenario[] = [
  node("DEL before ADD", [del(bridge()), del(l2())]),
  node("DEL three times", [add(bridge({ isGateway: true })), del(bridge()), del(bridge()), del(bridge())]),
  node("DEL with an empty netns, the pod still there", [
    add(bridge()),
    del(bridge(), { env: { CNI_NETNS: "" } }),
    del(bridge()),
  ]),
  node("DEL after the netns has gone", [
    add(bridge()),
    shell(`umount /run/netns/pod; rm /run/netns/pod; ${portGone}`),
    del(bridge()),
    del(bridge(), { env: { CNI_NETNS: "" } }),
  ]),
  node("DEL when only a file is left of the netns", [
    add(bridge()),
    shell(`umount /run/netns/pod; ${portGone}`),
    del(bridge()),
  ]),
  node("DEL of another attachment", [
    add(bridge()),
    del(bridge(), { env: { CNI_CONTAINERID: "other" } }),
    del(bridge(), { env: { CNI_IFNAME: "net1" } }),
  ]),
  node("DEL with CNI_ARGS that are junk", [add(bridge()), del(bridge(), { env: { CNI_ARGS: ";" } })]),
  node("DEL with a VLAN out of range", [add(bridge()), del(bridge({ vlan: 5000 }))]),
  node("DEL with values of the wrong type", [add(bridge()), del(bridge({ mtu: "1400", vlan: {}, args: 1 }))]),
  node("DEL with a prevResult of another family", [
    add(bridge()),
    del(bridge({ prevResult: { cniVersion: "0.4.0", ips: [] } })),
  ]),
];

const guard = { env: { CNI_NETNS: "/run/netns/node" } } as const;
const guarded: Scenario[] = [
  node("the node's own netns", [
    add(bridge({ isGateway: true }), {
      ...guard,
      says: /plugin's netns and netns from CNI_NETNS should not be the same/,
    }),
  ]),
  node("the node's own netns, DEL", [
    shell("ip link add eth0 type veth peer name eth9"),
    del(bridge(), { ...guard, says: /plugin's netns and netns from CNI_NETNS should not be the same/ }),
  ]),
  node("the guard overridden", [add(bridge(), { env: { ...guard.env, CNI_NETNS_OVERRIDE: "TRUE" } })]),
];

const damage = (name: string, shellText: string, pod?: string) =>
  node(`CHECK after damage: ${name}`, [
    add(bridge({ isDefaultGateway: true, hairpinMode: true })),
    shell(shellText, pod),
    check(bridge({ isDefaultGateway: true, hairpinMode: true }), 0, { says: /./ }),
  ]);
const damaged: Scenario[] = [
  damage("the pod's link is gone", "ip link del eth0", "pod"),
  damage("the pod's address is gone", "ip -4 addr flush dev eth0", "pod"),
  damage(
    "another prefix length",
    "ip addr del 10.9.0.2/24 dev eth0; ip addr add 10.9.0.2/16 dev eth0; ip route add default via 10.9.0.1",
    "pod",
  ),
  damage("the default route is gone", "ip route del default", "pod"),
  damage("another MAC in the pod", "ip link set eth0 address c2:00:00:00:00:01", "pod"),
  damage("the bridge is gone", "ip link del br9"),
  damage("another MAC on the bridge", "ip link set br9 address c2:00:00:00:00:01"),
  damage(
    "the port has left the bridge",
    "for each in $(ls /sys/class/net/br9/brif); do ip link set $each nomaster; done",
  ),
  damage("the store has lost the address", "rm /var/lib/cni/networks/net/10.9.0.2"),
  node("CHECK without a prevResult", [
    add(bridge()),
    call("CHECK", "bridge", bridge(), { says: /Required prevResult missing/ }),
  ]),
  node("CHECK with another netns in the prevResult", [add(bridge()), check(bridge(), 0, { pod: "other", says: /./ })], {
    pods: ["pod", "other"],
  }),
  node("CHECK with a prevResult of another family", [
    add(bridge()),
    call("CHECK", "bridge", bridge({ prevResult: { cniVersion: "0.4.0" } }), {
      says: /could not parse prevResult|unmarshalled CNIVersion/,
    }),
  ]),
  node("CHECK of a layer 2 attachment", [add(l2()), check(l2())]),
];

compareAll("bridge", [
  ...shapes,
  ...macs,
  ...existing,
  ...faults,
  ...wrongTypes,
  ...rightTypes,
  ...gone,
  ...guarded,
  ...damaged,
]);
