// Names that Go's plugins find rules by: known answers.
import { expect, test } from "vitest";
import { parsePrefix, type Prefix } from "../../ip/prefix.ts";
import { sys } from "../../host/node.ts";
import { phraseText } from "../../netlink/nft/phrase.ts";
import { chainOf, iptablesComment, isChainName, nftablesComment, ownerHash, shortened } from "./names.ts";
import { iptablesPlan } from "./plans.ts";

const owner = { network: "cbr0", containerId: "c0ffee", ifName: "eth0" };

test("of one attachment", () => {
  expect(chainOf(sys, owner)).toBe("CNI-bf3a68af647c37c99566ad1c");
  expect(isChainName(chainOf(sys, owner))).toBe(true);
  expect(iptablesComment(owner)).toBe('name: "cbr0" id: "c0ffee"');
  expect(ownerHash(sys, owner)).toBe("cb6e746fae1a4d6c-a9bcd915bbe82469");
  expect(nftablesComment(sys, owner)).toBe("cb6e746fae1a4d6c-a9bcd915bbe82469, net: cbr0, if: eth0, id: c0ffee");
  for (const other of ["CNI-DN-bf3a68af647c37c99566a", "CNI-HOSTPORT-DNAT", "CNI-FORWARD"])
    expect(isChainName(other)).toBe(false);
});

test("comments are cut to what the kernel keeps, and no character in half", () => {
  const long = { ...owner, network: "n".repeat(240), containerId: "c".repeat(64) };
  expect(iptablesComment(long)).toHaveLength(255);
  expect(nftablesComment(sys, long)).toHaveLength(128);
  expect(shortened("ä".repeat(100), 127)).toBe("ä".repeat(63));
  expect(nftablesComment(sys, { ...owner, ifName: 'e"th' })).toContain("if: eth, id");
});

test("iptables' rules of several addresses, each once, in the order of Go's", () => {
  const addresses = ["10.1.0.5/24", "10.1.0.6/24", "10.2.0.5/24"].map((text) => parsePrefix(text) as Prefix);
  const { chains } = iptablesPlan(sys, owner, 4, addresses);
  expect(chains.map(({ rules }) => rules.map(phraseText))).toEqual([
    ["ip daddr 10.1.0.0/24 accept", "ip daddr != 224.0.0.0/4 masquerade", "ip daddr 10.2.0.0/24 accept"],
    ["10.1.0.5", "10.1.0.6", "10.2.0.5"].map((ip) => `ip saddr ${ip} jump CNI-bf3a68af647c37c99566ad1c`),
  ]);
});
