// firewall judged by packets: pings through a node that forwards, in both families and by either backend.
import { afterEach, beforeEach, expect, test } from "vitest";
import { ours } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { carriesPackets } from "../testing/carrier.ts";
import { Cell } from "./cell.ts";

/** Pods behind two bridges: "a" and "c" on br1, each in a subnet of its own, so that the node forwards between them; "b" on br2. */
const pods = {
  a: { bridge: "br1", net: 1 },
  b: { bridge: "br2", net: 2 },
  c: { bridge: "br1", net: 3 },
} as const;
type Pod = keyof typeof pods;
const addressesOf = (pod: Pod) => [`10.${pods[pod].net}.0.5`, `fd00:${pods[pod].net}::5`] as const;

async function addPod(cell: Cell, pod: Pod): Promise<void> {
  const { bridge, net } = pods[pod];
  await cell.addPod(pod);
  await cell.shell("sysctl -qw net.ipv6.conf.default.accept_dad=0", pod);
  await cell.shell(`ip link add veth-${pod} type veth peer name eth0 netns ${pod}
    ip link set veth-${pod} master ${bridge} up
    ip addr add 10.${net}.0.1/24 dev ${bridge}
    ip addr add fd00:${net}::1/64 dev ${bridge} nodad`);
  await cell.shell(
    `ip link set eth0 up
    ip addr add 10.${net}.0.5/24 dev eth0
    ip addr add fd00:${net}::5/64 dev eth0 nodad
    ip route add default via 10.${net}.0.1
    ip route add default via fd00:${net}::1
    ${carriesPackets("eth0")}`,
    pod,
  );
  await cell.shell(carriesPackets(`veth-${pod}`));
}

/** How a node comes to drop what nobody accepts. An accept of nftables counts in its own table alone. */
const dropping = {
  iptables: "iptables -P FORWARD DROP; ip6tables -P FORWARD DROP",
  nftables: "nft 'chain inet cni_firewall forward { policy drop; }'",
} as const;

for (const backend of ["iptables", "nftables"] as const)
  describeWith(["cell", "ip", "nft", "iptables", "ping"], `firewall and packets, by ${backend}`, () => {
    let cell: Cell;
    beforeEach(async () => {
      cell = await Cell.open();
      await cell.shell(`sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        for bridge in br1 br2; do ip link add $bridge type bridge; ip link set $bridge up; done`);
      for (const pod of ["a", "b", "c"] as const) await addPod(cell, pod);
    });
    afterEach(() => cell.close());

    async function call(verb: "ADD" | "DEL", pod: Pod, ingressPolicy = "open"): Promise<void> {
      const ips = addressesOf(pod).map((ip, at) => ({ address: `${ip}/${at === 0 ? 24 : 64}`, interface: 1 }));
      const interfaces = [{ name: pods[pod].bridge }, { name: "eth0", sandbox: `/run/netns/${pod}` }];
      const done = await cell.run(`${ours}/firewall`, [], {
        env: {
          CNI_COMMAND: verb,
          CNI_CONTAINERID: pod,
          CNI_NETNS: `/run/netns/${pod}`,
          CNI_IFNAME: "eth0",
          CNI_PATH: "/none",
        },
        stdin: JSON.stringify({
          cniVersion: "1.0.0",
          name: "net",
          type: "firewall",
          backend,
          ingressPolicy,
          prevResult: { cniVersion: "1.0.0", interfaces, ips },
        }),
      });
      expect([done.exit, done.stderr]).toEqual([0, ""]);
    }

    /** Whether one reaches the other, in each family: an answer may be long in coming on a machine that is busy. */
    async function reaches(netns: Pod, to: Pod, seconds = 20): Promise<boolean[]> {
      const asked = addressesOf(to).map((address) =>
        cell.run("ping", ["-c", "1", "-W", `${seconds}`, "-q", address], { netns }),
      );
      return (await Promise.all(asked)).map(({ exit }) => exit === 0);
    }
    /** The same, where no answer is expected. */
    const tries = (netns: Pod, to: Pod) => reaches(netns, to, 1);
    const yes = [true, true];
    const no = [false, false];

    test("where what is forwarded is dropped, a pod with the plugin gets through and is answered, one without is not", async () => {
      expect(await reaches("a", "b")).toEqual(yes);
      await call("ADD", "b");
      await call("DEL", "b");
      await cell.shell(dropping[backend]);
      expect(await tries("a", "b")).toEqual(no);
      await call("ADD", "a");
      expect(await reaches("a", "b")).toEqual(yes);
      expect(await tries("c", "b")).toEqual(no);
      // Nobody had asked for this.
      expect(await tries("b", "a")).toEqual(no);
      await call("DEL", "a");
      expect(await tries("a", "b")).toEqual(no);
    });

    test("same-bridge: not from one bridge to another, but within one", async () => {
      await call("ADD", "a", "same-bridge");
      // That one has no policy yet.
      expect(await reaches("a", "b")).toEqual(yes);
      await call("ADD", "b", "same-bridge");
      await call("ADD", "c", "same-bridge");
      expect([await tries("a", "b"), await tries("b", "a"), await reaches("a", "c")]).toEqual([no, no, yes]);
    });

    test("isolated: not within one bridge either, but to those who have no policy", async () => {
      await call("ADD", "a", "isolated");
      await call("ADD", "c", "isolated");
      expect([await tries("a", "c"), await reaches("a", "b"), await reaches("b", "a")]).toEqual([no, yes, yes]);
      await call("ADD", "b", "same-bridge");
      expect([await tries("a", "b"), await tries("b", "a")]).toEqual([no, no]);
    });
  });
