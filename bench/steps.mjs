// What a scenario is made of: calls that are timed, and looks at what they did.
import { join } from "node:path";

export const subnet = "10.244.1.0/24";
export const path = "/usr/sbin:/usr/bin:/sbin:/bin";

/** What shows the rules of a backend. */
export const rulesShown = { nftables: "nft list ruleset", iptables: "iptables-save -t nat" };

/** A timed call of a plugin, with what the floor wants to know beside it; `floor` is what its packet filter does. */
export function call(
  name,
  { verb, plugin, exe, stdin, state, range = subnet, count = 1, previous = false, floor = {} },
) {
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: "{id}",
    CNI_NETNS: "/run/netns/p{i}",
    CNI_IFNAME: "eth0",
    CNI_PATH: exe(""),
    PATH: path,
    FLOOR_STORE: join(state, "networks/cbr0"),
    FLOOR_SAVED: join(state, "flannel"),
    FLOOR_SUBNET: range,
    ...floor,
  };
  return { name, exe: exe(plugin), env, stdin, count, previous };
}

/** An untimed look at what a call did. It must exit 0. */
export const look = (after, script, { state, every, count = 1 }) => ({
  name: `look after ${after}`,
  exe: "/bin/sh",
  args: ["-c", script],
  env: { PATH: path, ID: "{id}", NETNS: "/run/netns/p{i}", STATE: state },
  measured: false,
  every,
  count,
});
