// Every request on the real kernel, in a node of the test's own, judged by iproute2.
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../testing/needs.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { ip, prefix } from "../../../testing/runtime.ts";
import type { Host } from "../../host/host.ts";
import { sys } from "../../host/node.ts";
import { Conversation, NLM_F_DUMP, type Request } from "../wire/conversation.ts";
import { addAddr, delAddr } from "./addr.ts";
import { addBridge, addVeth, delGroup, delLink, setLink, type Link } from "./link.ts";
import { openRoute, type RouteSocket } from "./open.ts";
import { addVlans, setPort } from "./port.ts";
import { addRoute } from "./route.ts";

type Shown = Record<string, unknown>;

describeWith(["cell", "ip"], "rtnetlink on the kernel", () => {
  let node: TestNode;
  let host: Host;
  let route: RouteSocket;

  beforeEach(async () => {
    node = await makeNode();
    host = node.host();
    route = openRoute(host);
  });
  afterEach(async () => {
    route.close();
    await node.close();
  });

  /** What `body` throws, which it must. */
  function refusal(body: () => unknown): unknown {
    try {
      body();
    } catch (error) {
      return error;
    }
    throw new Error("not refused");
  }

  function link(name: string): Link {
    const found = route.link.get(name);
    if (found === undefined) throw new Error(`no link ${name}`);
    return found;
  }

  function makeBridge(name = "cni0"): number {
    route.change(addBridge({ name, mac: "0a:58:0a:f4:01:01", mtu: 1450 }));
    return link(name).ifIndex;
  }

  /** A bridge with an address of each family, up. */
  function makeGateway(): number {
    const ifIndex = makeBridge();
    route.change(
      setLink(ifIndex, { up: true }),
      addAddr(ifIndex, prefix("10.244.1.1/24")),
      addAddr(ifIndex, prefix("fd00:10::1/64"), { noDad: true }),
    );
    return ifIndex;
  }

  const show = async (args: string, netns?: string): Promise<Shown> => (await node.ip(args, netns))[0] ?? {};
  const names = async (): Promise<unknown[]> => (await node.ip("link")).map(({ ifname }) => ifname);

  test("a bridge with MAC and MTU", async () => {
    const ifIndex = makeBridge();
    expect(await show("link show cni0")).toMatchObject({
      ifindex: ifIndex,
      address: "0a:58:0a:f4:01:01",
      mtu: 1450,
      flags: ["BROADCAST", "MULTICAST"],
      linkinfo: { info_kind: "bridge" },
    });
  });

  test("a veth pair, one end a port of a bridge, the other made in another netns", async () => {
    const path = await node.container("pod");
    const netns = host.openNetns(path);
    const bridge = makeBridge();
    route.change(
      addVeth({
        name: "veth0",
        mac: "0a:58:0a:f4:01:63",
        mtu: 1400,
        txQueueLength: 500,
        masterIfIndex: bridge,
        up: true,
        peer: { name: "eth0", mac: "0a:58:0a:f4:01:02", mtu: 1300, txQueueLength: 600, netnsFd: netns.fd },
      }),
    );
    const outside = await show("link show veth0");
    expect(outside).toMatchObject({
      address: "0a:58:0a:f4:01:63",
      mtu: 1400,
      txqlen: 500,
      master: "cni0",
      linkinfo: { info_kind: "veth", info_slave_kind: "bridge" },
    });
    expect(outside.flags).toContain("UP");
    const inside = await show("link show eth0", path);
    expect(inside).toMatchObject({ address: "0a:58:0a:f4:01:02", mtu: 1300, txqlen: 600 });
    expect(inside.flags).not.toContain("UP");
    expect(await names()).not.toContain("eth0");

    const pod = openRoute(host, netns);
    const peer = pod.link.get("eth0");
    expect([link("veth0").peerIfIndex, peer?.peerIfIndex]).toEqual([inside.ifindex, outside.ifindex]);
    expect([link("veth0").peerNetnsId, link("veth0").masterIfIndex]).toEqual([outside.link_netnsid, bridge]);
    expect(pod.link.get("veth0")).toBeUndefined();
    pod.close();
    netns.close();
  });

  test("a veth pair in one netns, of which only the names are told", async () => {
    route.change(addVeth({ name: "left", peer: { name: "right" } }));
    expect(await show("link show left")).toMatchObject({ link: "right", mtu: 1500, linkinfo: { info_kind: "veth" } });
    expect(link("left").peerNetnsId).toBeUndefined();
    expect(link("left").peerIfIndex).toBe(link("right").ifIndex);
  });

  test("port flags", async () => {
    const bridge = makeBridge();
    route.change(addVeth({ name: "left", masterIfIndex: bridge, peer: { name: "right" } }));
    const flags = async () => {
      const [{ hairpin, isolated } = {} as Shown] = JSON.parse(
        await node.run("bridge", "-j", "-d", "link", "show", "dev", "left"),
      );
      return { hairpin, isolated };
    };
    const { ifIndex } = link("left");
    for (const wanted of [
      { hairpin: true, isolated: false },
      { hairpin: false, isolated: true },
      { hairpin: true, isolated: true },
    ]) {
      route.change(setPort(ifIndex, wanted));
      expect(await flags()).toEqual(wanted);
      expect(link("left").port).toEqual(wanted);
    }
    route.change(setPort(ifIndex, { hairpin: false }));
    expect(await flags()).toEqual({ hairpin: false, isolated: true });
    expect(refusal(() => route.change(setPort(link("right").ifIndex, { hairpin: true })))).toMatchObject({
      errnoName: "EOPNOTSUPP",
    });
  });

  test("setLink changes what it is told, and nothing else", async () => {
    const bridge = makeBridge();
    route.change(addVeth({ name: "left", peer: { name: "right" } }));
    const { ifIndex } = link("left");
    route.change(
      setLink(bridge, { up: true, promisc: true }),
      setLink(ifIndex, { mac: "0a:00:00:00:00:07", mtu: 1280, masterIfIndex: bridge }),
    );
    expect(await show("link show cni0")).toMatchObject({ address: "0a:58:0a:f4:01:01" });
    expect((await show("link show cni0")).flags).toEqual(expect.arrayContaining(["UP", "PROMISC"]));
    expect(link("cni0")).toMatchObject({ up: true, promisc: true });
    expect(await show("link show left")).toMatchObject({ address: "0a:00:00:00:00:07", mtu: 1280, master: "cni0" });
    expect((await show("link show left")).flags).not.toContain("UP");

    route.change(setLink(bridge, { promisc: false }), setLink(ifIndex, { masterIfIndex: 0 }));
    const { flags } = await show("link show cni0");
    expect(flags).toContain("UP");
    expect(flags).not.toContain("PROMISC");
    expect(await show("link show left")).not.toHaveProperty("master");
    route.change(setLink(bridge, { up: false }));
    expect((await show("link show cni0")).flags).not.toContain("UP");
  });

  test("setLink's arpNotify is the link's sysctl, and no other's", () => {
    const ifIndex = makeBridge();
    const settings = (name: string) =>
      ["arp_notify", "arp_accept", "accept_local", "forwarding"].map((key) =>
        host.readSysctl(`net/ipv4/conf/${name}/${key}`),
      );
    const [before, others] = [settings("cni0"), settings("default")];
    route.change(setLink(ifIndex, { arpNotify: true }));
    expect(settings("cni0")).toEqual(["1", ...before.slice(1)]);
    route.change(setLink(ifIndex, { arpNotify: false }));
    expect(settings("cni0")).toEqual(["0", ...before.slice(1)]);
    expect(settings("default")).toEqual(others);
  });

  test("addresses: broadcast, nodad, and away again", async () => {
    const ifIndex = makeBridge();
    // Detection takes a second for each question: it goes on for as long as this test looks.
    host.writeSysctl("net/ipv6/conf/cni0/dad_transmits", "600");
    route.change(
      setLink(ifIndex, { up: true }),
      addAddr(ifIndex, prefix("10.244.1.1/24")),
      addAddr(ifIndex, prefix("10.9.0.0/31")),
      addAddr(ifIndex, prefix("fd00:10::1/64"), { noDad: true }),
      addAddr(ifIndex, prefix("fd00:20::1/64")),
    );
    const shown = async () => (await show("addr show dev cni0")).addr_info as Shown[];
    const of = async (local: string) => (await shown()).find((each) => each.local === local) ?? {};
    expect(await of("10.244.1.1")).toMatchObject({ prefixlen: 24, broadcast: "10.244.1.255", scope: "global" });
    expect(await of("10.9.0.0")).not.toHaveProperty("broadcast");
    expect(await of("fd00:10::1")).toMatchObject({ prefixlen: 64, nodad: true });
    expect(await of("fd00:10::1")).not.toHaveProperty("tentative");
    expect(await of("fd00:20::1")).toMatchObject({ tentative: true });

    const listed = route.addr.list(ifIndex);
    expect(listed.map(({ prefix: { length } }) => length)).toEqual((await shown()).map(({ prefixlen }) => prefixlen));
    expect(listed.filter(({ tentative }) => tentative).map(({ prefix: { ip: value } }) => value)).toContainEqual(
      ip("fd00:20::1"),
    );
    expect(refusal(() => route.change(addAddr(ifIndex, prefix("10.244.1.1/24"))))).toMatchObject({
      errnoName: "EEXIST",
      kernelText: "ipv4: Address already assigned",
    });
    expect(refusal(() => route.change(addAddr(ifIndex, prefix("fd00:10::1/64"))))).toMatchObject({
      errnoName: "EEXIST",
    });

    route.change(delAddr(ifIndex, prefix("10.9.0.0/31")), delAddr(ifIndex, prefix("fd00:10::1/64")));
    expect((await shown()).map(({ local }) => local)).not.toContain("10.9.0.0");
    expect(await of("fd00:10::1")).toEqual({});
    expect(refusal(() => route.change(delAddr(ifIndex, prefix("10.9.0.0/31"))))).toMatchObject({
      errnoName: "EADDRNOTAVAIL",
    });
    expect(refusal(() => route.addr.list(4_000))).toMatchObject({ errnoName: "ENODEV" });
  });

  test("routes: gateway, onlink, metrics, table, priority, scope", async () => {
    const ifIndex = makeGateway();
    route.change(
      addRoute({ dst: prefix("0.0.0.0/0"), gw: ip("172.16.0.1"), ifIndex, onlink: true }),
      addRoute({ dst: prefix("192.0.2.0/24"), gw: ip("10.244.1.9"), ifIndex, priority: 7, mtu: 1300, advmss: 1260 }),
      addRoute({ dst: prefix("198.51.100.0/24"), ifIndex, table: 1000, scope: 253 }),
      addRoute({ dst: prefix("203.0.113.0/24"), ifIndex, table: 100, scope: 253 }),
      addRoute({ dst: prefix("2001:db8::/32"), gw: ip("fd00:10::9"), ifIndex, mtu: 1300 }),
    );
    const all = await node.ip("route show table all");
    const of = (dst: string) => all.find((each) => each.dst === dst);
    expect(of("default")).toMatchObject({ gateway: "172.16.0.1", dev: "cni0", protocol: "boot" });
    expect(of("default")?.flags).toContain("onlink");
    expect(of("192.0.2.0/24")).toMatchObject({ gateway: "10.244.1.9", metric: 7, scope: "global" });
    expect(of("192.0.2.0/24")?.metrics).toEqual([{ mtu: 1300, advmss: 1260 }]);
    expect(of("198.51.100.0/24")).toMatchObject({ table: "1000", scope: "link" });
    expect(of("203.0.113.0/24")).toMatchObject({ table: "100", scope: "link" });
    const [six] = await node.ip("-6 route show 2001:db8::/32");
    expect(six).toMatchObject({ gateway: "fd00:10::9", dev: "cni0", metrics: [{ mtu: 1300 }] });

    const listed = route.route.list(4);
    expect(listed.find(({ dst }) => dst.length === 24 && dst.ip.value === ip("192.0.2.0").value)).toEqual({
      dst: prefix("192.0.2.0/24"),
      gw: ip("10.244.1.9"),
      ifIndex,
      priority: 7,
      table: 254,
      scope: 0,
      hops: undefined,
      protocol: 3,
      mtu: 1300,
      advmss: 1260,
    });
    expect(listed.map(({ table }) => table).sort()).toEqual([100, 1000, 254, 254, 254]);
    expect(route.route.list(6).find(({ gw }) => gw !== undefined)).toMatchObject({
      dst: prefix("2001:db8::/32"),
      mtu: 1300,
    });

    expect(
      refusal(() => route.change(addRoute({ dst: prefix("0.0.0.0/0"), gw: ip("172.16.0.1"), ifIndex, onlink: true }))),
    ).toMatchObject({ errnoName: "EEXIST" });
    expect(
      refusal(() => route.change(addRoute({ dst: prefix("192.0.9.0/24"), gw: ip("172.31.0.1"), ifIndex }))),
    ).toMatchObject({ errnoName: "ENETUNREACH", kernelText: "Nexthop has invalid gateway" });
  });

  test("a link is deleted by name or index, a veth with both ends; one that is not there was not", async () => {
    route.change(addVeth({ name: "left", peer: { name: "right" } }));
    const bridge = makeBridge();
    expect([route.link.del("left"), route.link.del(bridge)]).toEqual([true, true]);
    expect(await names()).toEqual(["lo"]);
    expect([route.link.del("left"), route.link.del("right"), route.link.del(bridge)]).toEqual([false, false, false]);
    expect([route.link.get("left"), route.link.get(bridge)]).toEqual([undefined, undefined]);
    expect(refusal(() => route.link.del("lo"))).toMatchObject({ operation: 'link del "lo"', errnoName: "EOPNOTSUPP" });
  });

  test("an alias and a group, and the whole group gone at once", async () => {
    route.change(addVeth({ name: "left", peer: { name: "right" } }));
    const bridge = makeBridge();
    route.change(setLink(bridge, { alias: "brücke", group: 7 }), setLink(link("left").ifIndex, { group: 7 }));
    expect(await show("link show cni0")).toMatchObject({ ifalias: "brücke", group: "7" });
    expect([link("cni0"), link("left"), link("right")]).toMatchObject([
      { alias: "brücke", group: 7 },
      { alias: undefined, group: 7 },
      { alias: undefined, group: 0 },
    ]);
    route.change(delGroup(7));
    expect(await names()).toEqual(["lo"]);
    expect(refusal(() => route.change(delGroup(7)))).toMatchObject({ errnoName: "ENODEV" });
  });

  test("a route of several ways", async () => {
    const ifIndex = makeGateway();
    await node.run(
      "sh",
      "-c",
      "ip -6 route add 2001:db8::/32 nexthop via fd00:10::8 dev cni0 nexthop via fd00:10::9 dev cni0",
    );
    expect(route.route.list(6).find(({ hops }) => hops !== undefined)).toMatchObject({
      dst: prefix("2001:db8::/32"),
      gw: undefined,
      hops: [
        { gw: ip("fd00:10::8"), ifIndex },
        { gw: ip("fd00:10::9"), ifIndex },
      ],
    });
  });

  test("a name that is taken is EEXIST, of a veth's either end", () => {
    makeBridge();
    const taken = { errnoName: "EEXIST" };
    expect(refusal(() => makeBridge())).toMatchObject({
      ...taken,
      message: 'link add "cni0" type bridge: file exists',
    });
    expect(refusal(() => route.change(addVeth({ name: "cni0", peer: { name: "right" } })))).toMatchObject(taken);
    expect(refusal(() => route.change(addVeth({ name: "left", peer: { name: "cni0" } })))).toMatchObject(taken);
    expect(route.link.get("left")).toBeUndefined();
  });

  test("a name of sixteen letters: the kernel points at it, on a socket that caps its acks and on one that does not", () => {
    const expected = { errnoName: "ERANGE", attribute: "IFLA.name", kernelText: "Attribute failed policy validation" };
    const wanted = addBridge({ name: "sixteen-letters0", mac: "0a:58:0a:f4:01:01" });
    expect(refusal(() => route.change(wanted))).toMatchObject(expected);
    const NETLINK_CAP_ACK = 10;
    const uncapped = openRoute(
      node.host({
        setsockopt: (fd, level, option, value) => {
          if (option !== NETLINK_CAP_ACK) sys.setsockopt(fd, level, option, value);
        },
      }),
    );
    expect(refusal(() => uncapped.change(wanted))).toMatchObject(expected);
    uncapped.close();
  });

  test("an attribute deep in a veth's peer is named, too", () => {
    const wanted = addVeth({ name: "left", peer: { name: "sixteen-letters0" } });
    expect(refusal(() => route.change(wanted))).toMatchObject({ errnoName: "ERANGE", attribute: "IFLA(peer).name" });
  });

  test("a refused dump says why in its last message", () => {
    const conversation = new Conversation(host.netlink(0));
    const stray: Request = {
      operation: "link list",
      type: 18,
      flags: NLM_F_DUMP,
      header: [0, 77, 0, 0],
    };
    expect(refusal(() => conversation.dump(stray))).toMatchObject({
      errnoName: "EINVAL",
      kernelText: "Filter by device index not supported for link dumps",
    });
    conversation.close();
  });

  test("of several requests the second is refused: the third is done, and the socket is as good as before", async () => {
    const ifIndex = makeBridge();
    const thrown = refusal(() =>
      route.change(
        setLink(ifIndex, { mtu: 1400 }),
        setLink(ifIndex, { masterIfIndex: 4_000 }),
        setLink(4_001, { up: true }),
        setLink(ifIndex, { up: true }),
      ),
    );
    expect(thrown).toMatchObject({ operation: `link set #${ifIndex} masterIfIndex 4000`, errnoName: "EINVAL" });
    expect(await show("link show cni0")).toMatchObject({ mtu: 1400 });
    expect((await show("link show cni0")).flags).toContain("UP");
    expect(route.link.get(ifIndex)).toMatchObject({ name: "cni0", up: true });
    expect(route.link.list().map(({ name }) => name)).toEqual(["lo", "cni0"]);
  });

  test("names are bytes", async () => {
    for (const name of ["brücke", "網路", "☸☸☸☸☸"]) {
      makeBridge(name);
      expect(await names()).toContain(name);
      expect(link(name).name).toBe(name);
      expect(route.link.del(name)).toBe(true);
    }
    // Latin-1, as somebody else may have called it: no UTF-8, so only its index can mean it.
    await node.run("sh", "-c", `ip link add "$(printf 'br\\374cke')" type bridge`);
    const [, odd] = route.link.list();
    expect(odd?.name).toBe("br\ufffdcke");
    expect(route.link.del(odd?.ifIndex ?? 0)).toBe(true);
  });

  test("a list of 300 links comes in many datagrams, whole", async () => {
    const atOnce = 10;
    for (let from = 0; from < 150; from += atOnce) {
      route.change(
        ...Array.from({ length: atOnce }, (_, at) =>
          addVeth({ name: `l${from + at}`, peer: { name: `r${from + at}` } }),
        ),
      );
    }
    let datagrams = 0;
    const counting = openRoute(
      node.host({
        recv(fd, max, timeoutMs) {
          datagrams++;
          return sys.recv(fd, max, timeoutMs);
        },
      }),
    );
    const listed = counting.link.list();
    counting.close();
    expect(datagrams).toBeGreaterThan(10);
    expect(listed.map(({ ifIndex, name }) => [ifIndex, name])).toEqual(
      (await node.ip("link")).map(({ ifindex, ifname }) => [ifindex, ifname]),
    );
    expect(listed).toHaveLength(301);
  });

  test("VLANs of a port: none, where the kernel lists none", () => {
    const bridge = makeBridge();
    expect(route.vlan.list(bridge)).toEqual([]);
    expect(
      refusal(() => route.change(addVlans(link("lo").ifIndex, [{ first: 5, last: 5, pvid: false, untagged: false }]))),
    ).toMatchObject({ errnoName: "EOPNOTSUPP" });
  });

  test("nothing to change is nothing sent", () => {
    let sends = 0;
    const counting = openRoute(
      node.host({
        send(fd, data) {
          sends++;
          sys.send(fd, data);
        },
      }),
    );
    counting.change();
    expect(sends).toBe(0);
    counting.change(addBridge({ name: "cni0", mac: "0a:58:0a:f4:01:01" }), delLink("cni0"));
    expect(sends).toBe(1);
    counting.close();
  });
});
