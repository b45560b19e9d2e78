import { expect, test } from "vitest";
import { parseResolvConf } from "./resolv-conf.ts";

const nothing = { nameservers: [], domain: undefined, search: [], options: [] };

test.each<[string, string, object]>([
  ["an empty file", "", nothing],
  ["comments of both kinds", "# one\n; two\n  # three\n#nameserver 192.0.2.9\n", nothing],
  ["name servers in order", "nameserver 192.0.2.1\nnameserver fd00::1\n", { nameservers: ["192.0.2.1", "fd00::1"] }],
  ["white space round and between", "\t nameserver \t192.0.2.1  \r\n", { nameservers: ["192.0.2.1"] }],
  ["the second field alone", "nameserver 192.0.2.1 # the first\n", { nameservers: ["192.0.2.1"] }],
  ["the last domain", "domain a.example\ndomain b.example c.example\n", { domain: "b.example" }],
  ["all search lines", "search a b\nsearch c\n", { search: ["a", "b", "c"] }],
  ["all options", "options ndots:5\noptions rotate edns0\n", { options: ["ndots:5", "rotate", "edns0"] }],
  ["keywords without a value", "nameserver\ndomain\nsearch\noptions\n", nothing],
  ["keywords it does not know", "sortlist 192.0.2.0\nNAMESERVER 192.0.2.1\nnameservers 192.0.2.1\n", nothing],
  ["a last line without a newline", "nameserver 192.0.2.1", { nameservers: ["192.0.2.1"] }],
])("%s", (_, text, expected) => {
  expect(parseResolvConf(text)).toEqual({ ...nothing, ...expected });
});
