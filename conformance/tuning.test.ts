// tuning behind bridge: what it changes, what it keeps, and what it gives back, beside Go's.
import { compareAll } from "./compare.ts";
import { allVersions, call } from "./configs.ts";
import { withResult, type Call, type Scenario } from "./scenario.ts";

type Conf = Record<string, unknown>;

const bridge = (cniVersion: string): Conf => ({
  cniVersion,
  name: "net",
  type: "bridge",
  bridge: "br9",
  ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }]] },
});
const tuning = (conf: Conf, cniVersion = "1.1.0"): Conf => ({ cniVersion, name: "net", type: "tuning", ...conf });

const mac = "0a:58:0a:09:00:63";
const everything = {
  mac,
  mtu: 1400,
  promisc: true,
  allmulti: true,
  txQLen: 321,
  sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1", "net/ipv4/conf/all/log_martians": "1" },
};

/** Go's bridge, in our run, too: what is compared is what comes after it. */
const attach = (cniVersion = "1.1.0"): Call => call("ADD", "bridge", bridge(cniVersion), { byGo: true });

/** A container of bridge's, whose ADD is step 0, tuned by step 1. */
function chain(conf: Conf, cniVersion = "1.1.0", more: Partial<Call> = {}): Scenario["steps"] {
  return [attach(cniVersion), call("ADD", "tuning", withResult(tuning(conf, cniVersion), 0), more)];
}

const after = (verb: string, conf: Conf, cniVersion = "1.1.0", more: Partial<Call> = {}): Call =>
  call(verb, "tuning", withResult(tuning(conf, cniVersion), 1), more);

const lives: Scenario[] = allVersions.map((version) => ({
  name: `a life, ${version}`,
  look: "node",
  steps: [
    ...chain(everything, version),
    after("CHECK", everything, version, { says: /does not allow CHECK/ }),
    after("DEL", everything, version),
    after("DEL", everything, version),
    call("DEL", "tuning", tuning(everything, version)),
  ],
}));

const parts: Scenario[] = Object.entries<Conf>({
  nothing: {},
  "a MAC": { mac },
  "a MAC in capitals": { mac: mac.toUpperCase() },
  "an MTU": { mtu: 1300 },
  "an MTU, for one end": { mtu: 1300, peerMtu: false },
  "promiscuous mode": { promisc: true },
  "promiscuous mode that is not asked for": { promisc: false },
  "all-multicast mode, on": { allmulti: true },
  "all-multicast mode, off": { allmulti: false },
  "a queue": { txQLen: 0 },
  "a directory": { dataDir: "/run/elsewhere/tuning", mtu: 1300 },
  "args that win": { ...everything, args: { cni: { mac: "0a:58:0a:09:00:64", mtu: 1200, promisc: false, txQLen: 5 } } },
  "sysctls of args": { sysctl: {}, args: { cni: { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } } } },
  "sysctls of args alone": { args: { cni: { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } } } },
  "a value of several fields": { sysctl: { "net.ipv4.ip_local_port_range": "2000 3000" } },
}).map(([name, conf]) => ({
  name,
  look: "node",
  steps: [...chain(conf), after("CHECK", conf, "1.1.0", { says: /Tuning/i }), after("DEL", conf)],
}));

const sources: Scenario[] = ["", "IgnoreUnknown=1;MAC=0a:58:0a:09:00:65", "MAC", "MAC=1;"].map((CNI_ARGS) => ({
  name: `CNI_ARGS "${CNI_ARGS}"`,
  steps: [
    ...chain({ mac }, "1.1.0", { env: { CNI_ARGS } }),
    call("ADD", "tuning", withResult(tuning({ mac, runtimeConfig: { mac: "0a:58:0a:09:00:66" } }), 0), {
      env: { CNI_ARGS },
    }),
  ],
}));

/** Each is refused. */
const faults: Scenario[] = Object.entries<Conf>({
  "a MAC that is none": { mac: "nonsense" },
  "a MAC no link has": { mac: "01:00:5e:00:00:01", mtu: 1300 },
  "an MTU that is too large": { mtu: 70_000, mac },
  "a sysctl of another kind": { sysctl: { "kernel.hostname": "x" } },
  "a sysctl there is not": { sysctl: { "net.ipv4.nothing": "1" } },
  "a value the kernel refuses": { sysctl: { "net.ipv4.ip_forward": "x" } },
  "a sysctl that is a number": { sysctl: { "net.ipv4.ip_forward": 1 } },
  "an MTU that is a text": { mtu: "1400" },
}).map(([name, conf]) => ({
  name: `fault: ${name}`,
  look: "node",
  steps: chain(conf, "1.1.0", {
    says: /invalid MAC|address not available|assign requested address|numerical result|invalid argument|invalid net sysctl|no such file|failed to load netconf/,
  }),
}));

const refused: Scenario[] = [
  {
    name: "fault: no result before it",
    steps: [
      call("ADD", "tuning", tuning({ mtu: 1300 })),
      call("CHECK", "tuning", tuning({ mtu: 1300 })),
      call("ADD", "tuning", `{"cniVersion":"1.0.0","name":"net","sysctl":{"net.a":"1","net.a":"2"}}`, {
        says: /duplicated sysctl keys are not allowed/,
      }),
      call("ADD", "tuning", "{}"),
    ],
  },
  {
    name: "fault: a link there is not",
    steps: [
      ...chain({}),
      call("ADD", "tuning", withResult(tuning({ mtu: 1300 }), 0), {
        env: { CNI_IFNAME: "eth1" },
        says: /failed to get "eth1"/,
      }),
    ],
  },
];

/** The machine's own /etc stays as it is: this one is the cell's. */
const allowlist = (...lines: string[]) => ({
  shell: [
    "mkdir -p /run/bin/etc && cp -a /etc/. /run/bin/etc/ && mount --bind /run/bin/etc /etc",
    "mkdir -p /etc/cni/tuning",
    `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(" ")} >/etc/cni/tuning/allowlist.conf`,
  ].join(" && "),
});
const allowed: Scenario[] = [
  ["^net\\.ipv4\\.conf\\.IFNAME\\.", "", "  log_martians$"],
  ["arp"],
  [""],
  ["[0-9]{1,2}", "NET"],
].map((lines) => ({
  name: `an allowlist, ${JSON.stringify(lines)}`,
  steps: [
    attach(),
    allowlist(...lines),
    call("ADD", "tuning", withResult(tuning({ sysctl: { "net.ipv4.conf.IFNAME.arp_filter": "1" } }), 0)),
    call("ADD", "tuning", withResult(tuning({ sysctl: { "net/ipv4/conf/all/log_martians": "1" } }), 0)),
  ],
}));

const handed: Scenario[] = [
  {
    name: "Go's, taken over",
    look: "node",
    steps: [
      attach(),
      call("ADD", "tuning", withResult(tuning(everything), 0), { byGo: true }),
      after("CHECK", everything),
      after("DEL", everything),
    ],
  },
  {
    name: "ours, rolled back",
    look: "node",
    steps: [
      ...chain(everything),
      after("CHECK", everything, "1.1.0", { byGo: true }),
      after("DEL", everything, "1.1.0", { byGo: true }),
    ],
  },
  {
    name: "a second ADD",
    look: "node",
    steps: [...chain({ mtu: 1400 }), after("ADD", { mtu: 1300, txQLen: 7 }), after("DEL", { mtu: 1300 })],
  },
  {
    name: "DEL when the netns is gone",
    steps: [
      ...chain({ mtu: 1300 }),
      { shell: "umount /run/netns/pod && rm /run/netns/pod" },
      after("DEL", { mtu: 1300 }),
    ],
  },
  {
    name: "DEL with a configuration that is broken",
    steps: [
      ...chain({ mtu: 1300 }),
      call("DEL", "tuning", tuning({ mtu: "1300" })),
      call("DEL", "tuning", tuning({ mtu: 1300 }), { env: { CNI_ARGS: "MAC" } }),
      call("DEL", "tuning", tuning({ mtu: 1300 })),
    ],
  },
];

/** Everything CHECK looks at, each damaged alone. */
const damages: Scenario[] = Object.entries({
  MAC: "ip link set eth0 address 0a:58:0a:09:00:01",
  MTU: "ip link set eth0 mtu 1399",
  promisc: "ip link set eth0 promisc off",
  allmulti: "ip link set eth0 allmulticast off",
  queue: "ip link set eth0 txqueuelen 4",
  sysctl: "echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_filter",
  link: "ip link del eth0",
}).map(([what, shell]) => ({
  name: `CHECK finds a damaged ${what}`,
  steps: [
    ...chain(everything),
    { shell, pod: "pod" },
    after("CHECK", everything, "1.1.0", {
      says: /Tuning (configured|link eth0 configured) |Cannot find container link eth0|no such file/,
    }),
  ],
}));

compareAll("tuning", [...lives, ...parts, ...sources, ...faults, ...refused, ...allowed, ...handed, ...damages]);
