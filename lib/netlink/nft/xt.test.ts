// Matches and targets of x_tables as bytes, laid out by the kernel's headers, and what is none of ours. That iptables writes
// the same and finds ours is for plugins/portmap/iptables.test.ts to show.
import { describe, expect, test } from "vitest";
import { hex } from "../../../testing/golden.ts";
import { parseIp, type Ip } from "../../ip/ip.ts";
import type { Expr } from "./expr.ts";
import { comparesMultiport, comparesPort } from "./glance.ts";
import type { Match } from "./match.ts";
import { matchOfXt, xtMatch } from "./xt-match.ts";
import { endpointOfXt, markOfXt, xtDnat, xtSetMark } from "./xt-target.ts";

const ip = (text: string) => parseIp(text) as Ip;
const tcp: Match = { field: "l4proto", is: "tcp" };
const infoOf = (expr: Expr | undefined) =>
  expr?.name === "match" || expr?.name === "target" ? Buffer.from(expr.data.info ?? []).toString("hex") : undefined;
const text = (...parts: string[]) => Buffer.from(hex(...parts)).toString("hex");
const match = (name: string, rev: number, ...parts: string[]): Expr => ({
  name: "match",
  data: { name, rev, info: hex(...parts) },
});

describe("matches", () => {
  test.each<[string, Match, string]>([
    // spts 0 to 65535, dpts; nothing inverted
    ["tcp", { field: "dport", is: { protocol: "tcp", port: 8080 } }, "0000ffff 901f901f 00000000 00000000"],
    ["udp", { field: "dport", is: { protocol: "udp", port: 53 } }, "0000ffff 35003500 00000000 00000000"],
    // dpts, spts, flags XT_DCCP_DEST_PORTS
    ["dccp", { field: "dport", is: { protocol: "dccp", port: 8080 } }, "901f901f 00000000 02000000 00000000"],
    // flags 1: destination; two ports
    [
      "multiport",
      { field: "dports", is: { protocol: "tcp", ports: [8080, 8443] } },
      `0102 901f fb20 ${"0000".repeat(13)} ${"00".repeat(15)} 00`,
    ],
    ["addrtype", { field: "fibDaddrType", is: "local" }, "0000 0400 00000000"],
    ["mark", { field: "mark", is: { value: 0x2000, mask: 0x2000 } }, "00200000 00200000 00000000 00000000"],
  ])("%s", (_, given, bytes) => {
    const made = xtMatch(given);
    expect(infoOf(made)).toBe(text(bytes));
    const before: Match[] = [tcp];
    expect(made && matchOfXt(made, before)).toEqual(given);
  });

  test("sctp, whose ports stand before the chunks and their flag behind", () => {
    const made = xtMatch({ field: "dport", is: { protocol: "sctp", port: 9000 } });
    expect(infoOf(made)).toBe(
      text(
        "28232823 00000000",
        "00".repeat(256),
        "00000000",
        "ff0000 ff0000 ff0000 ff0000",
        "00000000 02000000 00000000 00000000",
      ),
    );
  });

  test("what asks for more than we ever do is none of ours", () => {
    const port = "0000ffff 901f911f 00000000 00000000";
    expect(matchOfXt(match("tcp", 0, port), []), "a range").toBeUndefined();
    expect(matchOfXt(match("tcp", 0, "0000ffff 901f901f 00000002 00000000"), []), "not this port").toBeUndefined();
    expect(matchOfXt(match("multiport", 1, "0002 901f fb20", "00".repeat(42)), [tcp]), "source ports").toBeUndefined();
    expect(matchOfXt(match("mark", 1, "00200000 00200000 01000000 00000000"), []), "not this mark").toBeUndefined();
    expect(matchOfXt(match("addrtype", 1, "0000 0200 00000000"), []), "unicast").toBeUndefined();
    expect(matchOfXt(match("conntrack", 3, "00"), [])).toBeUndefined();
    expect(() => xtMatch({ field: "dports", is: { protocol: "tcp", ports: Array<number>(16).fill(1) } })).toThrow(
      "16 ports: a rule may have 15",
    );
  });
});

describe("targets", () => {
  test("MARK", () => {
    const made = xtSetMark({ value: 0x2000, mask: 0x2000 });
    expect(infoOf(made)).toBe(text("00200000 00200000"));
    expect(markOfXt(made)).toEqual({ value: 0x2000, mask: 0x2000 });
  });

  test.each([
    ["10.1.0.5", `0a010005 ${"00".repeat(12)}`],
    ["fd00:1::5", "fd000001 00000000 00000000 00000005"],
    ["2001:db8::", "20010db8 00000000 00000000 00000000"],
  ])("DNAT to %s, in every revision that kernels have had", (address, bytes) => {
    const endpoint = { ip: ip(address), port: 80 };
    const made = xtDnat(endpoint);
    expect(infoOf(made)).toBe(text("03000000", bytes, bytes, "0050 0050 0000", "000000000000"));
    expect(endpointOfXt(made, endpoint.ip.family)).toEqual(endpoint);
    const range = { name: "target", data: { name: "DNAT", rev: 1, info: hex("03000000", bytes, bytes, "0050 0050") } };
    expect(endpointOfXt(range as Expr, endpoint.ip.family)).toEqual(endpoint);
    const other = { name: "target", data: { name: "DNAT", rev: 1, info: hex("03000000", bytes, bytes, "0050 0051") } };
    expect(endpointOfXt(other as Expr, endpoint.ip.family), "two ports").toBeUndefined();
  });

  test("DNAT of iptables from before 2018", () => {
    const info = hex("01000000 03000000 0a010005 0a010005 0050 0050 00000000");
    expect(endpointOfXt({ name: "target", data: { name: "DNAT", rev: 0, info } }, 4)).toEqual({
      ip: ip("10.1.0.5"),
      port: 80,
    });
  });
});

describe("glances", () => {
  // Of a rule as the kernel lists it: l4proto 6, the port compared, DNAT's port as an immediate.
  const compared = (port: string) => hex("0c000380 06000100", port, "0000");
  const immediate = (port: string) => hex("0c000280 06000100", port, "0000");

  test("a port that is compared is seen, one that is only written is not", () => {
    expect(comparesPort([8080])(compared("1f90"))).toBe(true);
    expect(comparesPort([8080])(Uint8Array.of(...immediate("1f90"), ...compared("0050")))).toBe(false);
    expect(comparesPort([80, 8080])(Uint8Array.of(...immediate("1f90"), ...compared("0050")))).toBe(true);
  });

  test("every rule of many is looked at", () => {
    const rule = (ports: string) =>
      hex("0e000100 6d756c7469706f7274000000 08000200 00000001 34000300", `0102${ports}`, "00".repeat(42), "00000000");
    const both = Uint8Array.of(...rule("901ffb20"), ...rule("50003500"));
    expect([8080, 8443, 80, 53, 8081].map((port) => comparesMultiport([port])(both))).toEqual([
      true,
      true,
      true,
      true,
      false,
    ]);
  });
});
