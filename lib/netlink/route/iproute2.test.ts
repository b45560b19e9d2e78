// The same command asked by iproute2 and by us: what it sends, seen by strace, and what we would send, side by side.
import { readFileSync, rmSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { familyHeaderBytes, hex, requestBytes } from "../../../testing/golden.ts";
import { describeWith } from "../../../testing/needs.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { ip, prefix } from "../../../testing/runtime.ts";
import type { UnknownAttr } from "../wire/attrs.ts";
import { parseFrames, type Request } from "../wire/conversation.ts";
import { addAddr, delAddr } from "./addr.ts";
import { addBridge, addIfb, addVeth, delGroup, delLink, setLink } from "./link.ts";
import { addVlans, delVlan, setPort } from "./port.ts";
import { addRoute } from "./route.ts";

const NLM_F_EXCL = 0x200;

describeWith(["cell", "ip", "strace"], "iproute2 sends the same", () => {
  let node: TestNode;
  const index = { bridge: 0, port: 0 };
  const trace = `/run/strace-${process.pid}`;

  beforeAll(async () => {
    node = await makeNode();
    await node.container("pod");
    await node.run("ip", "link", "add", "cni0", "type", "bridge");
    await node.run("ip", "link", "add", "left", "master", "cni0", "type", "veth", "peer", "name", "right");
    await node.run("ip", "link", "set", "cni0", "up");
    await node.run("ip", "addr", "add", "10.244.1.1/24", "dev", "cni0");
    for (const { ifname, ifindex } of await node.ip("link")) {
      if (ifname === "cni0") index.bridge = ifindex as number;
      if (ifname === "left") index.port = ifindex as number;
    }
  });
  afterAll(async () => {
    rmSync(trace, { force: true });
    await node.close();
  });

  /** The last message that a command sent, whatever the kernel thought of it. */
  async function sentBy(command: string): Promise<Uint8Array> {
    const strace = `strace -qq -e trace=sendmsg -e write=all -o ${trace} ${command}`;
    await node.run("sh", "-c", `${strace} || true`);
    const last = readFileSync(trace, "utf8").split("sendmsg(").at(-1) ?? "";
    const dump = [...last.matchAll(/^ \| [\da-f]{5} {2}([\da-f ]{48,49}) /gm)];
    return hex(...dump.map(([, digits = ""]) => digits));
  }

  /** A message taken apart: what it asks, its header, its attributes by the request's own table. */
  function apart(bytes: Uint8Array, request: Request) {
    const [{ type, flags, payload } = { type: 0, flags: 0, payload: new Uint8Array(0) }] = parseFrames(bytes);
    const from = familyHeaderBytes({ type });
    const unknown: UnknownAttr[] = [];
    const attrs = request.set?.decode(payload, from, unknown);
    return { type, flags, header: [...payload.subarray(0, from)], attrs, unknown };
  }

  test.each<[command: string, request: () => Request]>([
    [
      "ip link add br1 address 0a:58:0a:f4:01:01 mtu 1450 type bridge",
      () => addBridge({ name: "br1", mac: "0a:58:0a:f4:01:01", mtu: 1450 }),
    ],
    [
      "ip link add br2 address 0a:58:0a:f4:01:01 type bridge vlan_filtering 1",
      () => addBridge({ name: "br2", mac: "0a:58:0a:f4:01:01", vlanFiltering: true }),
    ],
    [
      "ip link add veth0 up address 0a:58:0a:f4:01:63 mtu 1450 txqueuelen 500 master cni0 type veth peer name eth0 address 0a:58:0a:f4:01:02 mtu 1400 txqueuelen 600",
      () =>
        addVeth({
          name: "veth0",
          up: true,
          mac: "0a:58:0a:f4:01:63",
          mtu: 1450,
          txQueueLength: 500,
          masterIfIndex: index.bridge,
          peer: { name: "eth0", mac: "0a:58:0a:f4:01:02", mtu: 1400, txQueueLength: 600 },
        }),
    ],
    [
      "ip link set left down promisc on address 0a:00:00:00:00:07 mtu 1400",
      () => setLink(index.port, { up: false, promisc: true, mac: "0a:00:00:00:00:07", mtu: 1400 }),
    ],
    ["ip link set left up", () => setLink(index.port, { up: true })],
    ["ip link set left alias weft group 7", () => setLink(index.port, { alias: "weft", group: 7 })],
    [
      "ip link set left allmulticast on txqueuelen 321",
      () => setLink(index.port, { allMulti: true, txQueueLength: 321 }),
    ],
    [
      "ip link add ifb7 up address 0a:58:0a:f4:01:02 mtu 1450 txqueuelen 0 type ifb",
      () => addIfb({ name: "ifb7", up: true, mac: "0a:58:0a:f4:01:02", mtu: 1450, txQueueLength: 0 }),
    ],
    ["ip link set left master cni0", () => setLink(index.port, { masterIfIndex: index.bridge })],
    ["ip addr add 10.9.0.1/24 broadcast 10.9.0.255 dev cni0", () => addAddr(index.bridge, prefix("10.9.0.1/24"))],
    ["ip addr add fd00:10::1/64 dev cni0", () => addAddr(index.bridge, prefix("fd00:10::1/64"))],
    ["ip addr del 10.9.0.1/24 dev cni0", () => delAddr(index.bridge, prefix("10.9.0.1/24"))],
    [
      "ip route add 192.0.2.0/24 via 10.244.1.9 dev cni0 metric 7 mtu 1300 advmss 1260",
      () =>
        addRoute({
          dst: prefix("192.0.2.0/24"),
          gw: ip("10.244.1.9"),
          ifIndex: index.bridge,
          priority: 7,
          mtu: 1300,
          advmss: 1260,
        }),
    ],
    [
      "ip route add 198.51.100.0/24 dev cni0 table 1000",
      () => addRoute({ dst: prefix("198.51.100.0/24"), ifIndex: index.bridge, table: 1000, scope: 253 }),
    ],
    [
      "ip -6 route add 2001:db8::/32 via fd00:10::9 dev cni0 table 100",
      () => addRoute({ dst: prefix("2001:db8::/32"), gw: ip("fd00:10::9"), ifIndex: index.bridge, table: 100 }),
    ],
    ["bridge link set dev left hairpin on isolated off", () => setPort(index.port, { hairpin: true, isolated: false })],
    [
      "bridge vlan add dev left vid 5 pvid untagged master",
      () => addVlans(index.port, [{ first: 5, last: 5, pvid: true, untagged: true }]),
    ],
    [
      "bridge vlan add dev left vid 10-20 master",
      () => addVlans(index.port, [{ first: 10, last: 20, pvid: false, untagged: false }]),
    ],
    ["bridge vlan del dev left vid 5 master", () => delVlan(index.port, 5)],
    ["ip link del left", () => delLink(index.port)],
    ["ip link del group 7", () => delGroup(7)],
  ])("%s", async (command, make) => {
    const request = make();
    const theirs = apart(await sentBy(command), request);
    const ours = apart(requestBytes(request), request);
    // A route of the same place by another way is wanted beside the first: iproute2 would not have it.
    const flags = command.includes(" route add") ? ours.flags | NLM_F_EXCL : ours.flags;
    expect(theirs).toEqual({ ...ours, flags });
  });
});
