// CHECK of kube-flannel's list, raised to the versions that have it: content right after ADD, and naming each single
// damage. plugins/bridge/check.test.ts has every property there is; this is what a runtime hears of the built executables.
import { expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { dualSubnet, kubeFlannel } from "./configs.ts";
import { failures, Fleet } from "./fleet.ts";

type Damage = readonly [what: string, shell: string, named: RegExp];

const onNode: readonly Damage[] = [
  ["the bridge is gone", "ip link del cni0", /Interface name cni0 not found/],
  ["the bridge is down", "ip link set cni0 down", /Bridge interface cni0 is down/],
  ["the bridge's MAC", "ip link set cni0 address 02:00:00:00:00:01", /Bridge interface cni0 Mac doesn't match/],
  ["the gateway", "ip addr del 10.244.1.1/24 dev cni0", /Gateway 10\.244\.1\.1\/24 is not on cni0/],
  ["IPv6's gateway", "ip addr del fd00:10:244:1::1/64 dev cni0", /Gateway fd00:10:244:1::1\/64 is not on cni0/],
  ["forwarding", "echo 0 >/proc/sys/net/ipv4/ip_forward", /The node does not forward IPv4/],
  ["IPv6's forwarding", "echo 0 >/proc/sys/net/ipv6/conf/all/forwarding", /The node does not forward IPv6/],
  ["the port is down", "ip link set $port down", /Interface veth\w+ is down/],
  ["the port is no port", "ip link set $port nomaster", /Interface veth\w+ is no port of bridge cni0/],
  ["the port's MAC", "ip link set $port address 02:00:00:00:00:02", /Interface veth\w+ Mac doesn't match/],
  ["the port's MTU", "ip link set $port mtu 1500", /Interface veth\w+ has MTU 1500, recorded 1450/],
  ["the port's queue", "ip link set $port txqueuelen 500", /Interface veth\w+ has a transmit queue of 500/],
  ["the port's alias", "ip link set $port alias ''", /Interface veth\w+ has alias none/],
  ["hairpin", "bridge link set dev $port hairpin off", /Port veth\w+ has hairpin off, configured on/],
  ["isolation", "bridge link set dev $port isolated on", /Port veth\w+ has isolated on, configured off/],
  ["the reservation", "rm /var/lib/cni/networks/cbr0/10.244.1.*", /10\.244\.1\.\d+ is not held by container c0ffee0/],
  ["all reservations", "rm /var/lib/cni/networks/cbr0/*:* /var/lib/cni/networks/cbr0/10.*", /Failed to find address/],
];

const inPod: readonly Damage[] = [
  ["the link is gone", "ip link del eth0", /CNI created interface in container eth0 not found/],
  ["the link is down", "ip link set eth0 down", /Interface eth0 is down/],
  ["the MAC", "ip link set eth0 address 02:00:00:00:00:03", /Interface eth0 Mac [\da-f:]+ doesn't match container Mac/],
  ["the address", "ip -4 addr flush dev eth0", /Failed to match addr 10\.244\.1\.\d+\/24 on interface eth0/],
  ["IPv6's address", "ip -6 addr flush dev eth0", /Failed to match addr fd00:10:244:1::\w+\/64 on interface eth0/],
  ["the subnet's route", "ip route del 10.244.1.0/24", /No route to the subnet of 10\.244\.1\.\d+\/24/],
  ["the network's route", "ip route del 10.244.0.0/16", /Expected Route 10\.244\.0\.0\/16 via 10\.244\.1\.1 not found/],
  ["the default route", "ip route del default", /Expected Route 0\.0\.0\.0\/0 via 10\.244\.1\.1 not found/],
  ["IPv6's default route", "ip -6 route del default", /Expected Route ::\/0 via fd00:10:244:1::1 not found/],
  ["accept_ra", "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_ra", /Interface eth0 has accept_ra 1, ADD set 0/],
  ["arp_notify", "echo 0 >/proc/sys/net/ipv4/conf/eth0/arp_notify", /Interface eth0 has arp_notify 0, ADD set 1/],
];

/** Only a result of this version has MTUs; see "CHECK" under what is known in docs/reliability.md. */
const ofNewest: readonly Damage[] = [
  ["the MTU", "ip link set eth0 mtu 1500", /Interface eth0 has MTU 1500, its port 1450/],
];

describeWith(["cell", "ip"], "CHECK of kube-flannel's list", () => {
  test.for(["0.4.0", "1.0.0", "1.1.0"])("%s: content after ADD, and with no single damage", async (version) => {
    await using fleet = await Fleet.open(1);
    await fleet.cell.shell(dualSubnet.shell);
    const conf = kubeFlannel(version);
    const call = (verb: string, prevResult?: unknown) =>
      fleet.call({ verb, by: "ours", pods: [0], config: () => ({ ...conf, prevResult }) });
    const heard: string[] = [];
    const wanted: string[] = [];
    const damages = [
      ...onNode.map((damage) => [undefined, damage] as const),
      ...[...inPod, ...(version === "1.1.0" ? ofNewest : [])].map((damage) => ["pod0", damage] as const),
    ];
    for (const [pod, [what, shell, named]] of damages) {
      const [added] = await call("ADD");
      const result: unknown = JSON.parse(added?.stdout ?? "");
      expect(failures(await call("CHECK", result)), what).toEqual([]);
      await fleet.cell.shell(pod === undefined ? `port=$(ls /sys/class/net/cni0/brif)\n${shell}` : shell, pod);
      const [checked] = await call("CHECK", result);
      const { msg = "" } = JSON.parse(checked?.stdout || "{}") as { msg?: string };
      wanted.push(`${what}: ${named.exec(msg)?.[0] ?? String(named)}`);
      heard.push(`${what}: ${named.exec(msg)?.[0] ?? (msg || "nothing")}`);
      expect(failures(await call("DEL")), what).toEqual([]);
      await fleet.cell.shell("ip link del cni0 2>/dev/null || true");
    }
    expect(heard).toEqual(wanted);
    expect(await fleet.left()).toEqual([]);
  });
});
