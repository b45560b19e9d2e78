// Waiting for what somebody else changes: iproute2, in a process of its own, while this one waits.
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../testing/needs.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { prefix } from "../../../testing/runtime.ts";
import { systemError } from "../../host/errno.ts";
import type { Host } from "../../host/host.ts";
import { sys } from "../../host/node.ts";
import { addAddr } from "./addr.ts";
import { addBridge, addVeth, setLink } from "./link.ts";
import { openRoute, type RouteSocket } from "./open.ts";

const ENOBUFS = 105;
/** A wait that ends with its time has not seen what it waited for: that time is longer than any machine takes to tell. */
const [longMs, soonMs] = [50_000, 40_000];

describeWith(["cell", "ip"], "waiting for a change", () => {
  let node: TestNode;
  let host: Host;
  let route: RouteSocket;
  let ifIndex: number;

  beforeEach(async () => {
    node = await makeNode();
    host = node.host();
    route = openRoute(host);
    route.change(addBridge({ name: "cni0", mac: "0a:58:0a:f4:01:01" }));
    ifIndex = route.link.get("cni0")?.ifIndex ?? 0;
  });
  afterEach(async () => {
    route.close();
    await node.close();
  });

  /** Lets a shell go on beside us, and waits as `wait` says; what it saw, and how long it took. */
  async function beside<T>(script: string, wait: () => T): Promise<{ seen: T; tookMs: number }> {
    const started = host.monotonicMs();
    const running = node.run("sh", "-c", script);
    const seen = wait();
    const tookMs = host.monotonicMs() - started;
    await running;
    return { seen, tookMs };
  }

  test("a link that comes up is seen when it does", async () => {
    const { seen, tookMs } = await beside("sleep 0.3; ip link set cni0 up", () =>
      route.waitForLink(ifIndex, ({ up }) => up, longMs),
    );
    expect(seen?.up).toBe(true);
    expect(tookMs).toBeGreaterThan(200);
    expect(tookMs).toBeLessThan(soonMs);
  });

  test("a link that goes away ends the wait", async () => {
    const { seen, tookMs } = await beside("sleep 0.2; ip link del cni0", () =>
      route.waitForLink(ifIndex, () => false, longMs),
    );
    expect(seen).toBeUndefined();
    expect(tookMs).toBeLessThan(soonMs);
  });

  test("the time is up though other things happen all the time; the link is as last seen", async () => {
    const { seen, tookMs } = await beside("for n in 1 2 3 4 5 6 7 8; do ip link set lo mtu 6000$n; done", () =>
      route.waitForLink(ifIndex, ({ up }) => up, 300),
    );
    expect(seen).toMatchObject({ name: "cni0", up: false });
    expect(tookMs).toBeGreaterThanOrEqual(299);
    expect(tookMs).toBeLessThan(1500);
  });

  test("what is so already needs no wait, and no time means one look", () => {
    const started = host.monotonicMs();
    expect(route.waitForLink(ifIndex, ({ up }) => !up, longMs)?.name).toBe("cni0");
    expect(route.waitForLink(ifIndex, ({ up }) => up, 0)?.name).toBe("cni0");
    expect(host.monotonicMs() - started).toBeLessThan(soonMs);
  });

  test("addresses whose duplicate address detection ends", async () => {
    route.change(addVeth({ name: "left", up: true, peer: { name: "right" } }));
    const left = route.link.get("left")?.ifIndex ?? 0;
    const right = route.link.get("right")?.ifIndex ?? 0;
    route.change(setLink(right, { up: true }), addAddr(left, prefix("fd00:10::1/64")));
    const settled = (addrs: readonly { readonly tentative: boolean }[]) => addrs.every(({ tentative }) => !tentative);
    expect(settled(route.waitForAddrs(left, settled, 0))).toBe(false);
    expect(settled(route.waitForAddrs(left, settled, 100))).toBe(false);
    const seen = route.waitForAddrs(left, settled, 8000);
    expect(seen.map(({ prefix: { length } }) => length)).toEqual([64, 64]);
    expect(settled(seen)).toBe(true);
    const [shown] = await node.ip("addr show dev left");
    const addresses = shown?.addr_info as Record<string, unknown>[];
    expect(addresses.map(({ local, tentative }) => [local, tentative])).toContainEqual(["fd00:10::1", undefined]);
  });

  test("so much happened that the kernel dropped some of it: the next look tells", async () => {
    let dropped = 0;
    const flooded = openRoute(
      node.host({
        recv(fd, max, timeoutMs) {
          const datagram = sys.recv(fd, max, timeoutMs);
          // A notification has nobody's port and number; the first one is lost.
          const [, , sequence] = new Uint32Array(datagram.slice(0, 12).buffer);
          if (sequence !== 1 && dropped++ === 0) throw systemError("recv", ENOBUFS);
          return datagram;
        },
      }),
    );
    const look = () => flooded.waitForLink(ifIndex, ({ up }) => up, longMs);
    const { seen, tookMs } = await beside("sleep 0.2; ip link set cni0 up", look);
    flooded.close();
    expect(dropped).toBeGreaterThan(0);
    expect(seen?.up).toBe(true);
    expect(tookMs).toBeLessThan(soonMs);
  });
});
