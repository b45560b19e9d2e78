import { describe, expect, test } from "vitest";
import type { Result } from "../../lib/cni/result.ts";
import { formatIp, parseIp, type Ip } from "../../lib/ip/ip.ts";
import { formatPrefix, parsePrefix, type Prefix } from "../../lib/ip/prefix.ts";
import { overlap, planLayer3, type GatewayConf } from "./desired.ts";

function prefix(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}
function ip(text: string): Ip {
  const parsed = parseIp(text);
  if (parsed === undefined) throw new Error(text);
  return parsed;
}

/** IPAM's answer: "address [gateway]" and "dst [via gw]". */
function answer(ips: readonly string[], routes: readonly string[] = []): Result {
  return {
    interfaces: [],
    ips: ips.map((text) => {
      const [address = "", gateway] = text.split(" ");
      return gateway === undefined ? { address: prefix(address) } : { address: prefix(address), gateway: ip(gateway) };
    }),
    routes: routes.map((text) => {
      const [dst = "", gw] = text.split(" via ");
      return gw === undefined ? { dst: prefix(dst) } : { dst: prefix(dst), gw: ip(gw) };
    }),
    dns: {},
  };
}

const modes: Record<"plain" | "gateway" | "default", GatewayConf> = {
  plain: { isGateway: false, isDefaultGateway: false },
  gateway: { isGateway: true, isDefaultGateway: false },
  default: { isGateway: true, isDefaultGateway: true },
};

const via = ({ dst, gw }: { dst: Prefix; gw?: Ip | undefined }) =>
  formatPrefix(dst) + (gw === undefined ? "" : ` via ${formatIp(gw)}`);

describe("gateways and default routes", () => {
  test.each<{
    title: string;
    mode: keyof typeof modes;
    ips: string[];
    routes?: string[];
    gateway: (string | undefined)[];
    reported: string[];
    bridge: string[];
  }>([
    {
      title: "without isGateway IPAM's word stands and the bridge gets nothing",
      mode: "plain",
      ips: ["10.1.0.5/24"],
      routes: ["10.0.0.0/8"],
      gateway: [undefined],
      reported: ["10.0.0.0/8"],
      bridge: [],
    },
    {
      title: "a gateway IPAM does not name is the subnet's first address",
      mode: "gateway",
      ips: ["10.1.0.5/24", "fd00::5/64"],
      gateway: ["10.1.0.1", "fd00::1"],
      reported: [],
      bridge: ["10.1.0.1/24", "fd00::1/64"],
    },
    {
      title: "isDefaultGateway adds one default route for each family",
      mode: "default",
      ips: ["10.1.0.5/24", "10.2.0.5/24 10.2.0.254", "fd00::5/64"],
      routes: ["10.0.0.0/8"],
      gateway: ["10.1.0.1", "10.2.0.254", "fd00::1"],
      reported: ["10.0.0.0/8", "0.0.0.0/0 via 10.1.0.1", "::/0 via fd00::1"],
      bridge: ["10.1.0.1/24", "10.2.0.254/24", "fd00::1/64"],
    },
    {
      title: "a default route with a gateway is enough",
      mode: "default",
      ips: ["10.1.0.5/24"],
      routes: ["0.0.0.0/0 via 10.1.0.9"],
      gateway: ["10.1.0.1"],
      reported: ["0.0.0.0/0 via 10.1.0.9"],
      bridge: ["10.1.0.1/24"],
    },
    {
      title: "so is one without",
      mode: "default",
      ips: ["10.1.0.5/24"],
      routes: ["0.0.0.0/0"],
      gateway: ["10.1.0.1"],
      reported: ["0.0.0.0/0"],
      bridge: ["10.1.0.1/24"],
    },
    {
      title: "two addresses of one subnet share its gateway",
      mode: "gateway",
      ips: ["10.1.0.5/24", "10.1.0.6/24"],
      gateway: ["10.1.0.1", "10.1.0.1"],
      reported: [],
      bridge: ["10.1.0.1/24"],
    },
    {
      title: "the last address of all has none after it",
      mode: "gateway",
      ips: ["255.255.255.255/32"],
      gateway: [undefined],
      reported: [],
      bridge: [],
    },
  ])("$title", ({ mode, ips, routes, gateway, reported, bridge }) => {
    const plan = planLayer3(answer(ips, routes), modes[mode]);
    expect(plan.ips.map((each) => each.gateway && formatIp(each.gateway))).toEqual(gateway);
    expect(plan.ips.map((each) => each.interface)).toEqual(ips.map(() => 2));
    expect(plan.routes.map(via)).toEqual(reported);
    expect(plan.gateways.map(formatPrefix)).toEqual(bridge);
  });

  test("no address is an error with the Go plugin's words", () => {
    expect(() => planLayer3(answer([]), modes.gateway)).toThrow("IPAM plugin returned missing IP config");
  });
});

describe("routes for the container's kernel", () => {
  const routesOf = (ips: string[], routes: string[]) =>
    planLayer3(answer(ips, routes), modes.plain).containerRoutes.map((r) => via(r) + (r.onlink ? " onlink" : ""));

  test("one without a gateway goes by way of its family's first", () => {
    expect(routesOf(["10.1.0.5/24 10.1.0.1", "10.2.0.5/24 10.2.0.1"], ["10.0.0.0/8", "fd01::/64"])).toEqual([
      "10.0.0.0/8 via 10.1.0.1",
      "fd01::/64",
    ]);
  });
  test("the same default route, said twice, is installed once", () => {
    expect(routesOf(["10.1.0.5/24 10.1.0.1"], ["0.0.0.0/0", "0.0.0.0/0 via 10.1.0.1"])).toEqual([
      "0.0.0.0/0 via 10.1.0.1",
    ]);
  });
  test("two ways to one place both stay", () => {
    expect(routesOf(["10.1.0.5/24"], ["10.0.0.0/8 via 10.1.0.1", "10.0.0.0/8 via 10.1.0.2"])).toHaveLength(2);
  });
  test("a gateway outside every subnet is on the link; a link-local one always is", () => {
    expect(routesOf(["10.1.0.5/32 169.254.1.1", "fd00::5/64 fe80::1"], ["0.0.0.0/0", "::/0"])).toEqual([
      "0.0.0.0/0 via 169.254.1.1 onlink",
      "::/0 via fe80::1",
    ]);
  });
  test("repeats that differ in a metric or table are two routes", () => {
    const dst = prefix("10.0.0.0/8");
    const plan = planLayer3(
      { ...answer(["10.1.0.5/24"]), routes: [{ dst }, { dst, priority: 5 }, { dst, table: 100 }, { dst, table: 254 }] },
      modes.plain,
    );
    expect(plan.containerRoutes).toHaveLength(3);
  });
});

test.each([
  ["10.1.0.1/24", "10.1.0.9/24", true],
  ["10.1.0.1/16", "10.1.5.1/24", true],
  ["10.1.5.1/24", "10.1.0.1/16", true],
  ["10.1.0.1/24", "10.2.0.1/24", false],
  ["fd00::1/64", "fd00:0:0:1::1/64", false],
  ["10.1.0.1/24", "fd00::1/64", false],
])("%s and %s overlap: %s", (a, b, want) => {
  expect(overlap(prefix(a), prefix(b))).toBe(want);
});
