// CHECK over the real kernel: silent after ADD, and for each thing that ADD set up, broken alone with iproute2 or sysctl,
// an error that names it.
import { afterEach, beforeEach, expect, test } from "vitest";
import { layer2, layer3, makeBridgeNode, type BridgeNode } from "../../testing/bridge.ts";
import { describeWith } from "../../testing/needs.ts";
import { ip, prefix } from "../../testing/runtime.ts";
import { CniError } from "../../lib/cni/error.ts";
import type { Result } from "../../lib/cni/result.ts";

let on: BridgeNode;
let pod: string;
beforeEach(async () => {
  on = await makeBridgeNode();
  pod = await on.node.container("a");
});
afterEach(() => on.close());

const full = {
  ...layer3,
  cniVersion: "1.1.0",
  isDefaultGateway: true,
  mtu: 1450,
  hairpinMode: true,
  portIsolation: true,
};
const ips = ["10.1.0.5/24 10.1.0.1", "fd00:1::5/64 fd00:1::1"];
const routes = [
  "10.8.0.0/16",
  "192.0.2.0/24 via 10.1.0.9",
  { dst: prefix("198.51.100.0/24"), gw: ip("10.1.0.9"), mtu: 1400, advmss: 1360 },
  { dst: prefix("203.0.113.0/24"), gw: ip("10.1.0.9"), priority: 7, table: 100 },
  "fd00:8::/48",
  { dst: prefix("fd00:9::/48"), gw: ip("fd00:1::9"), mtu: 1400, priority: 77 },
];

/** One container with all of it, and the error that CHECK has after `damage`; nothing is wrong before. */
async function checkAfter(damage: (port: string) => Promise<unknown>, conf: object = full): Promise<CniError> {
  const result = await on.add({ netns: pod, conf, ips, routes: conf === full ? routes : [] });
  await on.check(result, { netns: pod, conf });
  await damage(result.interfaces[1]?.name ?? "");
  return refused(result, conf);
}

async function refused(result: Result, conf: object = full, netns = pod): Promise<CniError> {
  try {
    await on.check(result, { netns, conf });
  } catch (error) {
    if (error instanceof CniError) return error;
    throw error;
  }
  throw new Error("CHECK was silent");
}

const onNode = (...args: string[]) => on.node.run("ip", ...args);
const inPod = (...args: string[]) => on.node.run("ip", "-n", pod.slice("/run/netns/".length), ...args);

describeWith(["cell", "ip"], "bridge CHECK names what is broken", () => {
  type Damage = readonly [what: string, damage: (port: string) => Promise<unknown>, message: string | RegExp];
  const damages: readonly Damage[] = [
    ["the bridge is gone", () => onNode("link", "del", "cni0"), /^Interface name cni0 not found; .*is no port of/],
    ["the bridge is down", () => onNode("link", "set", "cni0", "down"), /^Bridge interface cni0 is down/],
    [
      "the bridge's MAC",
      () => onNode("link", "set", "cni0", "address", "02:00:00:00:00:01"),
      /^Bridge interface cni0 Mac doesn't match: recorded [\da-f:]+, found 02:00:00:00:00:01$/,
    ],
    [
      "a gateway, IPv4",
      () => onNode("addr", "del", "10.1.0.1/24", "dev", "cni0"),
      "Gateway 10.1.0.1/24 is not on cni0",
    ],
    [
      "a gateway, IPv6",
      () => onNode("addr", "del", "fd00:1::1/64", "dev", "cni0"),
      "Gateway fd00:1::1/64 is not on cni0",
    ],
    ["forwarding, IPv4", () => on.setSysctl("net/ipv4/ip_forward", "0"), "The node does not forward IPv4"],
    ["forwarding, IPv6", () => on.setSysctl("net/ipv6/conf/all/forwarding", "0"), "The node does not forward IPv6"],
    ["the port is down", (port) => onNode("link", "set", port, "down"), /^Interface veth[\da-f]{8} is down$/],
    [
      "the port is on no bridge",
      (port) => onNode("link", "set", port, "nomaster"),
      /^Interface veth[\da-f]{8} is no port of bridge cni0$/,
    ],
    [
      "the port's MAC",
      (port) => onNode("link", "set", port, "address", "02:00:00:00:00:02"),
      /^Interface veth[\da-f]{8} Mac doesn't match: recorded fe:[\da-f:]+, found 02:00:00:00:00:02$/,
    ],
    [
      "the port's MTU",
      (port) => onNode("link", "set", port, "mtu", "1500"),
      /^Interface veth\w+ has MTU 1500, recorded 1450$/,
    ],
    [
      "the port's transmit queue",
      (port) => onNode("link", "set", port, "txqueuelen", "500"),
      /^Interface veth[\da-f]{8} has a transmit queue of 500, ADD set 0$/,
    ],
    [
      "the port's alias",
      (port) => onNode("link", "set", port, "alias", ""),
      /^Interface veth[\da-f]{8} has alias none, ADD set "cni:net:c0:eth0"$/,
    ],
    [
      "the bridge's note of its gateways",
      () => onNode("link", "set", "cni0", "alias", ""),
      "The alias of cni0 does not note 10.1.0.1/24, fd00:1::1/64 as gateways of net",
    ],
    [
      "hairpin",
      (port) => on.node.run("bridge", "link", "set", "dev", port, "hairpin", "off"),
      /^Port veth[\da-f]{8} has hairpin off, configured on$/,
    ],
    [
      "isolation",
      (port) => on.node.run("bridge", "link", "set", "dev", port, "isolated", "off"),
      /^Port veth[\da-f]{8} has isolated off, configured on$/,
    ],
    [
      "the container's link is gone",
      () => inPod("link", "del", "eth0"),
      "CNI created interface in container eth0 not found",
    ],
    ["the container's link is down", () => inPod("link", "set", "eth0", "down"), /Interface eth0 is down(;|$)/],
    [
      "the container's MAC",
      () => inPod("link", "set", "eth0", "address", "02:00:00:00:00:03"),
      /^Interface eth0 Mac [\da-f:]+ doesn't match container Mac: 02:00:00:00:00:03$/,
    ],
    [
      "the container's MTU",
      () => inPod("link", "set", "eth0", "mtu", "1500"),
      "Interface eth0 has MTU 1500, its port 1450",
    ],
    [
      "another link of that name",
      async () => {
        await inPod("link", "set", "eth0", "down");
        await inPod("link", "set", "eth0", "name", "moved");
        await inPod("link", "add", "eth0", "type", "bridge");
      },
      /^Container interface eth0 not of type veth/,
    ],
    [
      "an address, IPv4",
      () => inPod("addr", "del", "10.1.0.5/24", "dev", "eth0"),
      /^Failed to match addr 10\.1\.0\.5\/24 on interface eth0/,
    ],
    [
      "an address of another length",
      async () => {
        await inPod("addr", "add", "10.1.0.5/25", "dev", "eth0");
        await inPod("addr", "del", "10.1.0.5/24", "dev", "eth0");
      },
      /^Failed to match addr 10\.1\.0\.5\/24 on interface eth0/,
    ],
    [
      "an address, IPv6",
      () => inPod("addr", "del", "fd00:1::5/64", "dev", "eth0"),
      /^Failed to match addr fd00:1::5\/64 on interface eth0/,
    ],
    [
      "the subnet's route, IPv4",
      () => inPod("route", "del", "10.1.0.0/24"),
      "No route to the subnet of 10.1.0.5/24 on interface eth0",
    ],
    [
      "the subnet's route, IPv6",
      () => inPod("-6", "route", "del", "fd00:1::/64"),
      "No route to the subnet of fd00:1::5/64 on interface eth0",
    ],
    [
      "a route",
      () => inPod("route", "del", "10.8.0.0/16"),
      "Expected Route 10.8.0.0/16 via 10.1.0.1 not found in routing table",
    ],
    [
      "the default route, IPv4",
      () => inPod("route", "del", "default"),
      "Expected Route 0.0.0.0/0 via 10.1.0.1 not found in routing table",
    ],
    [
      "the default route's gateway",
      () => inPod("route", "replace", "default", "via", "10.1.0.77"),
      "Expected Route 0.0.0.0/0 via 10.1.0.1 not found in routing table",
    ],
    [
      "the default route, IPv6",
      () => inPod("-6", "route", "del", "default"),
      "Expected Route ::/0 via fd00:1::1 not found in routing table",
    ],
    [
      "a route's gateway that the result leaves open",
      () => inPod("route", "replace", "10.8.0.0/16", "dev", "eth0"),
      "Expected Route 10.8.0.0/16 via 10.1.0.1 not found in routing table",
    ],
    [
      "a route's gateway",
      () => inPod("route", "replace", "192.0.2.0/24", "via", "10.1.0.8"),
      "Expected Route 192.0.2.0/24 via 10.1.0.9 not found in routing table",
    ],
    [
      "a route's MTU",
      () => inPod("route", "replace", "198.51.100.0/24", "via", "10.1.0.9", "mtu", "1300", "advmss", "1360"),
      "Expected Route 198.51.100.0/24 via 10.1.0.9 mtu 1400 advmss 1360 not found in routing table",
    ],
    [
      "a route's advmss",
      () => inPod("route", "replace", "198.51.100.0/24", "via", "10.1.0.9", "mtu", "1400"),
      "Expected Route 198.51.100.0/24 via 10.1.0.9 mtu 1400 advmss 1360 not found in routing table",
    ],
    [
      "a route's priority",
      async () => {
        await inPod("route", "del", "203.0.113.0/24", "table", "100");
        await inPod("route", "add", "203.0.113.0/24", "via", "10.1.0.9", "table", "100", "metric", "8");
      },
      "Expected Route 203.0.113.0/24 via 10.1.0.9 priority 7 table 100 not found in routing table",
    ],
    [
      "a route's table",
      async () => {
        await inPod("route", "del", "203.0.113.0/24", "table", "100");
        await inPod("route", "add", "203.0.113.0/24", "via", "10.1.0.9", "metric", "7");
      },
      "Expected Route 203.0.113.0/24 via 10.1.0.9 priority 7 table 100 not found in routing table",
    ],
    [
      "a route's priority, IPv6",
      async () => {
        await inPod("-6", "route", "del", "fd00:9::/48");
        await inPod("-6", "route", "add", "fd00:9::/48", "via", "fd00:1::9", "mtu", "1400");
      },
      "Expected Route fd00:9::/48 via fd00:1::9 priority 77 mtu 1400 not found in routing table",
    ],
    [
      "accept_ra",
      () => on.setSysctl("net/ipv6/conf/eth0/accept_ra", "1", pod),
      "Interface eth0 has accept_ra 1, ADD set 0",
    ],
    [
      "autoconf",
      () => on.setSysctl("net/ipv6/conf/eth0/autoconf", "1", pod),
      "Interface eth0 has autoconf 1, ADD set 0",
    ],
    [
      "arp_notify",
      () => on.setSysctl("net/ipv4/conf/eth0/arp_notify", "0", pod),
      "Interface eth0 has arp_notify 0, ADD set 1",
    ],
    [
      "ndisc_notify",
      () => on.setSysctl("net/ipv6/conf/eth0/ndisc_notify", "0", pod),
      "Interface eth0 has ndisc_notify 0, ADD set 1",
    ],
    [
      "accept_dad",
      () => on.setSysctl("net/ipv6/conf/eth0/accept_dad", "1", pod),
      "Interface eth0 has accept_dad 1, ADD set 0",
    ],
    [
      "keep_addr_on_down",
      () => on.setSysctl("net/ipv6/conf/eth0/keep_addr_on_down", "0", pod),
      "Interface eth0 has keep_addr_on_down 0, ADD set 1",
    ],
    [
      "IPv6 of the loopback link",
      () => on.setSysctl("net/ipv6/conf/lo/disable_ipv6", "1", pod),
      "Interface lo has disable_ipv6 1, ADD set 0",
    ],
    [
      "the bridge's accept_ra",
      () => on.setSysctl("net/ipv6/conf/cni0/accept_ra", "1"),
      "Interface cni0 has accept_ra 1, ADD set 0",
    ],
    [
      "the port's accept_ra",
      (port) => on.setSysctl(`net/ipv6/conf/${port}/accept_ra`, "1"),
      /^Interface veth[\da-f]{8} has accept_ra 1, ADD set 0$/,
    ],
    [
      "IPv6 turned off",
      () => on.setSysctl("net/ipv6/conf/eth0/disable_ipv6", "1", pod),
      /Interface eth0 has disable_ipv6 1, ADD set 0/,
    ],
  ];
  test.each(damages)("%s", async (_, damage, message) => {
    expect((await checkAfter(damage)).message).toMatch(message);
  });

  test("a route's scope", async () => {
    const withScope = [{ dst: prefix("203.0.113.0/24"), scope: 253 }];
    const conf = { ...full, isGateway: false, isDefaultGateway: false };
    const result = await on.add({ netns: pod, conf, ips: ["10.1.0.5/24"], routes: withScope });
    await on.check(result, { netns: pod, conf });
    await inPod("route", "replace", "203.0.113.0/24", "dev", "eth0", "scope", "global");
    expect((await refused(result, conf)).message).toBe(
      "Expected Route 203.0.113.0/24 scope 253 not found in routing table",
    );
  });

  test.each(["enhanced_dad", "accept_dad"])("%s, with enabledad", async (key) => {
    const conf = { ...full, enabledad: true };
    const error = await checkAfter(() => on.setSysctl(`net/ipv6/conf/eth0/${key}`, "0", pod), conf);
    expect(error.message).toBe(`Interface eth0 has ${key} 0, ADD set 1`);
  });

  test("promiscMode", async () => {
    const conf = { ...layer3, promiscMode: true };
    expect((await checkAfter(() => onNode("link", "set", "cni0", "promisc", "off"), conf)).message).toBe(
      "Bridge interface cni0 configured Promisc Mode true doesn't match current state: false",
    );
  });

  test.each([
    ["hairpin", ["hairpin", "on"]],
    ["isolated", ["isolated", "on"]],
  ])("%s, on though it is not configured", async (flag, args) => {
    const error = await checkAfter((port) => on.node.run("bridge", "link", "set", "dev", port, ...args), layer2);
    expect(error.message).toMatch(new RegExp(`^Port veth\\w+ has ${flag} on, configured off$`));
  });

  test("all of it, in one error", async () => {
    const { message } = await checkAfter(async (port) => {
      await on.node.run("bridge", "link", "set", "dev", port, "hairpin", "off");
      await inPod("route", "del", "default");
      await on.setSysctl("net/ipv4/ip_forward", "0");
    });
    expect(message).toContain("has hairpin off");
    expect(message).toContain("Expected Route 0.0.0.0/0");
    expect(message).toContain("The node does not forward IPv4");
  });

  test("IPAM's error comes through with its code, and the rest is looked at all the same", async () => {
    const result = await on.add({ netns: pod, conf: full, ips });
    on.ipam.refusal = new CniError({ code: 100 }, "host-local: Failed to find address added by container c0");
    expect(await refused(result)).toMatchObject({
      code: 100,
      message: "host-local: Failed to find address added by container c0",
    });
    await on.setSysctl("net/ipv4/ip_forward", "0");
    expect(await refused(result)).toMatchObject({
      code: 100,
      message: "host-local: Failed to find address added by container c0; The node does not forward IPv4",
    });
  });
});

describeWith(["cell", "ip"], "bridge CHECK holds result and configuration together", () => {
  test("no result", async () => {
    const error = await on.runtime.refusal({ verb: "CHECK", conf: layer2, netns: pod });
    expect(error).toMatchObject({ code: 7, message: "Required prevResult missing" });
  });

  test("another netns than the result's", async () => {
    const other = await on.node.container("b");
    const result = await on.add({ netns: pod, conf: full, ips });
    expect((await refused(result, full, other)).message).toMatch(
      `Sandbox in prevResult ${pod} doesn't match configured netns: ${other}`,
    );
  });

  test("another bridge than the result's", async () => {
    const result = await on.add({ netns: pod, conf: layer2 });
    expect((await refused(result, { ...layer2, bridge: "cni1" })).message).toMatch(
      'Interface name missing: prevResult has no link "cni1" on the node',
    );
  });

  test("a port the result does not know", async () => {
    const result = await on.add({ netns: pod, conf: layer2 });
    const { interfaces } = result;
    const without = { ...result, interfaces: interfaces.filter((_, at) => at !== 1) };
    expect((await refused(without, layer2)).message).toBe("CNI veth created for bridge cni0 was not found");
  });

  test("a netns that is gone", async () => {
    const result = await on.add({ netns: pod, conf: layer2 });
    await on.node.run("ip", "netns", "del", pod.slice("/run/netns/".length));
    expect((await refused(result, layer2)).message).toMatch(`failed to open netns "${pod}": failed to Statfs`);
  });
});

describeWith(["cell", "ip"], "bridge CHECK is silent", () => {
  test("while somebody listens on the bridge", async () => {
    const result = await on.add({ netns: pod, conf: full, ips });
    // A macvlan in this mode does as a sniffer does: it raises the counter, and not the flag.
    await onNode("link", "add", "link", "cni0", "name", "mv0", "type", "macvlan", "mode", "passthru");
    await onNode("link", "set", "mv0", "up");
    expect((await on.node.ip("link show cni0"))[0]).toMatchObject({ promiscuity: 1 });
    await on.check(result, { netns: pod, conf: full });
  });

  test("where the bridge follows the MACs of its ports, as one made by Go may", async () => {
    const conf = layer2;
    await onNode("link", "add", "cni0", "type", "bridge");
    await onNode("link", "set", "cni0", "up");
    const result = await on.add({ netns: pod, conf });
    const before = (await on.link("cni0"))?.address;
    await onNode("link", "add", "low0", "address", "00:00:00:00:00:07", "type", "veth", "peer", "name", "low1");
    await onNode("link", "set", "low0", "master", "cni0");
    expect((await on.link("cni0"))?.address).toBe("00:00:00:00:00:07");
    expect(before).not.toBe("00:00:00:00:00:07");
    await on.check(result, { netns: pod, conf });
  });

  test("with addresses, routes and MTU that a later plugin added, and its MAC where the result has it", async () => {
    const conf = { ...full, cniVersion: "1.0.0" };
    const { interfaces, ...result } = await on.add({ netns: pod, conf, ips });
    await inPod("addr", "add", "10.99.0.5/24", "dev", "eth0");
    await inPod("route", "add", "10.98.0.0/16", "via", "10.99.0.1");
    await inPod("link", "set", "eth0", "mtu", "1400");
    await inPod("link", "set", "eth0", "address", "02:00:00:00:00:03");
    const tuned = interfaces.map((each) => (each.sandbox ? { ...each, mac: "02:00:00:00:00:03" } : each));
    await on.check({ interfaces: tuned, ...result }, { netns: pod, conf });
  });

  test("where a later plugin changed the MTU, of the container's end or of both, and the result does not say so", async () => {
    const result = await on.add({ netns: pod, conf: full, ips });
    await inPod("link", "set", "eth0", "mtu", "1400");
    await on.check(result, { netns: pod, conf: full });
    for (const mtu of ["1300", "1500"]) {
      await onNode("link", "set", result.interfaces[1]?.name ?? "", "mtu", mtu);
      await inPod("link", "set", "eth0", "mtu", mtu);
      await on.check(result, { netns: pod, conf: full });
    }
  });

  test("where a later plugin made the MTU of the container's end larger, and the result does not deny it", async () => {
    const { interfaces, ...result } = await on.add({ netns: pod, conf: full, ips });
    await inPod("link", "set", "eth0", "mtu", "1500");
    for (const mtu of [1500, undefined])
      await on.check(
        { ...result, interfaces: interfaces.map((each) => (each.sandbox ? { ...each, mtu } : each)) },
        { netns: pod, conf: full },
      );
  });

  test("on two IPv6 routes to one place, which the kernel makes one", async () => {
    const conf = { ...full, isDefaultGateway: false };
    const result = await on.add({
      netns: pod,
      conf,
      ips,
      routes: ["fd00:8::/48 via fd00:1::8", "fd00:8::/48 via fd00:1::9"],
    });
    expect(await on.routes(pod, 6)).toContainEqual(
      expect.objectContaining({ dst: "fd00:8::/48", nexthops: expect.anything() }),
    );
    await on.check(result, { netns: pod, conf });
    await inPod("-6", "route", "del", "fd00:8::/48", "via", "fd00:1::9");
    expect((await refused(result, conf)).message).toBe(
      "Expected Route fd00:8::/48 via fd00:1::9 not found in routing table",
    );
  });

  test("for layer 2, and with a container's link that is meant to be down", async () => {
    for (const conf of [layer2, { ...layer2, disableContainerInterface: true }]) {
      const result = await on.add({ netns: pod, conf });
      await on.check(result, { netns: pod, conf });
      await on.del({ netns: pod, conf });
    }
    expect(on.ipam.asked).toEqual([]);
  });
});
