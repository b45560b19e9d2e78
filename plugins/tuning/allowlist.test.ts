import { describe, expect, test } from "vitest";
import { systemError } from "../../lib/host/errno.ts";
import { testHost } from "../../testing/host.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { refuseForbidden } from "./allowlist.ts";

const path = "/etc/cni/tuning/allowlist.conf";
const ENOENT = 2;

/** A node whose list says this; undefined: it has none. */
const node = (list: string | undefined) =>
  testHost({
    over: {
      readFile(asked) {
        expect(asked).toBe(path);
        if (list === undefined) throw systemError("open", ENOENT, path);
        return list;
      },
    },
  }).host;

const name = "net.ipv4.conf.eth0.arp_notify";
const allowed = (list: string | undefined) => refuseForbidden([name], node(list));

describe("the allowlist", () => {
  test.each([
    [undefined],
    ["net"],
    ["arp_notify$"],
    ["\n  ^net\\.ipv4\\.conf\\..*\\.arp_notify$  \r\n"],
    ["nothing\n^net\\.ipv[46]\\."],
    ["^net.(ipv4|core).(?:conf|somaxconn)"],
    ["[^x]+[\\d]{1,2}\\.arp\\Wnotify|\\barp"],
    ["{eth0}|eth0"],
  ])("%j lets the name pass", (list) => {
    expect(() => allowed(list)).not.toThrow();
  });

  test.each([[""], ["^ipv4"], ["NET"], ["net.ipv4.conf.IFNAME"], ["^arp_notify"]])("%j does not", async (list) => {
    const { code, message, details } = await refusalOf(() => allowed(list));
    expect(message).toBe(`Sysctl ${name} is not allowed. Only the following sysctls are allowed: [${list}]`);
    expect([code, details]).toEqual([
      7,
      `take it out of the network configuration, or add a line for it to ${path} on this node`,
    ]);
  });

  test.each([
    ["(?i)NET"],
    ["(?P<all>.*)"],
    ["[[:alpha:]]+"],
    ["\\pL+"],
    ["\\Anet"],
    ["net\\z"],
    ["\\Qnet\\E"],
    ["net(?=.ipv4)"],
    ["(n)et\\1"],
    ["[]a]"],
    ["[^]"],
    ["\\x{6e}et"],
    ["*net"],
    ["net("],
    ["[z-a]"],
  ])("a line that says %j is refused, whatever other lines allow", async (line) => {
    const { code, message, details } = await refusalOf(() => allowed(`net\n${line}`));
    expect(message).toContain(`allowlist "${line}" is no regular expression that everybody reads alike`);
    expect(code).toBe(7);
    expect(details).toContain(path);
  });

  test("no name needs no list", () => {
    expect(() => refuseForbidden([], node("^nothing$"))).not.toThrow();
  });
});
