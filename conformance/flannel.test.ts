// flannel in front of bridge and host-local, as kube-flannel's list calls it.
import { compareAll } from "./compare.ts";
import { call, kubeFlannel, kubeSubnet } from "./configs.ts";
import type { Scenario } from "./scenario.ts";

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

const scenarios: Scenario[] = [
  ...["0.3.1", "0.4.0"].map(
    (version): Scenario => ({
      name: `two pods' lives, ${version}`,
      look: "node",
      pods: ["pod", "other"],
      steps: [kubeSubnet, ...life(version)],
    }),
  ),
];

compareAll("flannel", scenarios);
