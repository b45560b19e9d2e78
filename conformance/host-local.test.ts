// host-local: which address comes next, and the files that say who holds it, byte for byte.
import { compareAll } from "./compare.ts";
import { call, hostLocal } from "./configs.ts";
import { withResult, type Call, type Deed, type Scenario } from "./scenario.ts";

type Conf = Record<string, unknown>;

const store = "/var/lib/cni/networks/net";
/** A store as other calls would have left it. */
const holding = (addresses: readonly string[], last: Record<string, string> = {}): Deed => ({
  shell: [
    `mkdir -p ${store}`,
    ...addresses.map((address) => `printf 'other\\r\\neth0' >${store}/${address}; chmod 0600 ${store}/${address}`),
    ...Object.entries(last).map(
      ([set, address]) =>
        `printf %s ${address} >${store}/last_reserved_ip.${set}; chmod 0600 ${store}/last_reserved_ip.${set}`,
    ),
  ].join("\n"),
});
const add = (conf: Conf, more: Partial<Call> = {}) => call("ADD", "host-local", conf, more);
const del = (conf: Conf, more: Partial<Call> = {}) => call("DEL", "host-local", conf, more);
const id = (name: string, ifName = "eth0") => ({ env: { CNI_CONTAINERID: name, CNI_IFNAME: ifName } });
const many = (conf: Conf, count: number) => Array.from({ length: count }, (_, index) => add(conf, id(`c${index}`)));

const small = hostLocal({ subnet: "10.9.0.0/29" });
const pair = hostLocal({ ranges: [[{ subnet: "10.9.0.0/30" }, { subnet: "10.9.1.0/30" }]] });
const dual = hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/64" }]] });

const choosing: Scenario[] = [
  { name: "first of a subnet", steps: [add(small)] },
  { name: "the second, when it is taken", steps: [holding(["10.9.0.2"]), add(small)] },
  { name: "after the last one given", steps: [holding(["10.9.0.3", "10.9.0.4"], { 0: "10.9.0.2" }), add(small)] },
  {
    name: "round to the last one itself",
    steps: [holding(["10.9.0.2", "10.9.0.4", "10.9.0.5", "10.9.0.6"], { 0: "10.9.0.3" }), add(small)],
  },
  { name: "a last one from elsewhere", steps: [holding([], { 0: "10.9.7.7" }), add(small)] },
  { name: "a last one that is no address", steps: [holding([], { 0: "junk" }), add(small)] },
  { name: "an empty last one", steps: [holding([], { 0: "''" }), add(small)] },
  {
    name: "a last one with a newline",
    steps: [holding([]), { shell: `echo 10.9.0.4 >${store}/last_reserved_ip.0` }, add(small)],
  },
  {
    name: "a last one that is a folder",
    steps: [{ shell: `mkdir -p ${store}/last_reserved_ip.0` }, add(small, { says: /last_reserved_ip/ })],
  },
  { name: "the next range of the set", steps: [holding([], { 0: "10.9.0.2" }), add(pair)] },
  { name: "first of an IPv6 subnet", steps: [add(hostLocal({ subnet: "fd00:9::/64" }))] },
  {
    name: "IPv6 in other spellings",
    steps: [
      add(hostLocal({ subnet: "FD00:0009:0:0::/64", rangeStart: "FD00:9:0:0::0a00" })),
      holding(["fd00:9::a01"]),
      add(hostLocal({ subnet: "fd00:9::/64", rangeStart: "fd00:9::a00" }), id("two")),
    ],
  },
  { name: "IPv6 /120 to its last address", steps: many(hostLocal({ subnet: "fd00:9::/126" }), 4) },
  { name: "a gateway of one's own", steps: many(hostLocal({ subnet: "10.9.0.0/30", gateway: "10.9.0.2" }), 2) },
  { name: "a gateway in the middle", steps: many(hostLocal({ subnet: "10.9.0.0/29", gateway: "10.9.0.3" }), 6) },
  { name: "a gateway outside", steps: many(hostLocal({ subnet: "10.9.0.0/30", gateway: "10.8.0.1" }), 3) },
  { name: "a subnet to its end and round", steps: [...many(small, 6), del(small, id("c2")), add(small, id("again"))] },
  { name: "two ranges of a set to their end", steps: many(pair, 4) },
  {
    name: "start and end",
    steps: many(hostLocal({ subnet: "10.9.0.0/24", rangeStart: "10.9.0.10", rangeEnd: "10.9.0.12" }), 4),
  },
  {
    name: "start at the network, end at the broadcast",
    steps: many(
      hostLocal({ subnet: "10.9.0.0/30", rangeStart: "10.9.0.0", rangeEnd: "10.9.0.3", gateway: "10.8.0.1" }),
      5,
    ),
  },
  {
    name: "ranges of one address",
    steps: many(hostLocal({ ranges: [[{ subnet: "10.9.0.0/24", rangeStart: "10.9.0.5", rangeEnd: "10.9.0.5" }]] }), 2),
  },
  {
    name: "the gateway of another range of the set",
    steps: many(
      hostLocal({ ranges: [[{ subnet: "10.9.0.0/30", gateway: "10.9.1.2" }, { subnet: "10.9.1.0/30" }]] }),
      4,
    ),
  },
  { name: "dual stack", steps: [...many(dual, 3), del(dual, id("c1")), add(dual, id("new"))] },
  {
    name: "two sets of one family",
    steps: [add(hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.10.0.0/24" }]] }))],
  },
  {
    name: "IPv6 first, and only",
    steps: [
      add(hostLocal({ ranges: [[{ subnet: "fd00:9::/64" }]] })),
      add(hostLocal({ ranges: [[{ subnet: "fd00:8::/64" }], [{ subnet: "10.9.0.0/24" }]] }), id("two")),
    ],
  },
  {
    name: "the old form before the new",
    steps: [add(hostLocal({ subnet: "10.9.0.0/24", ranges: [[{ subnet: "fd00:9::/64" }]] }))],
  },
  {
    name: "ranges a runtime asks for",
    steps: [
      add(
        hostLocal(
          { subnet: "10.9.0.0/24" },
          { runtimeConfig: { ipRanges: [[{ subnet: "fd00:9::/64" }], [{ subnet: "10.10.0.0/24" }]] } },
        ),
      ),
    ],
  },
  {
    name: "the second set has none left",
    steps: [
      holding(["fd00:9::2"]),
      add(hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/126", rangeEnd: "fd00:9::2" }]] })),
    ],
  },
  {
    name: "a range start without a subnet",
    steps: [add(hostLocal({ rangeStart: "10.9.0.4", ranges: [[{ subnet: "10.9.0.0/29" }]] }))],
  },
];

const asking: Scenario[] = [
  {
    name: "by CNI_ARGS",
    steps: [
      add(small, { env: { CNI_ARGS: "IP=10.9.0.5" } }),
      add(small, { env: { CNI_ARGS: "IP=10.9.0.5/29", CNI_CONTAINERID: "two" } }),
    ],
  },
  {
    name: "by CNI_ARGS among kubelet's",
    steps: [
      add(small, { env: { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;IP=10.9.0.6;K8S_POD_UID=c" } }),
    ],
  },
  { name: "by args", steps: [add({ ...small, args: { cni: { ips: ["10.9.0.4"] } } })] },
  { name: "by runtimeConfig, with a prefix", steps: [add({ ...small, runtimeConfig: { ips: ["10.9.0.4/24"] } })] },
  {
    name: "by all three, one each",
    steps: [
      add(
        {
          ...hostLocal({
            ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.10.0.0/24" }], [{ subnet: "fd00:9::/64" }]],
          }),
          args: { cni: { ips: ["10.10.0.7"] } },
          runtimeConfig: { ips: ["fd00:9::7"] },
        },
        { env: { CNI_ARGS: "IP=10.9.0.7" } },
      ),
    ],
  },
  {
    name: "the same by two",
    steps: [add({ ...small, args: { cni: { ips: ["10.9.0.4"] } }, runtimeConfig: { ips: ["10.9.0.4"] } })],
  },
  { name: "for one of two families", steps: [add({ ...dual, runtimeConfig: { ips: ["fd00:9::99"] } })] },
  { name: "the gateway", steps: [add({ ...small, runtimeConfig: { ips: ["10.9.0.1"] } })] },
  { name: "one outside", steps: [add({ ...small, runtimeConfig: { ips: ["10.8.0.1"] } })] },
  {
    name: "one outside, after the first set has given",
    steps: [add({ ...dual, runtimeConfig: { ips: ["fd00:8::1"] } })],
  },
  {
    name: "one that is taken",
    steps: [holding(["10.9.0.4"]), add({ ...small, runtimeConfig: { ips: ["10.9.0.4"] } })],
  },
  {
    name: "the next after one asked for",
    steps: [add({ ...small, runtimeConfig: { ips: ["10.9.0.5"] } }), add(small, id("two"))],
  },
  {
    name: "another one for the same attachment",
    steps: [add(small), add({ ...small, runtimeConfig: { ips: ["10.9.0.5"] } })],
  },
  { name: "the broadcast address", steps: [add({ ...small, runtimeConfig: { ips: ["10.9.0.7"] } })] },
  { name: "an IPv4-mapped one", steps: [add({ ...small, runtimeConfig: { ips: ["::ffff:10.9.0.4"] } })] },
  {
    name: "what is no address",
    steps: ["10.9.0", "junk", "10.9.0.04", "10.9.0.4/33", "fe80::1%eth0", ""].map((ip) =>
      add({ ...small, runtimeConfig: { ips: [ip] } }, { says: /cannot understand ip|invalid|parse/i }),
    ),
  },
];

const args: Scenario[] = [
  "IP=junk",
  "IP=",
  "=",
  "IP",
  "IP=10.9.0.4;",
  ";",
  "a=b",
  "IgnoreUnknown=1;a=b",
  "IgnoreUnknown=true;a=b",
  "IgnoreUnknown=TRUE;a=b",
  "IgnoreUnknown=yes;a=b",
  "IgnoreUnknown=0;a=b",
  "ignoreunknown=1;a=b",
  "ip=10.9.0.4",
  "IP=10.9.0.4=5",
  "IP=10.9.0.4;IP=10.9.0.5",
  "a=b;IgnoreUnknown=1",
  " IP=10.9.0.4",
  "IgnoreUnknown=1;IP= 10.9.0.4",
  "IgnoreUnknown=;IP=10.9.0.4",
  "IgnoreUnknown=1;;IP=10.9.0.4",
  "IP=10.9.0.4,10.9.0.5",
  "IP=fd00::4",
].map((text) => ({
  name: `CNI_ARGS "${text}"`,
  steps: [
    add(small, {
      env: { CNI_ARGS: text },
      says: /ARGS: (invalid pair|unknown args|error parsing)|cannot understand ip|failed to allocate all requested IPs/,
    }),
    del(small, { env: { CNI_ARGS: text } }),
  ],
}));

const faults: Scenario[] = (
  [
    ["no ipam", { cniVersion: "1.0.0", name: "net" }],
    ["null ipam", { cniVersion: "1.0.0", name: "net", ipam: null }],
    ["no ranges", hostLocal({})],
    ["an empty list of sets", hostLocal({ ranges: [] })],
    ["an empty set", hostLocal({ ranges: [[]] })],
    ["a range without a subnet", hostLocal({ ranges: [[{}]] })],
    ["a /31", hostLocal({ subnet: "10.9.0.0/31" })],
    ["a /32", hostLocal({ subnet: "10.9.0.0/32" })],
    ["a /127", hostLocal({ subnet: "fd00:9::/127" })],
    ["host bits", hostLocal({ subnet: "10.9.0.1/24" })],
    ["host bits, IPv6", hostLocal({ subnet: "fd00:9::1/64" })],
    [
      "an IPv4-mapped subnet",
      hostLocal({ subnet: "::ffff:10.9.0.0/120" }),
      /IPNet IP and Mask version mismatch|invalid CIDR address: ::ffff:10\.9\.0\.0\/120/,
    ],
    ["start outside", hostLocal({ subnet: "10.9.0.0/24", rangeStart: "10.8.0.1" })],
    ["end outside", hostLocal({ subnet: "10.9.0.0/24", rangeEnd: "10.8.0.1" })],
    ["start after end", hostLocal({ subnet: "10.9.0.0/24", rangeStart: "10.9.0.9", rangeEnd: "10.9.0.8" })],
    ["start of the other family", hostLocal({ subnet: "10.9.0.0/24", rangeStart: "fd00::1" })],
    ["end before the default start", hostLocal({ subnet: "10.9.0.0/24", rangeEnd: "10.9.0.0" })],
    ["families mixed in a set", hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }, { subnet: "fd00:9::/64" }]] })],
    ["overlap in a set", hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }, { subnet: "10.9.0.0/25" }]] })],
    ["overlap of sets", hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.9.0.128/25" }]] })],
    [
      "overlap of the old form and the new",
      hostLocal({ subnet: "10.9.0.0/24", ranges: [[{ subnet: "10.9.0.0/24" }]] }),
    ],
    ["the second set is at fault", hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.8.0.1/24" }]] })],
    [
      "two of one family in 0.2.0",
      hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.8.0.0/24" }]] }, { cniVersion: "0.2.0" }),
    ],
    [
      "two of one family, no version",
      hostLocal({ ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "10.8.0.0/24" }]] }, { cniVersion: undefined }),
    ],
    ["no resolv.conf", hostLocal({ subnet: "10.9.0.0/24", resolvConf: "/run/nothing" })],
  ] satisfies [string, Conf, RegExp?][]
).map(([name, conf, says]) => ({
  name: `fault: ${name}`,
  steps: [add(conf, says === undefined ? {} : { says }), call("CHECK", "host-local", conf, { says: /./ })],
}));

/** What Go's decoder says of these is of Go's types; here only that it says no, and touches nothing. */
const wrongTypes: Scenario[] = [
  { ipam: "host-local" },
  { ipam: [] },
  { ipam: 1 },
  { ipam: { subnet: 1 } },
  { ipam: { subnet: "10.9.0.0" } },
  { ipam: { subnet: "10.09.0.0/24" } },
  { ipam: { subnet: "" } },
  { ipam: { ranges: {} } },
  { ipam: { ranges: [{ subnet: "10.9.0.0/24" }] } },
  { ipam: { ranges: [[{ subnet: "10.9.0.0/24", gateway: "x" }]] } },
  { ipam: { subnet: "10.9.0.0/24", routes: {} } },
  { ipam: { subnet: "10.9.0.0/24", routes: [{ dst: "10.0.0.0" }] } },
  { ipam: { subnet: "10.9.0.0/24", routes: [{ dst: "10.0.0.0/8", gw: "x" }] } },
  { ipam: { subnet: "10.9.0.0/24", routes: [{ dst: "10.0.0.0/8", mtu: "9" }] } },
  { ipam: { subnet: "10.9.0.0/24", routes: [{ dst: "10.0.0.0/8", mtu: 1.5 }] } },
  { ipam: { subnet: "10.9.0.0/24", routes: [{ dst: "10.0.0.0/8", table: -1 }] } },
  { ipam: { subnet: "10.9.0.0/24", dataDir: 1 } },
  { ipam: { subnet: "10.9.0.0/24" }, args: 1 },
  { ipam: { subnet: "10.9.0.0/24" }, args: { cni: { ips: "10.9.0.4" } } },
  { ipam: { subnet: "10.9.0.0/24" }, runtimeConfig: { ips: [1] } },
  { ipam: { subnet: "10.9.0.0/24" }, runtimeConfig: { ipRanges: [{ subnet: "10.8.0.0/24" }] } },
  { ipam: { subnet: "10.9.0.0/24", type: 1 } },
  { ipam: { subnet: "10.9.0.0/24" }, type: 1 },
  { ipam: { subnet: "10.9.0.0/24" }, prevResult: "x" },
].map((keys) => ({
  name: `wrong: ${JSON.stringify(keys)}`,
  steps: [add({ cniVersion: "1.0.0", name: "net", ...keys }, { says: /./ })],
}));

const rightTypes: Scenario[] = [
  { ipam: { subnet: "10.9.0.0/24", gateway: "", rangeStart: "" } },
  { ipam: { subnet: "10.9.0.0/24", gateway: null, ranges: null, routes: null, dataDir: null, resolvConf: null } },
  { IPAM: { SUBNET: "10.9.0.0/24", RangeStart: "10.9.0.9" } },
  { ipam: { subnet: "10.9.0.0/24", routes: [] } },
  { ipam: { subnet: "10.9.0.0/24" }, args: null, runtimeConfig: null },
  { ipam: { subnet: "10.9.0.0/24" }, args: { cni: null } },
  { ipam: { subnet: "10.9.0.0/24" }, unknown: { a: [1.5, null] } },
  { ipam: { subnet: "10.9.0.0/24" }, dns: { nameservers: ["1.1.1.1"] } },
  { ipam: { subnet: "10.9.0.0/24" }, runtimeConfig: { ips: [] } },
  { ipam: { subnet: "::ffff:10.9.0.0/24" } },
  { ipam: { type: "", subnet: "10.9.0.0/24" } },
].map((keys) => ({
  name: `right: ${JSON.stringify(keys)}`,
  steps: [add({ cniVersion: "1.0.0", name: "net", ...keys }, { says: /./ })],
}));

const resolvConf =
  "# comment\n; comment\n\n  nameserver 10.0.0.10  \nnameserver fd00::10 trailing\nnameserver\ndomain one\ndomain two\nsearch a b\nsearch c\noptions ndots:5 timeout:1\nsortlist 1.2.3.4\n";
const printing: Scenario[] = [
  ...["0.1.0", "0.2.0", "0.3.1", "1.0.0", "1.1.0"].flatMap((cniVersion): Scenario[] => [
    {
      name: `routes with all fields and resolv.conf, ${cniVersion}`,
      steps: [
        { shell: `printf '${resolvConf.replaceAll("\n", "\\n")}' >/run/resolv.conf` },
        add(
          hostLocal(
            {
              ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/64", gateway: "fd00:9::fe" }]],
              routes: [
                { dst: "0.0.0.0/0" },
                { dst: "10.1.2.3/16", gw: "10.9.0.254", mtu: 1400, advmss: 1360, priority: 7, table: 100, scope: 0 },
                { dst: "::/0", gw: "FD00:9::1", mtu: 0, table: 0, scope: 253 },
              ],
              resolvConf: "/run/resolv.conf",
            },
            { cniVersion },
          ),
        ),
      ],
    },
  ]),
  {
    name: "texts that need escapes",
    steps: [
      { shell: "printf 'search a<b>&c\\042d\\n' >/run/resolv.conf" },
      add(hostLocal({ subnet: "10.9.0.0/24", resolvConf: "/run/resolv.conf" })),
    ],
  },
  {
    name: "another data folder, deep",
    steps: [
      add(hostLocal({ subnet: "10.9.0.0/24", dataDir: "/run/a/b/c" })),
      del(hostLocal({ subnet: "10.9.0.0/24", dataDir: "/run/a/b/c" })),
    ],
  },
];

const owning: Scenario[] = [
  { name: "twice the same", steps: [add(small), add(small)] },
  {
    name: "two interfaces of one container",
    steps: [
      add(small),
      add(small, id("c0ffee", "net1")),
      del(small),
      call("CHECK", "host-local", small, id("c0ffee", "net1")),
      del(small, id("c0ffee", "net1")),
    ],
  },
  { name: "twice the same, dual stack", steps: [add(dual), add(dual)] },
  {
    name: "a bare id of an old version",
    steps: [
      { shell: `mkdir -p ${store}; printf c0ffee >${store}/10.9.0.4` },
      call("CHECK", "host-local", small),
      add(small),
      del(small),
    ],
  },
  {
    name: "a bare id of another container",
    steps: [
      { shell: `mkdir -p ${store}; printf c0ffee2 >${store}/10.9.0.2` },
      add(small),
      del(small),
      del(small, id("c0ffee2")),
    ],
  },
  {
    name: "white space round an owner",
    steps: [
      { shell: `mkdir -p ${store}; printf ' c0ffee\\r\\neth0 \\n' >${store}/10.9.0.4` },
      call("CHECK", "host-local", small),
      del(small),
    ],
  },
  {
    name: "an empty file is taken",
    steps: [{ shell: `mkdir -p ${store}; : >${store}/10.9.0.2` }, add(small), del(small)],
  },
  {
    name: "files that are no addresses",
    steps: [
      { shell: `mkdir -p ${store}; printf x >${store}/notes; printf 'c0ffee\\r\\neth0' >${store}/10.9.0.04` },
      add(small),
      del(small),
    ],
  },
  {
    name: "DEL three times, and without a netns",
    steps: [
      add(small),
      del(small),
      del(small, { env: { CNI_NETNS: "" } }),
      del(small, { env: { CNI_NETNS: undefined } }),
      del(small, { pod: "gone" }),
    ],
  },
  { name: "DEL before ADD", steps: [del(small)] },
  {
    name: "CHECK after ADD, after DEL",
    steps: [
      add(small),
      call("CHECK", "host-local", withResult(small, 0)),
      del(small),
      call("CHECK", "host-local", small),
    ],
  },
  { name: "CHECK of another", steps: [add(small), call("CHECK", "host-local", small, id("other"))] },
  {
    name: "networks have stores of their own",
    steps: [add(small), add({ ...small, name: "other" }), del({ ...small, name: "other" })],
  },
  {
    name: "a store that was made by hand",
    steps: [
      { shell: `mkdir -p ${store}; chmod 0700 ${store}; : >${store}/lock; chmod 0644 ${store}/lock` },
      add(small),
    ],
  },
  {
    name: "the store is a file",
    steps: [
      { shell: "mkdir -p /var/lib/cni/networks; : >/var/lib/cni/networks/net" },
      add(small, { says: /not a directory|exists/ }),
    ],
  },
  {
    name: "Go's store, ours to clean",
    steps: [
      add(small, { byGo: true }),
      add(small, { byGo: true, ...id("two") }),
      add(small, id("three")),
      del(small),
      del(small, id("two")),
      add(small, { byGo: true, ...id("four") }),
    ],
  },
  {
    name: "our store, Go's to clean",
    steps: [
      add(dual),
      add(dual, id("two")),
      add(dual, { byGo: true, ...id("three") }),
      call("CHECK", "host-local", dual, { byGo: true }),
      del(dual, { byGo: true }),
      del(dual, { byGo: true, ...id("two") }),
      del(dual, id("three")),
    ],
  },
];

const beyondGo: Scenario[] = [
  {
    name: "start at the broadcast address, without an end",
    steps: [add(hostLocal({ subnet: "10.9.0.0/30", rangeStart: "10.9.0.3" }), { says: /10\.9\.0\.3/ })],
  },
  { name: "DEL with ranges at fault", steps: [add(small), del(hostLocal({ subnet: "10.9.0.1/29" }))] },
  { name: "DEL with no ranges", steps: [add(small), del(hostLocal({}))] },
];

compareAll("host-local", [
  ...choosing,
  ...asking,
  ...args,
  ...faults,
  ...wrongTypes,
  ...rightTypes,
  ...printing,
  ...owning,
  ...beyondGo,
]);
