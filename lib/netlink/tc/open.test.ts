// What we ask for, beside what `tc` asks for, as `tc -j` shows both.
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../testing/needs.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { isErrno } from "../../host/errno.ts";
import { addIfb } from "../route/link.ts";
import { openRoute, type RouteSocket } from "../route/open.ts";
import { addRedirect } from "./filter.ts";
import { openTc, type TcSocket } from "./open.ts";
import { addIngress, addTbf } from "./qdisc.ts";

type Json = Record<string, unknown>;

describeWith(["cell", "ip", "tc", "ifb links"], "traffic control", () => {
  let node: TestNode;
  let route: RouteSocket;
  let tc: TcSocket;
  const index = { ours: 0, theirs: 0, ifb: 0 };
  beforeEach(async () => {
    node = await makeNode();
    const host = node.host();
    [route, tc] = [openRoute(host), openTc(host)];
    await node.run("ip", "link", "add", "ours", "type", "veth", "peer", "name", "left");
    await node.run("ip", "link", "add", "theirs", "type", "veth", "peer", "name", "right");
    route.change(addIfb({ name: "ifb7" }));
    const indexOf = (name: string) => route.link.get(name)?.ifIndex ?? 0;
    Object.assign(index, { ours: indexOf("ours"), theirs: indexOf("theirs"), ifb: indexOf("ifb7") });
  });
  afterEach(async () => {
    route.close();
    tc.close();
    await node.close();
  });

  const shown = async (what: "qdisc" | "filter", dev: string): Promise<Json[]> => {
    const words = what === "qdisc" ? ["show", "dev", dev] : ["show", "dev", dev, "ingress"];
    const found = JSON.parse(await node.run("tc", "-j", what, ...words)) as Json[];
    // Actions are numbered as they are made.
    return JSON.parse(JSON.stringify(found).replaceAll(/"index":\d+/g, '"index":0'));
  };
  const command = (text: string) => node.run("tc", ...text.split(" "));

  test("a token bucket", async () => {
    // tc counts in its own units; the same numbers are those of 1 Mbit/s, 1 Mbit at once.
    tc.change(addTbf(index.ours, { rate: 125_000, limit: 128_125, buffer: 15_625_000 }));
    await command("qdisc add dev theirs root handle 1: tbf rate 1mbit burst 125000 limit 128125");
    expect(await shown("qdisc", "ours")).toEqual(await shown("qdisc", "theirs"));
    expect(tc.qdisc.get(index.ours, "root")).toEqual({ ...tc.qdisc.get(index.theirs, "root"), ifIndex: index.ours });
  });

  test("a redirect of what comes in", async () => {
    tc.change(addIngress(index.ours), addRedirect(index.ours, index.ifb));
    await command("qdisc add dev theirs handle ffff: ingress");
    await command(
      "filter add dev theirs parent ffff: prio 1 protocol all u32 match u32 0 0 flowid 1:1 action mirred egress redirect dev ifb7",
    );
    expect(await shown("qdisc", "ours")).toEqual(await shown("qdisc", "theirs"));
    expect((await shown("filter", "ours")).at(-1)).toMatchObject({ options: { actions: [{ to_dev: "ifb7" }] } });
    expect(await shown("filter", "ours")).toEqual(await shown("filter", "theirs"));
    for (const ifIndex of [index.ours, index.theirs])
      expect(tc.filter.list(ifIndex).at(-1)).toEqual({ ifIndex, kind: "u32", first: true, redirectsTo: index.ifb });
  });

  test.each([
    ["of a part of it", "protocol all u32 match u32 1 0xff action mirred egress redirect dev ifb7", true],
    ["as a copy", "protocol all u32 match u32 0 0 action mirred egress mirror dev ifb7", true],
    ["of one protocol", "protocol ip u32 match u32 0 0 action mirred egress redirect dev ifb7", false],
  ])("a redirect %s is another one", async (_, words, first) => {
    tc.change(addIngress(index.ours));
    await command(`filter add dev ours parent ffff: prio 1 ${words}`);
    const found = tc.filter.list(index.ours).at(-1);
    expect([found?.first, first && found?.redirectsTo]).toEqual([first, first ? undefined : false]);
  });

  test("what there is is said and deleted; what there is not is no error", async () => {
    tc.change(addTbf(index.ours, { rate: 125_000, limit: 128_125, buffer: 15_625_000 }), addIngress(index.ours));
    for (const place of ["root", "ingress"] as const) {
      expect(tc.qdisc.get(index.ours, place)?.kind).toBe(place === "root" ? "tbf" : "ingress");
      expect(tc.qdisc.del(index.ours, place)).toBe(true);
      expect(tc.qdisc.get(index.ours, place)).toBeUndefined();
      expect(tc.qdisc.del(index.ours, place)).toBe(false);
      expect(tc.qdisc.get(999, place)).toBeUndefined();
      expect(tc.qdisc.del(999, place)).toBe(false);
    }
    expect([tc.filter.list(index.ours), tc.filter.list(999)]).toEqual([[], []]);
    const [lo] = await node.ip("link show lo");
    expect(tc.qdisc.get(Number(lo?.ifindex), "root")).toMatchObject({ kind: "noqueue", handle: 0 });
  });

  test("what somebody else put there is EEXIST", async () => {
    await command("qdisc add dev ours root handle 7: pfifo");
    await command("qdisc add dev ours clsact");
    const isTaken = expect.toSatisfy((error) => isErrno(error, "EEXIST"));
    expect(() => tc.change(addTbf(index.ours, { rate: 1, limit: 1, buffer: 1 }))).toThrow(isTaken);
    expect(() => tc.change(addIngress(index.ours))).toThrow(isTaken);
    expect(tc.qdisc.get(index.ours, "ingress")?.kind).toBe("clsact");
  });
});
