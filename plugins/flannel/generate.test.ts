import { expect, test } from "vitest";
import { parseConfig } from "../../lib/cni/config.ts";
import { sortedJson, type PlainJson } from "../../lib/cni/json.ts";
import { parseSubnetEnv } from "../../lib/flannel/subnet-env.ts";
import { testHost } from "../../testing/host.ts";
import type { FlannelConf } from "./conf.ts";
import { delegateConfig, generate, generateBestEffort } from "./generate.ts";

const kube = "FLANNEL_NETWORK=10.244.0.0/16\nFLANNEL_SUBNET=10.244.1.1/24\nFLANNEL_MTU=1450\nFLANNEL_IPMASQ=true\n";
const dual = `${kube}FLANNEL_IPV6_NETWORK=fd00:10:244::/48\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\n`;
const v6 =
  "FLANNEL_IPV6_NETWORK=fd00:10:244::/48\nFLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64\nFLANNEL_MTU=1430\nFLANNEL_IPMASQ=false\n";

const conf = (more: Partial<FlannelConf> = {}): FlannelConf => ({
  subnetFile: "subnet.env",
  dataDir: "",
  delegate: {},
  ipam: {},
  runtimeConfig: undefined,
  cniVersion: "0.3.1",
  ...more,
});

const bridge = (more: Record<string, PlainJson>): Record<string, PlainJson> => ({
  cniVersion: "0.3.1",
  ipMasq: false,
  ipam: { ranges: [[{ subnet: "10.244.1.0/24" }]], routes: [{ dst: "10.244.0.0/16" }], type: "host-local" },
  isGateway: true,
  mtu: 1450,
  name: "cbr0",
  type: "bridge",
  ...more,
});
const ranges = (...subnets: string[]) => subnets.map((subnet) => [{ subnet }]);

const rows: readonly [name: string, conf: FlannelConf, env: string, want: Record<string, PlainJson>][] = [
  [
    "kube-flannel's own: the delegate keeps what it says",
    conf({ delegate: { hairpinMode: true, isDefaultGateway: true } }),
    kube,
    bridge({ hairpinMode: true, isDefaultGateway: true }),
  ],
  ["flanneld does not masquerade: the bridge does", conf(), kube.replace("true", "false"), bridge({ ipMasq: true })],
  ["only the word true is true", conf(), kube.replace("true", "TRUE"), bridge({ ipMasq: true })],
  [
    "a key that is null or false is there",
    conf({ delegate: { mtu: null, isGateway: false } }),
    kube,
    bridge({ mtu: null, isGateway: false }),
  ],
  [
    "another delegate is given no isGateway",
    conf({ delegate: { type: "ptp" } }),
    kube,
    (({ isGateway: _, ...rest }) => rest)(bridge({ type: "ptp" })),
  ],
  [
    "no version, none for the delegate",
    conf({ cniVersion: "" }),
    kube,
    (({ cniVersion: _, ...rest }) => rest)(bridge({})),
  ],
  ["runtimeConfig is handed on", conf({ runtimeConfig: { mac: "x" } }), kube, bridge({ runtimeConfig: { mac: "x" } })],
  [
    "ipam: ranges are replaced, routes added to, the rest kept",
    conf({ ipam: { type: "other", ranges: [1], routes: [{ dst: "1.0.0.0/8" }], dataDir: "/d", subnet: "kept" } }),
    kube,
    bridge({
      ipam: {
        dataDir: "/d",
        ranges: ranges("10.244.1.0/24"),
        routes: [{ dst: "1.0.0.0/8" }, { dst: "10.244.0.0/16" }],
        subnet: "kept",
        type: "other",
      },
    }),
  ],
  [
    "both families, IPv4 first",
    conf(),
    dual,
    bridge({
      ipam: {
        ranges: ranges("10.244.1.0/24", "fd00:10:244:1::/64"),
        routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00:10:244::/48" }],
        type: "host-local",
      },
    }),
  ],
  [
    "IPv6 alone",
    conf(),
    v6,
    bridge({
      ipMasq: true,
      mtu: 1430,
      ipam: { ranges: ranges("fd00:10:244:1::/64"), routes: [{ dst: "fd00:10:244::/48" }], type: "host-local" },
    }),
  ],
];

test.for(rows)("%s", ([, given, env, want]) => {
  const delegate = generate(given, "cbr0", parseSubnetEnv(env, "subnet.env"));
  const config = delegateConfig(delegate);
  expect(JSON.parse(config.text)).toEqual(want);
  expect(config.text).toBe(sortedJson(want));
  expect(config.tree).toEqual(parseConfig(config.text).tree);
  expect(delegate.type).toBe(want.type);
});

test("nothing of the configuration that came in is changed", () => {
  const given = conf({ delegate: { a: 1 }, ipam: { routes: [{ dst: "1.0.0.0/8" }] } });
  const before = structuredClone(given);
  generate(given, "cbr0", parseSubnetEnv(kube, "subnet.env"));
  expect(given).toEqual(before);
});

test("without subnet.env there is a range all the same: Go's host-local frees nothing without one", () => {
  const { fields } = generateBestEffort(conf({ subnetFile: "/nowhere/subnet.env" }), "cbr0", testHost({}).host);
  expect(fields).toEqual(bridge({ mtu: 0, ipam: { ranges: ranges("192.0.2.0/24"), routes: [], type: "host-local" } }));
});
