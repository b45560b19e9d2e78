// The tables of the field's plugins, made by us and by nft, each in a netns of its own: nft has to see no difference, and
// neither may we.
import { afterEach, beforeEach, expect, test } from "vitest";
import { iptables, saved } from "../../testing/iptables.ts";
import { describeWith } from "../../testing/needs.ts";
import { daddr, layouts, masquerade, nft, nftJson, not, portmap4, rule, rulesIn, saddr } from "../../testing/nft.ts";
import { makeNode, type TestNode } from "../../testing/node.ts";
import type { Host, Netns } from "../host/host.ts";
import type { Match } from "../netlink/nft/match.ts";
import { openNft, type NftSocket } from "../netlink/nft/open.ts";
import { phraseOf, phraseText, type Verdict } from "../netlink/nft/phrase.ts";
import { compare, ensure, remove } from "./apply.ts";
import type { Plan } from "./plan.ts";

describeWith(["cell", "ip", "nft", "iptables"], "plans on the kernel", () => {
  let node: TestNode;
  let host: Host;
  let ours: NftSocket;
  /** A netns whose ruleset nft made. */
  let elsewhere: string;
  let otherNetns: Netns;
  let theirs: NftSocket;

  beforeEach(async () => {
    node = await makeNode();
    host = node.host();
    ours = openNft(host);
    elsewhere = await node.container("nft");
    otherNetns = host.openNetns(elsewhere);
    theirs = openNft(host, otherNetns);
  });
  afterEach(async () => {
    ours.close();
    theirs.close();
    otherNetns.close();
    await node.close();
  });

  const listing = (netns = "") => nft("list ruleset", { netns });
  /** All of a table as our own decoder reads it; handles tell only in what order things were made. */
  const dump = (socket: NftSocket, plan: Plan) => ({
    table: { ...socket.table.get(plan), handle: 0 },
    chains: socket.chain.list(plan).map((chain) => ({ ...chain, handle: 0 })),
    rules: plan.chains.map(({ chain }) =>
      socket.rule.list({ family: plan.family, table: plan.table, chain }).map((each) => ({ ...each, handle: 0 })),
    ),
  });

  test.each(Object.entries(layouts))("%s is literally what nft makes of the same", async (_, { plan, text }) => {
    expect(ensure(ours, plan)).toBe(true);
    await nft("-f -", { input: text, netns: elsewhere });
    expect(await listing()).toBe(await listing(elsewhere));
    expect(await nftJson()).toEqual(await nftJson(elsewhere));
    expect(dump(ours, plan)).toEqual(dump(theirs, plan));
    expect(dump(ours, plan).rules.flat().length).toBeGreaterThan(3);
  });

  test.each(Object.entries(layouts))("%s made by nft lacks nothing, and reads as nft writes it", async (_, layout) => {
    const { plan, text } = layout;
    await nft("-f -", { input: text });
    const before = await listing();
    expect(compare(ours, plan)).toEqual([]);
    expect(ensure(ours, plan)).toBe(false);
    expect(await listing()).toBe(before);

    const read = plan.chains.flatMap(({ chain }) =>
      ours.rule.list({ family: plan.family, table: plan.table, chain }).map((rule) => {
        const { comment } = rule;
        const phrase = phraseOf(rule);
        const said = comment === undefined ? "" : ` comment "${comment}"`;
        return phrase && `${phraseText(phrase)}${said}`;
      }),
    );
    expect(read).toEqual(rulesIn(before));
  });

  test.each(Object.entries(layouts))("%s is made once, whole or from any part of it", async (_, { plan, text }) => {
    ensure(ours, plan);
    const whole = await nftJson();
    expect(ensure(ours, plan)).toBe(false);
    const lines = rulesIn(text);
    for (const lost of lines) {
      await nft("flush ruleset");
      const at = text.indexOf(lost);
      await nft("-f -", { input: text.slice(0, at) + text.slice(at + lost.length) });
      expect(compare(ours, plan)).toHaveLength(1);
      expect(ensure(ours, plan)).toBe(true);
      expect(await nftJson()).toEqual(whole);
    }
    expect(lines.length).toBeGreaterThan(3);
  });

  test("a difference reads as nft would write it", async () => {
    const [first = ""] = rulesIn(portmap4.text);
    await nft("-f -", { input: portmap4.text.replace(first, "").replace("jump hostip_hostports", "") });
    expect(compare(ours, portmap4.plan)).toEqual([
      `ip cni_hostport hostports: ${first}`,
      "ip cni_hostport hostports_all: jump hostip_hostports",
    ]);
    await nft("flush ruleset");
    expect(compare(ours, portmap4.plan)).toEqual(
      portmap4.plan.chains.map(({ chain }) => `ip cni_hostport ${chain}: no such chain`),
    );
  });

  test("rules of ours that the plan no longer has go away, all others stay", async () => {
    const { plan } = masquerade;
    ensure(ours, plan);
    await nft("-f -", {
      input: `add rule inet cni_plugins_masquerade masq_checks ip saddr 10.9.0.9 masquerade comment "somebody else's"
              add rule inet cni_plugins_masquerade masq_checks ip saddr 10.8.0.8 counter masquerade`,
    });
    const comment = "8a1d6e0a3b6c2f41-0c5d9a7e1b3f2468, another address";
    const [checks, ...rest] = plan.chains;
    if (checks === undefined) throw new Error("no chain");
    const moved = {
      ...plan,
      chains: [{ ...checks, rules: [rule([saddr("10.1.0.6")], "masquerade", comment)] }, ...rest],
    };
    expect(ensure(ours, moved)).toBe(true);
    expect(rulesIn(await nft("list chain inet cni_plugins_masquerade masq_checks"))).toEqual([
      `ip saddr 10.9.0.9 masquerade comment "somebody else's"`,
      "ip saddr 10.8.0.8 counter packets 0 bytes 0 masquerade",
      `ip saddr 10.1.0.6 masquerade comment "${comment}"`,
    ]);
    expect(ensure(ours, moved)).toBe(false);
  });

  test("removal takes what is ours in one transaction, and is fine when it is gone", async () => {
    const { plan } = layouts.macspoofchk ?? masquerade;
    await nft("-f -", { input: `table bridge nat {\n chain other {\n drop\n }\n }` });
    const before = await nftJson();
    ensure(ours, plan);
    const chains = plan.chains.map(({ chain }) => chain).filter((chain) => chain !== "PREROUTING");
    const away = {
      family: plan.family,
      table: plan.table,
      rules: [{ chain: "PREROUTING", owns: { begins: "macspoofchk-" } }],
      chains: chains.toReversed(),
    };
    expect(remove(ours, away)).toBe(true);
    expect(await nftJson()).toEqual([
      ...before.slice(0, 2),
      { chain: expect.objectContaining({ name: "PREROUTING" }) },
      ...before.slice(2),
    ]);
    expect(remove(ours, away)).toBe(false);
    await nft("flush ruleset");
    expect(remove(ours, away)).toBe(false);
    expect(await nftJson()).toEqual([]);
  });

  test("a chain that hangs elsewhere is refused, and nothing is changed", async () => {
    await nft("-f -", { input: "table ip cni_hostport { chain output { type filter hook output priority 0\n } \n }" });
    const before = await listing();
    expect(() => ensure(ours, portmap4.plan)).toThrow(
      'nft chain ip cni_hostport "output": want type nat hook output priority -100, is type filter hook output priority 0',
    );
    expect(await listing()).toBe(before);
  });

  test("several plans are one transaction", async () => {
    const plans = Object.values(layouts).map(({ plan }) => plan);
    const bad = {
      ...masquerade.plan,
      table: "z",
      chains: [{ chain: "c", rules: [rule([daddr("::1")], { jump: "none" })] }],
    };
    expect(() => ensure(ours, ...plans, bad)).toThrow(/^nft add rule inet z c: no such file or directory/);
    expect(await listing()).toBe("");
    expect(ensure(ours, ...plans)).toBe(true);
    expect(compare(ours, ...plans)).toEqual([]);
  });

  /** A chain as bridge's ipMasq has it with iptables, and iptables-save's lines of it. */
  const iptablesPlan = (family: 4 | 6): { plan: Plan; lines: string[] } => {
    const [address, subnet, multicast] =
      family === 4 ? ["10.1.0.5", "10.1.0.0/24", "224.0.0.0/4"] : ["fd00::5", "fd00::/64", "ff00::/8"];
    const comment = 'name: "podnet" id: "5f3c2d6a9b1e"';
    const said = '-m comment --comment "name: \\"podnet\\" id: \\"5f3c2d6a9b1e\\""';
    const ours = (match: Match[], verdict: Verdict) => ({ ...rule(match, verdict, comment), iptables: true });
    return {
      plan: {
        family: family === 4 ? "ip" : "ip6",
        table: "nat",
        chains: [
          {
            chain: "CNI-0123",
            rules: [ours([daddr(subnet)], "accept"), ours([not(daddr(multicast))], "masquerade")],
          },
          {
            chain: "POSTROUTING",
            base: { type: "nat", hook: "postrouting", priority: 100, policy: "accept" },
            rules: [ours([saddr(address)], { jump: "CNI-0123" })],
          },
        ],
      },
      lines: [
        `-A POSTROUTING -s ${address}/${family === 4 ? 32 : 128} ${said} -j CNI-0123`,
        `-A CNI-0123 -d ${subnet} ${said} -j ACCEPT`,
        `-A CNI-0123 ! -d ${multicast} ${said} -j MASQUERADE`,
      ],
    };
  };

  test.each([4, 6] as const)(
    "IPv%d: iptables reads what is written for it, and writes what lacks nothing",
    async (family) => {
      const { plan, lines } = iptablesPlan(family);
      ensure(ours, plan);
      const ourSaved = await saved("nft", family);
      expect(ourSaved.filter((line) => line.startsWith("-A"))).toEqual(lines);

      const input = `*nat\n:CNI-0123 - [0:0]\n${lines.join("\n")}\nCOMMIT\n`;
      await iptables("nft", "restore --noflush", { family, input, netns: elsewhere });
      expect(await saved("nft", family, "nat", elsewhere)).toEqual(ourSaved);
      expect(compare(theirs, plan)).toEqual([]);
      expect(ensure(theirs, plan)).toBe(false);
      expect(dump(ours, plan)).toEqual(dump(theirs, plan));
      // And deletes it rule by rule, which it compares with what it would have written.
      for (const line of lines.toReversed())
        await iptables("nft", "restore --noflush", { family, input: `*nat\n${line.replace("-A", "-D")}\nCOMMIT\n` });
      expect(compare(ours, plan)).toHaveLength(3);
    },
  );

  test("a chain goes away with the rules that jump to it, and no others", async () => {
    const { plan } = iptablesPlan(4);
    const foreign = "-A POSTROUTING -m comment --comment CNI-0123 -j ACCEPT";
    const other = "-A POSTROUTING -s 10.9.0.0/16 -j CNI-01234";
    await iptables("nft", "restore --noflush", {
      input: `*nat\n:CNI-01234 - [0:0]\n${foreign}\n${other}\nCOMMIT\n`,
    });
    const before = await saved("nft", 4);
    ensure(ours, plan);
    await iptables("nft", "- -t nat -I POSTROUTING -s 10.1.0.0/24 -j CNI-0123");
    const away = {
      family: plan.family,
      table: plan.table,
      rules: [{ chain: "POSTROUTING", to: "CNI-0123" }],
      chains: ["CNI-0123"],
    };
    expect(remove(ours, away)).toBe(true);
    expect(await saved("nft", 4)).toEqual(before);
    expect(remove(ours, away)).toBe(false);
  });
});
