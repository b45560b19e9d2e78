// bandwidth behind bridge: what it puts on which link, to the number, beside Go's.
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
const bandwidth = (conf: Conf, cniVersion = "1.1.0"): Conf => ({ cniVersion, name: "net", type: "bandwidth", ...conf });

const megabit = 1_000_000;
/** What Kubernetes' runtimes give where nobody asked for a burst. */
const usualBurst = 2 ** 31 - 1;
const ingress = { ingressRate: 8 * megabit, ingressBurst: megabit };
const egress = { egressRate: 16 * megabit, egressBurst: megabit };
const both = { ...ingress, ...egress };

/** Go's bridge, in our run, too: what is compared is what comes after it. */
const attach = (cniVersion = "1.1.0"): Call => call("ADD", "bridge", bridge(cniVersion), { byGo: true });

/** A container of bridge's, whose ADD is step 0, shaped by step 1. */
const chain = (conf: Conf, cniVersion = "1.1.0", more: Partial<Call> = {}): Scenario["steps"] => [
  attach(cniVersion),
  call("ADD", "bandwidth", withResult(bandwidth(conf, cniVersion), 0), more),
];

const after = (verb: string, conf: Conf, cniVersion = "1.1.0", more: Partial<Call> = {}): Call =>
  call(verb, "bandwidth", withResult(bandwidth(conf, cniVersion), 1), more);

const lives: Scenario[] = allVersions.map((version) => ({
  name: `a life, ${version}`,
  look: "node",
  steps: [
    ...chain(both, version),
    after("CHECK", both, version, { says: /does not allow CHECK|chained plugin/ }),
    after("DEL", both, version),
    after("DEL", both, version),
    call("DEL", "bandwidth", bandwidth(both, version)),
  ],
}));

/** Limits in both directions, for the numbers. */
const limits = (rate: number, burst: number): Conf => ({
  ingressRate: rate,
  ingressBurst: burst,
  egressRate: rate,
  egressBurst: burst,
});
const parts: Scenario[] = Object.entries<Conf>({
  nothing: {},
  zeros: limits(0, 0),
  ingress,
  egress,
  "the runtime's": { runtimeConfig: { bandwidth: both } },
  "its own, not the runtime's": { ...ingress, runtimeConfig: { bandwidth: egress } },
  "none of its own, not the runtime's": { ingressRate: 0, runtimeConfig: { bandwidth: egress } },
  "a rate that is no number of bytes": limits(8_007, 12_007),
  "a megabit with the usual burst": limits(megabit, usualBurst),
  "80 kbit with the usual burst": limits(80_000, usualBurst),
  "333 Mbit": limits(333_333_333, 44_444_444),
  "10 Gbit with the usual burst": limits(10_000 * megabit, usualBurst),
  "80 Gbit": limits(80_000 * megabit, megabit),
  "1.6 Tbit with the largest burst": limits(1_600_000 * megabit, 8 * 0xffff_fffe),
}).map(([name, conf]) => ({
  name,
  look: "node",
  steps: [...chain(conf), after("CHECK", conf), after("DEL", conf)],
}));

/** Each is refused. */
const faults: Scenario[] = Object.entries<Conf>({
  "a rate without a burst": { ingressRate: megabit },
  "a burst without a rate": { egressBurst: megabit },
  "a burst of four gigabytes": { egressRate: megabit, egressBurst: 8 * 0xffff_ffff },
  "a rate that is a text": { egressRate: "1" },
  "a rate below zero": { egressRate: -1 },
}).map(([name, conf]) => ({
  name: `fault: ${name}`,
  look: "node",
  steps: [
    ...chain(conf, "1.1.0", {
      says: /burst must also be set|rate must also be set|4GB|must be an integer|cannot unmarshal|>= 0/,
    }),
    after("DEL", conf),
  ],
}));

/** The names of the links are the kernel's to tell. */
const veth = "$(ip -o link show master br9 | sed 's/^[0-9]*: \\([^@]*\\)@.*/\\1/')";
const ifb = "$(ip -o link show type ifb | sed 's/^[0-9]*: \\([^:]*\\):.*/\\1/')";
const refused: Scenario[] = [
  {
    name: "fault: no result before it",
    steps: [
      call("ADD", "bandwidth", bandwidth(both)),
      call("CHECK", "bandwidth", bandwidth(both)),
      call("ADD", "bandwidth", bandwidth({})),
      call("ADD", "bandwidth", "{}"),
    ],
  },
  {
    name: "fault: a link there is not",
    look: "node",
    steps: [
      attach(),
      call("ADD", "bandwidth", withResult(bandwidth(both), 0), {
        env: { CNI_IFNAME: "eth1" },
        says: /container interface eth1 has no veth peer/,
      }),
    ],
  },
  {
    name: "fault: a result without links",
    look: "node",
    steps: [
      attach(),
      call("ADD", "bandwidth", bandwidth({ ...both, prevResult: { cniVersion: "1.1.0", ips: [] } }), {
        says: /no interfaces provided|no veth peer of container interface found/,
      }),
    ],
  },
];

const shaped: Scenario = {
  name: "fault: somebody else has the ingress",
  look: "node",
  steps: [
    attach(),
    { shell: `tc qdisc add dev ${veth} clsact` },
    call("ADD", "bandwidth", withResult(bandwidth(both), 0), { says: /file exists/ }),
  ],
};

const handed: Scenario[] = [
  {
    name: "Go's, taken over",
    look: "node",
    steps: [
      attach(),
      call("ADD", "bandwidth", withResult(bandwidth(both), 0), { byGo: true }),
      after("CHECK", both),
      after("DEL", both),
    ],
  },
  {
    name: "ours, rolled back",
    look: "node",
    steps: [...chain(both), after("CHECK", both, "1.1.0", { byGo: true }), after("DEL", both, "1.1.0", { byGo: true })],
  },
  {
    name: "a second ADD",
    look: "node",
    steps: [...chain(both), after("ADD", both, "1.1.0", { says: /file exists/ }), after("DEL", both)],
  },
  {
    name: "a link of its name that nobody uses",
    look: "node",
    steps: [
      attach(),
      { shell: "ip link add bwp$(printf netc0ffee | sha512sum | cut -c 1-12) type ifb" },
      call("ADD", "bandwidth", withResult(bandwidth(egress), 0), { says: /file exists/ }),
    ],
  },
  {
    name: "DEL when the netns is gone",
    look: "node",
    steps: [
      ...chain(both), // The kernel takes the pair by and by.
      {
        shell:
          "umount /run/netns/pod && rm /run/netns/pod; while ip -o link show master br9 | grep -q .; do sleep 0.02; done",
      },
      after("DEL", both),
    ],
  },
];

/** Everything CHECK looks at, each damaged alone. */
const damages: Scenario[] = Object.entries({
  rate: `tc qdisc replace dev ${veth} root handle 1: tbf rate 4mbit burst 125000 limit 150000`,
  limit: `tc qdisc replace dev ${ifb} root handle 1: tbf rate 16mbit burst 125000 limit 999`,
  ifb: `ip link del ${ifb}`,
  bucket: `tc qdisc del dev ${veth} root`,
  redirect: `tc filter del dev ${veth} ingress`,
  ingress: `tc qdisc del dev ${veth} ingress`,
  "ifb's state": `ip link set ${ifb} down`,
}).map(([what, shell]) => ({
  name: `CHECK finds a damaged ${what}`,
  steps: [
    ...chain(both),
    { shell },
    after("CHECK", both, "1.1.0", {
      says: /Failed to find (qdisc|filter)|(Rate|Limit|Buffer) doesn't match|get ifb device|is down/,
    }),
  ],
}));

compareAll("bandwidth", [...lives, ...parts, ...faults, ...refused, shaped, ...handed, ...damages]);
