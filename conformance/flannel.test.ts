// flannel in front of bridge and host-local, as kube-flannel's list calls it.
import { compareAll } from "./compare.ts";
import { allVersions, call, dualSubnet, ipv6Subnet, kubeBridgeFor, kubeFlannel, kubeSubnet } from "./configs.ts";
import { withResult, type Call, type Scenario } from "./scenario.ts";

const other = { pod: "other", env: { CNI_CONTAINERID: "f00d" } } as const;

/** What a pod goes through; DEL as CRI sends it, again and without its netns. */
const life = (cniVersion: string): Scenario["steps"] => {
  const conf = kubeFlannel(cniVersion);
  return [
    call("ADD", "flannel", conf),
    call("ADD", "flannel", conf, other),
    call("DEL", "flannel", conf),
    call("DEL", "flannel", conf, { env: { CNI_NETNS: "" } }),
    call("DEL", "flannel", conf, other),
    call("DEL", "flannel", conf, other),
    call("DEL", "flannel", conf, other),
  ];
};

/** The Go flannel that can be built knows no IPv6 and ends at CNI 0.4.0. */
const asGo: Scenario[] = ["0.3.1", "0.4.0"].map((version) => ({
  name: `two pods' lives, ${version}`,
  look: "node",
  pods: ["pod", "other"],
  steps: [kubeSubnet, ...life(version)],
}));

const nodes = [
  { families: "IPv4", env: kubeSubnet, subnets: ["10.244.1.0/24"], networks: ["10.244.0.0/16"] },
  { families: "IPv6 alone", env: ipv6Subnet, subnets: ["fd00:10:244:1::/64"], networks: ["fd00:10:244::/48"] },
  {
    families: "dual stack",
    env: dualSubnet,
    subnets: ["10.244.1.0/24", "fd00:10:244:1::/64"],
    networks: ["10.244.0.0/16", "fd00:10:244::/48"],
  },
];

/** So Go's bridge gets what today's flannel would hand it, and ours the same by way of flannel. */
const asGosBridge: Scenario[] = nodes.flatMap(({ families, env, subnets, networks }) =>
  allVersions.map((version): Scenario => {
    const [conf, goConf] = [kubeFlannel(version), kubeBridgeFor(version, subnets, networks)];
    const step = (verb: string, added: number, more: Partial<Call> = {}) =>
      call(verb, "flannel", withResult(conf, added), { goAs: "bridge", goConfig: withResult(goConf, added), ...more });
    const add = (more: Partial<Call> = {}) =>
      call("ADD", "flannel", conf, { goAs: "bridge", goConfig: goConf, ...more });
    const hasCheck = !/^0\.[123]/.test(version);
    return {
      name: `today's flannel, ${families}, ${version}`,
      // What the kernel makes of it does not depend on the version.
      look: version === "0.3.1" || version === "1.1.0" ? "node" : "files",
      pods: ["pod", "other"],
      steps: [
        env,
        add(),
        add(other),
        ...(hasCheck ? [step("CHECK", 1), step("CHECK", 2, other)] : []),
        ...["DEL", "DEL"].map((verb) => step(verb, 1)),
        step("DEL", 2, other),
      ],
    };
  }),
);

/** A node whose /29 is full, and goes round; the next pod gets what was freed last of all. */
const full: Scenario = {
  name: "today's flannel, a subnet that is full",
  pods: ["a", "b", "c", "d", "e", "f"],
  steps: [
    {
      shell:
        "printf 'FLANNEL_NETWORK=10.244.0.0/16\\nFLANNEL_SUBNET=10.244.1.1/29\\nFLANNEL_MTU=1450\\nFLANNEL_IPMASQ=true\\n' >/run/flannel/subnet.env",
    },
    ...(["ADD a", "ADD b", "ADD c", "ADD d", "ADD e", "ADD f", "DEL c", "DEL f", "ADD f", "DEL f"] as const).map(
      (what) => {
        const [verb = "", pod = ""] = what.split(" ");
        return call(verb, "flannel", kubeFlannel("1.0.0"), {
          pod,
          env: { CNI_CONTAINERID: pod },
          goAs: "bridge",
          goConfig: kubeBridgeFor("1.0.0", ["10.244.1.0/29"], ["10.244.0.0/16"]),
          says: /no IP addresses available in range set: 10\.244\.1\.1-10\.244\.1\.6/,
        });
      },
    ),
  ],
};

/** What the delegate would get that it must not, and what would be lost on the way to it. */
const faults: Scenario[] = [
  [{ delegate: { type: 1 } }, /'delegate' dictionary, if present, must have \(string\) 'type' field/],
  [{ delegate: { name: "other" } }, /'delegate' dictionary must not have 'name' field, it'll be set by flannel/],
  [{ delegate: { ipam: {} } }, /'delegate' dictionary must not have 'ipam' field, it'll be set by flannel/],
  [{ ipam: { routes: "10.0.0.0/8" } }, /failed to parse ipam\.routes/],
  [{ ipam: { routes: { dst: "10.0.0.0/8" } } }, /failed to parse ipam\.routes/],
].map(([more, says]) => ({
  name: `fault: ${JSON.stringify(more)}`,
  steps: [
    kubeSubnet,
    call("ADD", "flannel", kubeFlannel("0.4.0", more as Record<string, unknown>), { says: says as RegExp }),
    call("DEL", "flannel", kubeFlannel("0.4.0", more as Record<string, unknown>)),
  ],
}));

compareAll("flannel", [...asGo, ...asGosBridge, full, ...faults]);
