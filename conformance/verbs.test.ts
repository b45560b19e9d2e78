// Every verb of every plugin in every version: a life from a DEL before the ADD to after the third DEL.
import { compareAll } from "./compare.ts";
import { allVersions, call, hostLocal, kubeBridge, kubeFlannel, kubeSubnet } from "./configs.ts";
import type { Call, Scenario } from "./scenario.ts";
import { withResult } from "./scenario.ts";

type Conf = Record<string, unknown>;

/** The calls of one attachment. `goConf` is what Go's plugin is given, where it is not the same one. */
function life(plugin: string, conf: Conf, more: Partial<Call> = {}, goConf: Conf = conf): Scenario["steps"] {
  const plain = (verb: string) => call(verb, plugin, conf, { ...more, goConfig: goConf });
  const after = (verb: string, add: number, extra: Partial<Call> = {}) =>
    call(verb, plugin, withResult(conf, add), { ...more, goConfig: withResult(goConf, add), ...extra });
  return [
    kubeSubnet,
    // Go's flannel that can be built has the library of CNI 0.4.0; host-local has today's.
    ...["VERSION", "STATUS", "GC"].map((verb) => ({
      ...plain(verb),
      ...(plugin === "flannel" ? { goAs: "host-local" } : {}),
    })),
    plain("DEL"),
    after("CHECK", 6, {
      says: /Required prevResult missing|Failed to find address|config version does not allow CHECK|loopback interface is down|prevResult/,
    }),
    plain("ADD"),
    after("CHECK", 6, { says: /config version does not allow CHECK/ }),
    after("DEL", 6),
    after("DEL", 6),
    plain("DEL"),
    after("CHECK", 6, {
      says: /Failed to find address|config version does not allow CHECK|loopback interface is down|not found|no such/i,
    }),
  ];
}

const scenarios: Scenario[] = ["", ...allVersions].flatMap((version): Scenario[] => {
  const cniVersion = version === "" ? undefined : version;
  const modern = version.startsWith("1.");
  const named = version === "" ? "no version" : version;
  // What the kernel makes of it does not depend on the version, but for whether there is a prevResult.
  const look = ["", "0.3.1", "1.1.0"].includes(version) ? "node" : "files";
  return [
    {
      name: `host-local, ${named}`,
      steps: life(
        "host-local",
        hostLocal({ subnet: "10.9.0.0/24", routes: [{ dst: "10.8.0.0/16", gw: "10.9.0.1" }] }, { cniVersion }),
      ),
    },
    { name: `bridge, ${named}`, look, steps: life("bridge", kubeBridge(version, { cniVersion })) },
    { name: `loopback, ${named}`, look, steps: life("loopback", { name: "lo", type: "loopback", cniVersion }) },
    {
      name: `flannel, ${named}`,
      look,
      steps: modern
        ? life("flannel", kubeFlannel(version), { goAs: "bridge" }, kubeBridge(version))
        : life("flannel", kubeFlannel(version, { cniVersion })),
    },
  ];
});

/** portmap passes on what came before it, in the words of each version. */
const portmaps: Scenario[] = allVersions.map((cniVersion) => {
  const old = cniVersion === "0.1.0" || cniVersion === "0.2.0";
  const address = "10.1.0.5/24";
  const prevResult = old
    ? { cniVersion, ip4: { ip: address, routes: [{ dst: "0.0.0.0/0" }] }, dns: { nameservers: ["10.1.0.1"] } }
    : {
        cniVersion,
        interfaces: [{ name: "eth0", sandbox: "/run/netns/pod" }],
        ips: [{ ...(cniVersion.startsWith("0") ? { version: "4" } : {}), address, interface: 0 }],
      };
  const conf = {
    cniVersion,
    name: "net",
    type: "portmap",
    backend: "nftables",
    runtimeConfig: { portMappings: [{ hostPort: 8080, containerPort: 80, protocol: "tcp" }] },
  };
  const plain = (verb: string, says: RegExp) => call(verb, "portmap", conf, { says });
  const after = (verb: string, says: RegExp) => call(verb, "portmap", { ...conf, prevResult }, { says });
  const noCheck = /config version does not allow CHECK/;
  return {
    name: `portmap, ${cniVersion}`,
    steps: [
      plain("VERSION", noCheck),
      plain("CHECK", /Required prevResult missing|config version does not allow CHECK/),
      plain("ADD", /must be called as chained plugin/),
      after("ADD", noCheck),
      after("CHECK", noCheck),
      after("DEL", noCheck),
      plain("DEL", noCheck),
      after("CHECK", /missing|config version does not allow CHECK/),
    ],
  };
});

/** loopback is called in the netns it is given; in the node's own it must not touch lo. */
const guard = { env: { CNI_NETNS: "/run/netns/node" } } as const;
const own: Scenario[] = ["ADD", "DEL"].map((verb) => ({
  name: `loopback in the node's own netns, ${verb}`,
  look: "node",
  steps: [
    call(
      verb,
      "loopback",
      { cniVersion: "1.0.0", name: "lo", type: "loopback" },
      {
        ...guard,
        says: /plugin's netns and netns from CNI_NETNS should not be the same/,
      },
    ),
  ],
}));

compareAll("verbs", [...scenarios, ...portmaps, ...own]);
