// The page of errors and the code say the same; and what operators searched for in the Go plugins' errors is in ours.
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { errorPage, sections, textsIn } from "./error-page.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const all = sections.map(({ title, folders }) => ({ title, texts: textsIn(root, folders) }));

test("docs/errors.md is what the code says; -u writes it anew", async () => {
  await expect(errorPage(root)).toMatchFileSnapshot(`${root}/docs/errors.md`);
});

test("every error says what to do", () => {
  const silent = all
    .flatMap(({ texts }) => texts)
    .filter(({ kind, hints, details }) => kind === "error" && hints.length === 0 && !details.includes("<details>"));
  expect(silent.map(({ file, message }) => `${file}: ${message.text}`)).toEqual([]);
});

/** What operators search for: as the Go plugins print it, in the parts that `: ` joins where we join them, too. */
const go: readonly [plugin: string, ...parts: string[]][] = [
  ["Every plugin", 'failed to find plugin "host-local" in path [/opt/cni/bin]'],
  ["Every plugin", "no plugin name provided"],
  ["Every plugin", 'failed to open netns "/run/netns/x": failed to Statfs "/run/netns/x": no such file or directory'],
  ["Every plugin", "required env variables [CNI_NETNS,CNI_PATH] missing"],
  ["Every plugin", "plugin's netns and netns from CNI_NETNS should not be the same"],
  ["bridge", "IPAM plugin returned missing IP config"],
  ["bridge", 'container veth name ("eth0") peer provided ("vethd3adb33f") already exists'],
  ["bridge", 'failed to create bridge "cni0"', '"cni0" already exists but is not a bridge'],
  ["bridge", "failed to set bridge addr", '"cni0" already has an IP address different from 10.244.1.1/24'],
  ["bridge", "bridge port in error state: lower-layer-down"],
  ["bridge", 'failed to setup vlan tag on interface "vethd3adb33f"'],
  ["bridge", "failed to create vlan interface"],
  ["bridge", 'failed to settle addresses for "eth0": link eth0 has address fd00::5 in DADFAILED state'],
  ["bridge", 'failed to enable IPv6 for interface "eth0" (net/ipv6/conf/eth0/disable_ipv6=0)'],
  ["bridge", 'failed to enable keep_addr_on_down for interface "eth0"'],
  ["bridge", "failed to add route '10.244.0.0/16 via 10.244.1.1 dev eth0 metric 0 (Scope: global, Table: 0)'"],
  ["bridge", "Required prevResult missing"],
  ["host-local", "failed to allocate for range 0", "no IP addresses available in range set: 10.244.1.1-10.244.1.254"],
  [
    "host-local",
    "failed to allocate for range 0",
    "10.244.1.2 has been allocated to c0ffee, duplicate allocation is not allowed",
  ],
  ["host-local", "requested IP address 10.244.1.9 is not available in range set 10.244.1.1-10.244.1.254"],
  ["host-local", "host-local: Failed to find address added by container c0ffee"],
  [
    "flannel",
    "failed to load flannel 'subnet.env' file: open /run/flannel/subnet.env: no such file or directory. Check the flannel pod log for this node.",
  ],
  ["flannel", "/run/flannel/subnet.env is missing FLANNEL_MTU"],
  ["flannel", "failed to delegate add"],
  ["loopback", "loopback interface is down"],
  ["bandwidth", "adding link: file exists"],
  ["bandwidth", 'create qdisc: file exists: the root of "veth0a1b2c3d" is somebody else\'s'],
  ["bandwidth", "container interface eth0 has no veth peer"],
  ["firewall", "missing prevResult from earlier plugin"],
  ["firewall", 'unknown ingress policy: "closed"'],
  ["firewall", "could not initialize iptables protocol 1"],
  ["tuning", 'duplicated sysctl keys are not allowed: "net.core.somaxconn"'],
  ["tuning", 'invalid net sysctl key: "kernel/hostname"'],
  ["tuning", "Sysctl net.a is not allowed. Only the following sysctls are allowed: [net.b net.c]"],
];

describe("texts of the Go plugins are found in ours", () => {
  test.each(go)("%s: %s", (plugin, ...parts) => {
    const texts = all.find(({ title }) => title === plugin)?.texts ?? [];
    for (const part of parts) {
      // A text that is nearly all placeholders would match anything.
      const found = texts.filter(({ message }) => message.fixed >= 10 && new RegExp(`^${message.pattern}$`).test(part));
      expect(found, part).not.toEqual([]);
    }
  });

  test("flannel's older words are among its facts", () => {
    const texts = all.find(({ title }) => title === "flannel")?.texts ?? [];
    expect(texts.flatMap(({ details }) => details)).toContain("loadFlannelSubnetEnv failed");
  });
});
