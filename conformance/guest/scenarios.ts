// What VLANs on a bridge are asked to do: each scenario on a node of its own, in a guest whose kernel has them.
import type { GuestCall, GuestDeed, GuestScenario } from "./guest.ts";

type Conf = Record<string, unknown>;

const v4 = { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }]] };
const dual = { type: "host-local", ranges: [[{ subnet: "10.9.0.0/24" }], [{ subnet: "fd00:9::/64" }]] };
const bridge = (more: Conf): Conf => ({
  cniVersion: "1.0.0",
  name: "net",
  type: "bridge",
  bridge: "br9",
  ipam: v4,
  ...more,
});

const add = (conf: Conf, more: Partial<GuestCall> = {}): GuestCall => ({ verb: "ADD", conf: bridge(conf), ...more });
const del = (conf: Conf, more: Partial<GuestCall> = {}): GuestCall => ({ verb: "DEL", conf: bridge(conf), ...more });
const check = (conf: Conf, more: Partial<GuestCall> = {}): GuestCall => ({
  verb: "CHECK",
  conf: bridge(conf),
  prevResult: 0,
  ...more,
});
const shell = (text: string, more: Partial<GuestDeed> = {}): GuestDeed => ({ shell: text, ...more });
const other = { pod: "other", container: "f00d" } as const;
const third = { pod: "third", container: "beef" } as const;

const made = (name: string, conf: Conf): GuestScenario => ({ name, steps: [add(conf), check(conf)] });
const life = (name: string, conf: Conf): GuestScenario => ({
  name,
  steps: [add(conf), check(conf), del(conf), del(conf)],
});

const shapes: GuestScenario[] = [
  life("a VLAN", { vlan: 100 }),
  life("CHECK of a layer 2 attachment in a VLAN", { vlan: 100, ipam: undefined }),
  made("a VLAN, hairpin, isolation, an MTU", { vlan: 4094, hairpinMode: true, portIsolation: true, mtu: 1400 }),
  made("a VLAN beside the default one", { vlan: 100, preserveDefaultVlan: true }),
  made("the default VLAN asked for", { vlan: 1 }),
  life("a gateway in a VLAN, dual stack", { vlan: 100, isDefaultGateway: true, ipam: dual }),
  made("a gateway in a VLAN beside the default one", { vlan: 100, isGateway: true, preserveDefaultVlan: true }),
  made("a trunk", { vlanTrunk: [{ id: 7 }, { id: 5 }] }),
  made("a trunk beside the default VLAN", { vlanTrunk: [{ id: 5 }], preserveDefaultVlan: true }),
  made("a trunk of nothing", { vlanTrunk: [] }),
  {
    name: "a trunk of everything",
    // Go's takes a minute for it here.
    steps: [
      add({ vlanTrunk: [{ minID: 1, maxID: 4094 }] }, { by: "ours" }),
      check({ vlanTrunk: [{ minID: 1, maxID: 4094 }] }),
    ],
  },
  made("trunk ranges that overlap and touch", {
    vlanTrunk: [{ minID: 10, maxID: 20 }, { id: 15 }, { minID: 18, maxID: 25 }, { id: 26 }, { minID: 30, maxID: 30 }],
  }),
  made("trunk entries of both forms", { vlanTrunk: [{ id: 3, minID: 8, maxID: 9 }] }),
  made("a trunk and a VLAN", { vlan: 100, vlanTrunk: [{ id: 5 }, { minID: 200, maxID: 205 }] }),
  made("a trunk that repeats the VLAN", { vlan: 100, vlanTrunk: [{ minID: 99, maxID: 101 }] }),
  made("a trunk that repeats the default VLAN", { vlanTrunk: [{ id: 1 }, { id: 2 }] }),
];

const bridgeWithPort =
  "ip link add br9 address 02:00:00:00:00:09 up type bridge; ip link add a1 up master br9 type veth peer name a2";
const existing: GuestScenario[] = [
  {
    name: "existing: a bridge that keeps VLANs apart, of another default",
    steps: [
      shell("ip link add br9 address 02:00:00:00:00:09 up type bridge vlan_filtering 1 vlan_default_pvid 7"),
      add({ vlan: 100 }),
      add({ vlan: 100, preserveDefaultVlan: true }, other),
    ],
    pods: ["pod", "other"],
  },
  {
    name: "existing: a bridge that does not keep VLANs apart",
    steps: [
      shell("ip link add br9 address 02:00:00:00:00:09 up type bridge"),
      add({ vlan: 100 }),
      check({ vlan: 100 }, { prevResult: 1 }),
    ],
  },
  {
    name: "existing: its ports have their default VLAN",
    steps: [shell(bridgeWithPort), add({ vlan: 100 })],
  },
  {
    name: "existing: a port has VLANs of its own",
    steps: [
      shell(`${bridgeWithPort}; bridge vlan add dev a1 vid 30`),
      add({ vlan: 100 }, { says: /br9.*a1.*VLANs of its own.*vlan_filtering 1/s }),
      add({ vlanTrunk: [{ id: 5 }] }, { ...other, says: /VLANs of its own/ }),
    ],
    pods: ["pod", "other"],
  },
  {
    name: "existing: a port has no VLAN",
    steps: [
      shell(`${bridgeWithPort}; bridge vlan del dev a1 vid 1`),
      add({ vlan: 100 }, { says: /a1.*VLANs of its own/ }),
    ],
  },
  {
    name: "existing: ports with different default VLANs",
    steps: [
      shell(`${bridgeWithPort}; ip link add b1 up type veth peer name b2; ip link set br9 type bridge vlan_default_pvid 5
        bridge vlan del dev a1 vid 5; bridge vlan add dev a1 vid 1 pvid untagged; ip link set b1 master br9`),
      add({ vlan: 100 }, { says: /br9.*different ones/ }),
    ],
  },
];

/** With a MAC of its own: Go's CHECK refuses one that follows the ports. */
const vlanBridge = "ip link add br9 address 02:00:00:00:00:09 up type bridge vlan_filtering 1";
const again: GuestScenario[] = [
  {
    name: "ADD twice",
    steps: [
      add({ vlan: 100, isGateway: true }),
      add({ vlan: 100, isGateway: true }, { says: /container veth name \("eth0"\) peer provided .* already exists/ }),
      add({ vlan: 100, isGateway: true }, other),
      del({ vlan: 100, isGateway: true }),
    ],
    pods: ["pod", "other"],
  },
  {
    name: "DEL with an empty netns, the pod still there, in a VLAN",
    steps: [add({ vlan: 100 }), del({ vlan: 100 }, { noNetns: true })],
  },
  {
    name: "ADD that IPAM refuses",
    steps: [
      add({ vlan: 100, isGateway: true, ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/30" }]] } }),
      add(
        { vlan: 100, isGateway: true, ipam: { type: "host-local", ranges: [[{ subnet: "10.9.0.0/30" }]] } },
        {
          ...other,
          says: /no IP addresses available/,
        },
      ),
    ],
    pods: ["pod", "other"],
  },
  {
    name: "ADD whose gateway's link has a name that is too long",
    steps: [add({ bridge: "br123456789", vlan: 4000, isGateway: true }, { says: /failed to create/ })],
  },
  {
    name: "ADD where a link has the gateway's name",
    steps: [shell("ip link add br9.100 type bridge"), add({ vlan: 100, isGateway: true }, { says: /br9\.100/ })],
  },
  {
    name: "take-over: made by Go, then ours",
    steps: [
      shell(vlanBridge),
      add({ vlan: 100, isGateway: true }, { by: "go" }),
      add({ vlan: 100, isGateway: true }, other),
      check({ vlan: 100, isGateway: true }, { prevResult: 1 }),
      del({ vlan: 100, isGateway: true }),
    ],
    pods: ["pod", "other"],
  },
  {
    name: "take-over: made by ours, then Go",
    steps: [
      shell(vlanBridge),
      add({ vlan: 100, isGateway: true }, { by: "ours" }),
      add({ vlan: 100, isGateway: true }, other),
      check({ vlan: 100, isGateway: true }, { prevResult: 1 }),
      del({ vlan: 100, isGateway: true }),
    ],
    pods: ["pod", "other"],
  },
];

const port = "port=$(ip -j link show master br9 | grep -o 'veth[0-9a-f]*' | head -n 1)";
const gatewayPort = "gateway=$(ip -o link show br9.100 | sed 's/.*@\\(veth[0-9a-f]*\\).*/\\1/')";
const damage = (name: string, text: string, says: RegExp, conf: Conf = {}): GuestScenario => ({
  name: `damage: ${name}`,
  steps: [
    shell(vlanBridge),
    add({ vlan: 100, vlanTrunk: [{ minID: 200, maxID: 203 }], ...conf }),
    shell(`${port}; ${text}`),
    check({ vlan: 100, vlanTrunk: [{ minID: 200, maxID: 203 }], ...conf }, { prevResult: 1, says }),
  ],
});

const damaged: GuestScenario[] = [
  damage("the VLAN is gone", "bridge vlan del dev $port vid 100", /has VLAN 100 not at all, configured native/),
  damage(
    "one VLAN of a trunk is gone",
    "bridge vlan del dev $port vid 202",
    /has VLAN 202 not at all, configured tagged/,
  ),
  damage("the VLAN is tagged", "bridge vlan add dev $port vid 100", /has VLAN 100 tagged, configured native/),
  damage("one more VLAN", "bridge vlan add dev $port vid 30", /has VLAN 30, which is not configured/),
  damage("VLANs are not kept apart", "ip link set br9 type bridge vlan_filtering 0", /br9 does not keep VLANs apart/),
  damage("the gateway's address is gone", "ip addr flush dev br9.100", /10\.9\.0\.1/, { isGateway: true }),
  damage("the gateway's link is gone", "ip link del br9.100", /br9\.100 not found/, { isGateway: true }),
  ...(
    [
      ["link is down", "ip link set br9.100 down", /^Interface br9\.100 is down/],
      ["link has another MAC", "ip link set br9.100 address 02:00:00:00:00:77", /br9\.100 Mac doesn't match/],
      ["link has a smaller MTU", "ip link set br9.100 mtu 1400", /br9\.100 has MTU 1400, its port 1500/],
      [
        "link is no gateway by its alias",
        "ip link set br9.100 alias ''",
        /alias of br9\.100 does not note 10\.9\.0\.1/,
      ],
      ["port is down", "ip link set $gateway down", /^Interface veth[\da-f]{8} is down/],
      ["port is on no bridge", "ip link set $gateway nomaster", /^Interface veth[\da-f]{8} is no port of bridge br9/],
      [
        "port is in no VLAN",
        "bridge vlan del dev $gateway vid 100",
        /^Port veth[\da-f]{8} has VLAN 100 not at all, configured native/,
      ],
    ] as const
  ).map(([what, text, says]) => damage(`the gateway's ${what}`, `${gatewayPort}; ${text}`, says, { isGateway: true })),
];

/** An answer that is expected may be long in coming: the guest is emulated, on a machine that has other things to do. */
const ping = (address: string, exits: number, pod?: string): GuestDeed =>
  shell(`ping -q -c 1 -W ${exits === 0 ? 20 : 1} ${address}`, { exits, ...(pod === undefined ? {} : { pod }) });
/** A tagged link on a pod's own, with an address. */
const tagged = (id: number, address: string, pod: string): GuestDeed =>
  shell(`ip link add eth0.${id} link eth0 up type vlan id ${id}; ip addr add ${address} dev eth0.${id}`, { pod });

const frames: GuestScenario[] = [
  {
    name: "frames: pods of one VLAN, and of another",
    pods: ["pod", "other", "third"],
    steps: [
      add({ vlan: 100, isGateway: true }),
      add({ vlan: 100, isGateway: true }, other),
      add({ vlan: 200 }, third),
      ping("10.9.0.3", 0, "pod"),
      ping("10.9.0.2", 0, "other"),
      ping("10.9.0.1", 0, "pod"),
      ping("10.9.0.2", 0),
      ping("10.9.0.2", 1, "third"),
      ping("10.9.0.4", 1, "pod"),
      ping("10.9.0.1", 1, "third"),
    ],
  },
  {
    name: "frames: a trunk carries its VLANs and no other",
    pods: ["pod", "other", "third"],
    steps: [
      add({ vlanTrunk: [{ minID: 20, maxID: 21 }] }),
      add({ vlan: 20 }, other),
      add({ vlan: 30 }, third),
      tagged(20, "10.20.0.1/24", "pod"),
      tagged(30, "10.30.0.1/24", "pod"),
      shell("ip addr add 10.20.0.2/24 dev eth0", { pod: "other" }),
      shell("ip addr add 10.30.0.2/24 dev eth0", { pod: "third" }),
      ping("10.20.0.2", 0, "pod"),
      ping("10.20.0.1", 0, "other"),
      ping("10.30.0.2", 1, "pod"),
      ping("10.9.0.3", 1, "pod"),
    ],
  },
  {
    name: "frames: nothing reaches a VLAN's pod by the default VLAN, unless that was kept",
    pods: ["pod", "other"],
    steps: [
      add({ vlan: 100 }),
      add({ vlan: 100, preserveDefaultVlan: true }, other),
      shell("ip addr add 10.9.0.250/24 dev br9"),
      ping("10.9.0.2", 1),
      ping("10.9.0.3", 0, "pod"),
    ],
  },
];

export const scenarios: readonly GuestScenario[] = [...shapes, ...existing, ...again, ...damaged, ...frames];
