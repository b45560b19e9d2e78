// Flows as the kernel has them, judged by /proc/net/nf_conntrack.
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../testing/needs.ts";
import { nft } from "../../../testing/nft.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { formatIp } from "../../ip/ip.ts";
import { openConntrack, type ConntrackSocket } from "./open.ts";

const UDP = 17;

describeWith(["cell", "ip", "nft"], "connection tracking", () => {
  let node: TestNode;
  let conntrack: ConntrackSocket;
  beforeEach(async () => {
    node = await makeNode();
    conntrack = openConntrack(node.host());
    // Flows are kept track of where a rule asks for it.
    await nft("-f -", {
      input: "table inet t {\n chain c {\n type filter hook output priority 0\n ct state new accept\n }\n}",
    });
  });
  afterEach(async () => {
    conntrack.close();
    await node.close();
  });

  /** One packet to nobody, for each address and port. */
  const send = async (...to: readonly [address: string, port: number][]) => {
    const script = to.map(
      ([
        address,
        port,
      ]) => `await new Promise((sent) => { const socket = require("dgram").createSocket("${address.includes(":") ? "udp6" : "udp4"}");
        socket.send("?", ${port}, "${address}", () => { socket.close(); sent(); }); });`,
    );
    await node.run(process.execPath, "-e", `(async () => { ${script.join("\n")} })()`);
  };
  const known = async (family: "ipv4" | "ipv6") =>
    (await node.run("cat", "/proc/net/nf_conntrack"))
      .split("\n")
      .filter((line) => line.startsWith(family) && line.includes(" udp "))
      .flatMap((line) => / dport=(\d+)/.exec(line)?.[1] ?? [])
      .sort();

  test("flows of a protocol, of one port where it is given, and of one family", async () => {
    await send(["127.0.0.1", 1001], ["127.0.0.1", 1002], ["::1", 1001]);
    const found = conntrack.list(4, UDP).map(({ dst, dstPort }) => `${formatIp(dst)} ${dstPort}`);
    expect(found.sort()).toEqual(["127.0.0.1 1001", "127.0.0.1 1002"]);
    expect(conntrack.list(4, UDP, 1002).map(({ dstPort }) => dstPort)).toEqual([1002]);
    expect(conntrack.list(6, UDP, 1001).map(({ dst }) => formatIp(dst))).toEqual(["::1"]);
    expect(conntrack.list(4, 6)).toEqual([]);
  });

  test("a flow that is deleted is forgotten, and no other; one that has ended is no error", async () => {
    await send(["127.0.0.1", 1001], ["127.0.0.1", 1002], ["::1", 1003]);
    const [flow] = conntrack.list(4, UDP, 1001);
    const [other] = conntrack.list(6, UDP, 1003);
    if (flow === undefined || other === undefined) throw new Error("no flows");
    expect(conntrack.del(flow)).toBe(true);
    expect(await known("ipv4")).toEqual(["1002"]);
    expect(conntrack.del(flow)).toBe(false);
    expect(conntrack.del(other)).toBe(true);
    expect(await known("ipv6")).toEqual([]);
  });
});
