// Transactions on the real kernel, in a node of the test's own, judged by nft.
import { execaSync, execa } from "execa";
import { afterEach, beforeEach, expect, test } from "vitest";
import { describeWith } from "../../../testing/needs.ts";
import { daddr, dnat, dport, layouts, nft, rule, rulesIn, saddr } from "../../../testing/nft.ts";
import { makeNode, type TestNode } from "../../../testing/node.ts";
import { ensure, remove } from "../../firewall/apply.ts";
import type { Host } from "../../host/host.ts";
import { sys } from "../../host/node.ts";
import { addChain, delChain } from "./chain.ts";
import { openNft, type NftSocket } from "./open.ts";
import { exprsOf, phraseOf, phraseText, type Rule } from "./phrase.ts";
import { addRule, delRule, flushChain } from "./rule.ts";
import { addElements, addSet, concatenated, delElements, delSet, ifnameBytes } from "./set.ts";
import { addTable, delTable } from "./table.ts";

describeWith(["cell", "ip", "nft"], "nf_tables on the kernel", () => {
  let node: TestNode;
  let host: Host;
  let socket: NftSocket;
  const t = { family: "ip", table: "t" } as const;
  const c = { ...t, chain: "c" };

  beforeEach(async () => {
    node = await makeNode();
    host = node.host();
    socket = openNft(host);
  });
  afterEach(async () => {
    socket.close();
    await node.close();
  });

  const add = (said: Rule, before?: bigint) =>
    addRule(c, { exprs: exprsOf(c.family, said), comment: said.comment, before });
  const numbered = (n: number): Rule => rule([dport("tcp", n)], "accept", `number ${n}`);
  const listing = () => nft("list ruleset");
  const rulesOf = async (chain = "ip t c") => rulesIn(await nft(`list chain ${chain}`));
  const makeChain = () => socket.apply(addTable(t), addChain(c));

  /** What `body` throws, which it must. */
  function refusal(body: () => unknown): unknown {
    try {
      body();
    } catch (error) {
      return error;
    }
    throw new Error("not refused");
  }

  test("nothing is there: lists are empty, and that is no error", () => {
    expect([socket.table.get(t), socket.chain.get(c)]).toEqual([undefined, undefined]);
    expect([socket.table.list(), socket.chain.list(t), socket.rule.list(t), socket.rule.list(c)]).toEqual([
      [],
      [],
      [],
      [],
    ]);
    expect([socket.set.list(t), socket.set.elements({ ...t, set: "s" })]).toEqual([[], []]);
    makeChain();
    expect(socket.rule.list({ ...c, chain: "none" })).toEqual([]);
    expect(socket.set.elements({ ...t, set: "s" })).toEqual([]);
  });

  test("tables and chains, with comments, as nft shows them", async () => {
    socket.apply(
      addTable({ family: "inet", table: "one" }, "ünïcode, and more"),
      addChain({ family: "inet", table: "one", chain: "jumped" }, { comment: "of a chain" }),
      addChain(
        { family: "inet", table: "one", chain: "based" },
        { base: { type: "filter", hook: "forward", priority: -5, policy: "drop" } },
      ),
      addTable({ family: "bridge", table: "two" }),
    );
    expect(await listing()).toBe(
      [
        "table inet one {",
        '\tcomment "ünïcode, and more"',
        "\tchain jumped {",
        '\t\tcomment "of a chain"',
        "\t}",
        "",
        "\tchain based {",
        "\t\ttype filter hook forward priority filter - 5; policy drop;",
        "\t}",
        "}",
        "table bridge two {",
        "}",
      ].join("\n"),
    );
    expect(socket.table.list().map(({ family, table, comment }) => [family, table, comment])).toEqual([
      ["inet", "one", "ünïcode, and more"],
      ["bridge", "two", undefined],
    ]);
    expect(socket.table.list("bridge").map(({ table }) => table)).toEqual(["two"]);
    expect(socket.chain.list({ family: "inet", table: "one" }).map(({ chain, base }) => [chain, base?.policy])).toEqual(
      [
        ["jumped", undefined],
        ["based", "drop"],
      ],
    );
    socket.apply(
      delChain({ family: "inet", table: "one", chain: "jumped" }),
      delTable({ family: "bridge", table: "two" }),
    );
    expect((await listing()).match(/^\s*(table|chain) .*/gm)).toEqual(["table inet one {", "\tchain based {"]);
  });

  test("what is there is not made again", async () => {
    await nft("-f -", { input: 'table ip t {\n comment "first"\n chain c {\n comment "of c"\n accept\n }\n }' });
    const before = await nft("-a list ruleset");
    socket.apply(addTable(t, "second"), addChain(c, { comment: "another" }));
    expect(await nft("-a list ruleset")).toBe(before);
  });

  test("rules go to the end, or before another; one goes by its handle, or all", async () => {
    makeChain();
    socket.apply(add(numbered(1)), add(numbered(2)), add(numbered(4)));
    const [, , four] = socket.rule.list(c);
    socket.apply(add(numbered(3), four?.handle));
    const said = (n: number) => `tcp dport ${n} accept comment "number ${n}"`;
    expect(await rulesOf()).toEqual([1, 2, 3, 4].map(said));

    const handle = /"number 2" # handle (\d+)/.exec(await nft("-a list chain ip t c"))?.[1] ?? "";
    const two = socket.rule.list(c).find(({ comment }) => comment === "number 2");
    expect(two?.handle).toBe(BigInt(handle));
    socket.apply(delRule(c, BigInt(handle)));
    expect(await rulesOf()).toEqual([1, 3, 4].map(said));
    expect(refusal(() => socket.apply(delRule(c, BigInt(handle))))).toMatchObject({ errnoName: "ENOENT" });
    socket.apply(flushChain(c));
    expect(await rulesOf()).toEqual([]);
  });

  test("all or nothing: the first refusal names its operation and attribute", async () => {
    makeChain();
    const before = await listing();
    const elsewhere = { ...t, chain: "none" };
    expect(
      refusal(() => socket.apply(add(numbered(1)), flushChain(elsewhere), delTable({ ...t, table: "u" }))),
    ).toMatchObject({
      operation: "nft flush chain ip t none",
      errnoName: "ENOENT",
      attribute: "NFTA_RULE.chain",
      message: "nft flush chain ip t none: no such file or directory at NFTA_RULE.chain",
    });
    expect(
      refusal(() =>
        socket.apply(
          addTable({ family: "ip6", table: "new" }),
          addChain({ ...t, chain: "hung" }, { base: { type: "nat", hook: "forward", priority: 0, policy: "accept" } }),
        ),
      ),
    ).toMatchObject({ operation: "nft add chain ip t hung", errnoName: "EOPNOTSUPP" });
    // Found out only when all of it is looked at.
    const entry = { ...t, chain: "entry" };
    const based = addChain(entry, { base: { type: "filter", hook: "input", priority: 0, policy: "accept" } });
    const jump = { exprs: exprsOf("ip", rule([], { jump: "c" })) };
    expect(refusal(() => socket.apply(based, addRule(c, jump), addRule(entry, jump)))).toMatchObject({
      errnoName: "EMLINK",
    });
    expect(await listing()).toBe(before);
    socket.apply(add(numbered(1)));
    expect(await rulesOf()).toHaveLength(1);
  });

  test("a chain that is jumped to stays, and the kernel says why", () => {
    makeChain();
    socket.apply(
      addChain({ ...t, chain: "d" }),
      addRule({ ...t, chain: "d" }, { exprs: exprsOf("ip", rule([], { jump: "c" })) }),
    );
    expect(refusal(() => socket.apply(delChain(c)))).toMatchObject({
      operation: "nft delete chain ip t c",
      errnoName: "EBUSY",
    });
  });

  test("more answers than the socket's memory holds", async () => {
    makeChain();
    const many = Array.from({ length: 1000 }, (_, at) => at + 1);
    const refused = many.map((n) => delRule(c, BigInt(n + 100_000)));
    expect(refusal(() => socket.apply(...refused))).toMatchObject({
      operation: "nft delete rule ip t c handle 100001",
      errnoName: "ENOENT",
    });
    socket.apply(...many.map((n) => add(rule([], "accept", `${n}`))));
    expect((await rulesOf()).length).toBe(1000);
    expect(socket.rule.list(c).map(({ comment }) => Number(comment))).toEqual(many);
  });

  test("in the netns that it was opened in", async () => {
    const path = await node.container("pod");
    const netns = host.openNetns(path);
    const pod = openNft(host, netns);
    pod.apply(addTable(t));
    expect([await listing(), await nft("list ruleset", { netns: path })]).toEqual(["", "table ip t {\n}"]);
    expect([socket.table.list(), pod.table.list().length]).toEqual([[], 1]);
    pod.close();
    netns.close();
  });

  /** Adds a rule behind the back of whoever decides. */
  const intrude = (n: number) =>
    execaSync("nft", ["add", "rule", "ip", "t", "c", "tcp", "dport", `${n}`, "accept", "comment", `"number ${n}"`]);

  test("a change that was decided on what is no longer so is decided again", async () => {
    makeChain();
    let asked = 0;
    const changed = socket.update(() => {
      const there = socket.rule.list(c).length;
      if (++asked < 4) intrude(asked);
      return [add(numbered(100 + there))];
    });
    expect([changed, asked]).toEqual([true, 4]);
    expect(await rulesOf()).toEqual([1, 2, 3, 103].map((n) => `tcp dport ${n} accept comment "number ${n}"`));
  });

  test("so is that nothing is to be changed", async () => {
    makeChain();
    let asked = 0;
    const changed = socket.update(() => {
      const there = socket.rule.list(c).length;
      if (++asked === 1) intrude(1);
      return there === 0 ? [] : [add(numbered(2))];
    });
    expect([changed, asked]).toEqual([true, 2]);
    expect(await rulesOf()).toHaveLength(2);
    expect(socket.update(() => [])).toBe(false);
  });

  test("somebody who never lets one finish is given up on, and a refusal is not asked for twice", async () => {
    makeChain();
    const other = openNft(host);
    let asked = 0;
    const decide = () => {
      other.apply(addTable({ family: "ip6", table: `t${++asked}` }));
      return [add(numbered(1))];
    };
    expect(() => socket.update(decide)).toThrow(
      "nft transaction, for which others changed the ruleset 100 times meanwhile",
    );
    other.close();
    expect([asked, await rulesOf()]).toEqual([100, []]);
    asked = 0;
    const bad = () => {
      asked++;
      return [delChain({ ...t, chain: "none" })];
    };
    expect(refusal(() => socket.update(bad))).toMatchObject({ errnoName: "ENOENT" });
    expect(asked).toBe(1);
  });

  test("nft writes at the same time: nothing is lost, and nothing is there twice", async () => {
    makeChain();
    const script =
      'for n in $(seq 1 80); do nft add rule ip t c tcp dport $n accept comment \\"number $n\\" || exit 1; done';
    const writer = execa("sh", ["-c", script]);
    let running = true;
    writer.finally(() => {
      running = false;
    });
    let asked = 0;
    let last = 1000;
    for (; running && last < 2000; last++) {
      const wanted = numbered(last);
      for (const _ of ["once", "and again"])
        socket.update(() => {
          asked++;
          const there = socket.rule.list(c).some(({ comment }) => comment === wanted.comment);
          return there ? [] : [add(wanted)];
        });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await writer;
    const seen = (await rulesOf()).map((line) => Number(/number (\d+)/.exec(line)?.[1]));
    const theirs = seen.filter((n) => n < 1000);
    const ours = seen.filter((n) => n >= 1000);
    expect(theirs).toEqual(Array.from({ length: 80 }, (_, at) => at + 1));
    expect(ours).toEqual(Array.from({ length: last - 1000 }, (_, at) => at + 1000));
    expect(asked).toBeGreaterThan(2 * ours.length);
  });

  test("a thousand rules of others stay byte for byte, and are not even read", async () => {
    const services = Array.from({ length: 500 }, (_, n) => `10.96.${n >> 8}.${n & 255}`);
    const input = `
      table ip nat {
        map service-ips {
          type ipv4_addr . inet_proto . inet_service : verdict
          elements = { ${services.map((address) => `${address} . tcp . 80 : goto service`).join(", ")} }
        }
        chain service {
${services.map((address, n) => `ip daddr ${address} counter packets ${n} bytes ${n * 60} comment "of ${address}"`).join("\n")}
        }
        chain PREROUTING {
          type nat hook prerouting priority -100; policy accept;
          ip daddr . ip protocol . tcp dport vmap @service-ips
${services.map((address) => `ip saddr ${address} meta mark set 0x4000 return`).join("\n")}
        }
      }
      table bridge nat {
        chain PREROUTING {
          type filter hook prerouting priority -300; policy accept;
          ether type ip meta nftrace set 1
        }
      }`;
    await nft("-f -", { input });
    const foreign = async () => [await nft("-a list table ip nat"), await nft("-a list chain bridge nat PREROUTING")];
    const before = await foreign();
    const handles = (text: string) => (text.match(/# handle \d+$/gm) ?? []).length;
    expect(handles(before.join("\n"))).toBeGreaterThan(1000);

    let received = 0;
    const counting = node.host({
      recv(fd, max, timeoutMs) {
        const bytes = sys.recv(fd, max, timeoutMs);
        received += bytes.length;
        return bytes;
      },
    });
    const counted = openNft(counting);
    const plans = Object.values(layouts).map(({ plan }) => plan);
    expect(ensure(counted, ...plans)).toBe(true);
    expect(received).toBeLessThan(10_000);
    expect(ensure(counted, ...plans)).toBe(false);
    const there = await foreign();
    expect(there[0]).toBe(before[0]);
    expect(there[1]).not.toBe(before[1]);
    for (const { family, table, chains } of plans)
      remove(counted, {
        family,
        table,
        rules: chains.map(({ chain }) => ({ chain, owns: { begins: "macspoofchk-5f3c2d6a9b1e" } })),
        chains: chains
          .map(({ chain }) => chain)
          .filter((chain) => chain.startsWith("cni-br-iface"))
          .toReversed(),
      });
    expect(await foreign()).toEqual(before);
    counted.close();
  });

  test("sets and maps, as nft shows them", async () => {
    const addresses = { ...t, set: "addresses" };
    const verdicts = { ...t, set: "verdicts" };
    const targets = { ...t, set: "targets" };
    const links = { ...t, set: "links" };
    const marks = { ...t, set: "marks" };
    const address = (last: number) => Uint8Array.of(10, 0, 0, last);
    const port = (n: number) => Uint8Array.of(n >> 8, n & 255);
    makeChain();
    socket.apply(
      addSet(addresses, { key: ["ipv4_addr"], comment: "a set" }),
      addElements(addresses, [{ key: address(1), comment: "first" }, { key: address(2) }]),
      addSet(verdicts, { key: ["ipv4_addr", "inet_service"], value: "verdict" }),
      addElements(verdicts, [
        { key: concatenated(address(1), port(80)), value: { verdict: { code: -3, chain: "c" } } },
        { key: concatenated(address(2), port(81)), value: { verdict: { code: 0 } } },
      ]),
      addSet(targets, { key: ["inet_proto", "inet_service"], value: ["ipv4_addr", "inet_service"] }),
      addElements(targets, [
        { key: concatenated(Uint8Array.of(6), port(8080)), value: { value: concatenated(address(5), port(80)) } },
      ]),
      addSet(marks, { key: ["mark"], value: ["mark"] }),
      addElements(marks, [{ key: Uint8Array.of(1, 2, 0, 0), value: { value: Uint8Array.of(3, 0, 0, 0) } }]),
      addSet(links, { key: ["ifname"] }),
      addElements(links, [{ key: ifnameBytes("veth0") }]),
      addRule(c, {
        exprs: [
          { name: "payload", data: { dreg: 1, base: 1, offset: 12, len: 4 } },
          { name: "lookup", data: { set: "addresses", sreg: 1, flags: 1 } },
          ...exprsOf("ip", rule([], "return")),
        ],
      }),
    );
    const shown = (await listing()).replace(/\s+/g, " ");
    for (const part of [
      'set addresses { type ipv4_addr comment "a set" elements = { 10.0.0.1 comment "first", 10.0.0.2 } }',
      "map verdicts { type ipv4_addr . inet_service : verdict elements = { 10.0.0.1 . 80 : jump c, 10.0.0.2 . 81 : drop } }",
      "map targets { type inet_proto . inet_service : ipv4_addr . inet_service elements = { tcp . 8080 : 10.0.0.5 . 80 } }",
      "map marks { type mark : mark elements = { 0x00000201 : 0x00000003 } }",
      'set links { type ifname elements = { "veth0" } }',
      "chain c { ip saddr != @addresses return }",
    ])
      expect(shown).toContain(part);

    expect(socket.set.list(t).map(({ set, isMap, comment }) => [set, isMap, comment])).toEqual([
      ["addresses", false, "a set"],
      ["verdicts", true, undefined],
      ["targets", true, undefined],
      ["marks", true, undefined],
      ["links", false, undefined],
    ]);
    expect(socket.set.elements(targets)).toEqual([
      {
        key: concatenated(Uint8Array.of(6), port(8080)),
        value: { value: concatenated(address(5), port(80)) },
        comment: undefined,
      },
    ]);
    await nft("add element ip t addresses { 10.0.0.9 }");
    expect(
      socket.set
        .elements(addresses)
        .map(({ key }) => key[3])
        .sort(),
    ).toEqual([1, 2, 9]);
    socket.apply(delElements(addresses, [address(1), address(9)]), delSet(targets));
    expect(socket.set.elements(addresses)).toEqual([{ key: address(2), value: undefined, comment: undefined }]);
    expect(refusal(() => socket.apply(delSet(addresses)))).toMatchObject({ errnoName: "EBUSY" });
    expect(await listing()).not.toContain("targets");
  });

  test("conditions that nobody's layout has yet, as nft writes them", async () => {
    makeChain();
    const said = [
      rule([{ field: "ctState", is: ["related", "established"] }], "accept"),
      rule([{ field: "mark", is: { value: 0x2000, mask: 0x2000 } }], "masquerade"),
      rule(
        [
          { field: "mark", is: { value: 5 }, not: true },
          { field: "l4proto", is: "udp" },
        ],
        "return",
      ),
      rule([{ field: "ctMark", is: { value: 7 } }, daddr("192.0.2.0/25")], "drop"),
      rule([saddr("10.0.0.0/8"), { ...dport("sctp", 9), not: true }], dnat("10.1.0.5", 9)),
    ];
    socket.apply(...said.map((each) => add(each)));
    expect(await rulesOf()).toEqual([
      "ct state established,related accept",
      "meta mark & 0x00002000 == 0x00002000 masquerade",
      "meta mark != 0x00000005 meta l4proto udp return",
      "ct mark 0x00000007 ip daddr 192.0.2.0/25 drop",
      "ip saddr 10.0.0.0/8 sctp dport != 9 dnat to 10.1.0.5:9",
    ]);
  });
});

describeWith(["cell", "ip", "nft", "iptables"], "rules of iptables", () => {
  test("are read as what they do, their comments too", async () => {
    const node = await makeNode();
    const socket = openNft(node.host());
    try {
      const version = await node.run("iptables", "--version");
      expect(version).toContain("nf_tables");
      const made = "-t nat -A POSTROUTING -s 10.0.0.5 -m comment --comment hello -j MASQUERADE";
      await node.run("iptables", ...made.split(" "));
      await node.run("iptables", ..."-t nat -A POSTROUTING -m limit -j ACCEPT".split(" "));
      const [one, other] = socket.rule.list({ family: "ip", table: "nat", chain: "POSTROUTING" });
      expect(one?.exprs.map(({ name }) => name)).toEqual(["payload", "cmp", "match", "counter", "target"]);
      const phrase = one && phraseOf(one);
      expect(phrase).toMatchObject({ comment: "hello", iptables: true });
      expect(phrase && phraseText(phrase)).toBe("ip saddr 10.0.0.5 masquerade");
      expect(other && phraseOf(other)).toBeUndefined();
    } finally {
      socket.close();
      await node.close();
    }
  });
});
