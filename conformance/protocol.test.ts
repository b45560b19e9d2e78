// What every plugin does the same: the order of the checks, the validators, versions, the error object. CNI spec 1.1.0,
// section 3, as the Go library has it. The same calls go to each plugin; none of them may touch the node.
import { plugins } from "../testing/binaries.ts";
import { compareAll } from "./compare.ts";
import { call, hostLocal } from "./configs.ts";
import type { Call, Scenario } from "./scenario.ts";

const conf = { cniVersion: "1.0.0", name: "net", type: "any" };
const verbs = ["ADD", "DEL", "CHECK", "STATUS", "GC", "VERSION"];
const noVersion = /invalid version|failed to convert \w+ version part/;
const none = (...names: string[]) => Object.fromEntries(names.map((name) => [name, undefined]));
const empty = (...names: string[]) => Object.fromEntries(names.map((name) => [name, ""]));

interface Group {
  readonly name: string;
  readonly calls: (plugin: string) => readonly Call[];
}

const groups: Group[] = [
  {
    name: "VERSION, with anything on standard input",
    calls: (plugin) => [
      call("VERSION", plugin),
      call("VERSION", plugin, "{"),
      call("VERSION", plugin, { cniVersion: "0.1.0" }),
      call(
        "VERSION",
        plugin,
        { cniVersion: "1.1.0" },
        { env: { CNI_NETNS: "dummy", CNI_IFNAME: "dummy", CNI_PATH: "dummy" } },
      ),
      call("VERSION", plugin, "", { env: none("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH") }),
      call("VERSION", plugin, "", { env: { CNI_CONTAINERID: "/", CNI_IFNAME: "..", CNI_ARGS: ";;" } }),
    ],
  },
  {
    name: "no verb",
    calls: (plugin) => [call("", plugin, "{"), call("", plugin, conf, { env: none("CNI_COMMAND") })],
  },
  {
    name: "an environment variable is missing",
    calls: (plugin) =>
      verbs.flatMap((verb) => [
        ...["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"].flatMap((name) =>
          // These can go on to the work itself: see the tests of each plugin.
          (verb === "DEL" && name === "CNI_NETNS") || verb === "STATUS" || verb === "GC"
            ? []
            : [call(verb, plugin, conf, { env: none(name) }), call(verb, plugin, conf, { env: empty(name) })],
        ),
        call(verb, plugin, conf, { env: none("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH") }),
        call(verb, plugin, "", { env: none("CNI_CONTAINERID", "CNI_PATH") }),
      ]),
  },
  {
    name: "container ids",
    calls: (plugin) =>
      ["ADD", "CHECK", "DEL"].flatMap((verb) =>
        ["-a", ".a", "_a", "a/b", "a b", "ä", "a\n", "a:b", "a;b", "..", '"', `${"a".repeat(300)}!`].map((id) =>
          call(verb, plugin, conf, { env: { CNI_CONTAINERID: id } }),
        ),
      ),
  },
  {
    name: "interface names",
    calls: (plugin) =>
      ["ADD", "CHECK", "DEL"].flatMap((verb) =>
        [
          "1234567890123456",
          "ääääääää",
          ".",
          "..",
          "a/b",
          "a:b",
          "a b",
          "a\tb",
          "a\u00a0b",
          "a\u0085b",
          "a\u2028b",
          "a\u3000b",
          "\n",
        ].map((name) => call(verb, plugin, conf, { env: { CNI_IFNAME: name } })),
      ),
  },
  {
    name: "a bad variable is told before a missing one, if it comes first",
    calls: (plugin) => [
      call("ADD", plugin, conf, { env: { CNI_CONTAINERID: "/", CNI_NETNS: undefined } }),
      call("ADD", plugin, conf, { env: { CNI_CONTAINERID: undefined, CNI_IFNAME: ".." } }),
      call("DEL", plugin, conf, { env: { CNI_CONTAINERID: undefined, CNI_PATH: undefined } }),
    ],
  },
  {
    name: "verbs nobody knows",
    calls: (plugin) => [
      call("add", plugin, conf),
      call("UPDATE", plugin, conf),
      call("ADD ", plugin, conf),
      call("UPDATE", plugin, ""),
      call("UPDATE", plugin, { ...conf, name: "" }),
      call("UPDATE", plugin, conf, { env: none("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH") }),
    ],
  },
  {
    name: "standard input that is no configuration",
    calls: (plugin) =>
      ["ADD", "DEL", "CHECK", "STATUS", "GC"].flatMap((verb) =>
        [
          "",
          " ",
          "{",
          "[]",
          '"a"',
          "1",
          "true",
          '{"name":}',
          "{} {}",
          '{"name":"a"} x',
          "\ufeff{}",
          '{"name":1}',
          '{"name":["a"]}',
          '{"cniVersion":1,"name":"a"}',
          "\0",
        ].map((text) =>
          call(verb, plugin, text, { says: /error unmarshall network config|decoding version from network config/ }),
        ),
      ),
  },
  {
    name: "network names",
    calls: (plugin) =>
      ["ADD", "DEL", "CHECK", "STATUS", "GC"].flatMap((verb) => [
        call(verb, plugin, { ...conf, name: undefined }),
        call(verb, plugin, { ...conf, name: "" }),
        call(verb, plugin, { ...conf, name: null }),
        call(verb, plugin, "null"),
        ...["-a", ".a", "a/b", "a b", "ä", "a\n", "../x", "\u017f"].map((name) =>
          call(verb, plugin, { ...conf, name }),
        ),
      ]),
  },
  {
    name: "versions nobody speaks",
    calls: (plugin) =>
      ["ADD", "DEL", "CHECK", "STATUS", "GC"].flatMap((verb) =>
        ["1.1", "1", "0.5.0", "0.3.2", "1.2.0", "2.0.0", "-1.0.0", "01.0.0"].map((cniVersion) =>
          call(verb, plugin, { ...conf, cniVersion }),
        ),
      ),
  },
  {
    name: "versions that are none",
    calls: (plugin) =>
      ["ADD", "DEL", "CHECK", "STATUS", "GC"].flatMap((verb) =>
        ["1.0.0.0", "x", "1.x.0", "1..0", "1.0.0-rc1", " 1.0.0", "99999999999999999999.0.0"].map((cniVersion) =>
          // ADD and DEL only look whether the text is one of those they support.
          call(verb, plugin, { ...conf, cniVersion }, ["ADD", "DEL"].includes(verb) ? {} : { says: noVersion }),
        ),
      ),
  },
  {
    name: "verbs a version does not have",
    calls: (plugin) =>
      ["", "0.1.0", "0.2.0", "0.3.0", "0.3.1"].flatMap((cniVersion) => [
        call("CHECK", plugin, { ...conf, cniVersion }),
        call("STATUS", plugin, { ...conf, cniVersion }),
        call("GC", plugin, { ...conf, cniVersion }),
      ]),
  },
  {
    name: "verbs the last but one versions do not have",
    calls: (plugin) =>
      ["0.4.0", "1.0.0"].flatMap((cniVersion) => [
        call("STATUS", plugin, { ...conf, cniVersion }),
        call("GC", plugin, { ...conf, cniVersion }),
      ]),
  },
];

const scenarios: Scenario[] = groups.flatMap(({ name, calls }) =>
  plugins.map((plugin) => ({
    name: `${plugin}: ${name}`,
    // Go's flannel that can be built has the library of CNI 0.4.0; host-local has today's, as today's flannel has.
    steps: calls(plugin).map((step) => (plugin === "flannel" ? { ...step, goAs: "host-local" } : step)),
  })),
);

/** Keys fold as Go folds them. host-local tells what it made of them by what it prints. */
const folded: Scenario[] = [
  { NAME: "net", CNIVersion: "0.4.0" },
  { name: "first", Name: "second" },
  { Name: "first", name: "second" },
  { name: "net", "\u017fubnet": 1, Ipam: null },
].map((keys, index) => ({
  name: `keys in other letters, ${index}`,
  steps: [
    call("ADD", "host-local", {
      ...hostLocal({ subnet: "10.9.0.0/29" }, { name: undefined, cniVersion: undefined }),
      ...keys,
    }),
  ],
}));

compareAll("protocol", [...scenarios, ...folded]);
