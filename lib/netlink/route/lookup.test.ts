// Where packets would go, beside `ip route get`.
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../testing/needs.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { parseIp, type Ip } from "../../ip/ip.ts";
import { WireError } from "../wire/attrs.ts";
import { decodeWay } from "./lookup.ts";
import { openRoute, type RouteSocket } from "./open.ts";

test("an answer that is none", () => {
  expect(() => decodeWay(new Uint8Array(4))).toThrow(WireError);
});

describeWith(["cell", "ip"], "a route lookup", () => {
  let node: TestNode;
  let route: RouteSocket;
  beforeEach(async () => {
    node = await makeNode();
    route = openRoute(node.host());
    await node.run(
      "sh",
      "-ec",
      `ip link add br0 type bridge; ip link set br0 up; ip addr add 10.1.0.1/24 dev br0; ip addr add fd00:1::1/64 dev br0 nodad
       ip route add 10.2.0.0/16 via 10.1.0.9; ip -6 route add fd00:2::/64 via fd00:1::9; ip route add 10.5.0.0/16 via inet6 fd00:1::9
       ip route add unreachable 10.3.0.0/16; ip route add blackhole 10.4.0.0/16; ip route add prohibit 10.6.0.0/16`,
    );
  });
  afterEach(async () => {
    route.close();
    await node.close();
  });

  test.each([
    ["10.1.0.5", "unicast", true],
    ["fd00:1::5", "unicast", true],
    ["10.2.0.5", "unicast", false],
    ["fd00:2::5", "unicast", false],
    ["10.5.0.5", "unicast", false],
    ["10.1.0.1", "local", true],
    ["127.0.0.1", "local", true],
    ["10.1.0.255", "other", true],
  ] as const)("%s is %s, directly: %s", async (address, type, direct) => {
    const [told] = await node.ip(`route get ${address}`);
    const index = (await node.ip(`link show ${told?.dev}`))[0]?.ifindex;
    expect(route.route.lookUp(parseIp(address) as Ip)).toEqual({ type, ifIndex: index, direct });
  });

  test.each(["10.3.0.1", "10.4.0.1", "10.6.0.1", "192.0.2.1", "2001:db8::1"])("there is no way to %s", (address) => {
    expect(route.route.lookUp(parseIp(address) as Ip)).toBeUndefined();
  });
});
