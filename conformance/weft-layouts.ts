// Directories of network lists, from the plain to the odd: `weft` and cnitool must read each alike.

/** What stands under NETCONFPATH, and what is done with it. */
export interface Layout {
  readonly name: string;
  /** Files under NETCONFPATH; a value is written as JSON, a text as it is. */
  readonly files: Readonly<Record<string, unknown>>;
  readonly verbs?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly fails?: true;
  /** No plugin is called. */
  readonly asksNobody?: true;
}

const list = (plugins: readonly unknown[], more: object = {}) => ({
  cniVersion: "1.0.0",
  name: "net",
  plugins,
  ...more,
});
const one = { type: "one" };
const two = { type: "two" };

export const layouts: readonly Layout[] = [
  { name: "the first of two lists of one name", files: { "20.conflist": list([two]), "10.conflist": list([one]) } },
  {
    name: "order is by bytes",
    files: { "b.conflist": list([two]), "B.conflist": list([one]), "10.conflist": list([two], { name: "x" }) },
  },
  {
    name: "a list comes before a single plugin",
    files: { "10.conf": { ...two, name: "net" }, "20.conflist": list([one]) },
  },
  {
    name: "single plugins, both endings in one order",
    files: {
      "20.conf": { ...two, name: "net", cniVersion: "0.4.0" },
      "10.json": { ...one, name: "net", cniVersion: "0.3.1" },
    },
  },
  {
    name: "a single plugin's keys in any case",
    files: { "10.conf": { Type: "one", NAME: "net", CNIVersion: "0.4.0" } },
  },
  { name: "a single plugin without a version", files: { "10.conf": { ...one, name: "net" } } },
  {
    name: "other endings are nothing",
    files: {
      "10.conflist.bak": list([two]),
      "10.CONFLIST": list([two]),
      nets: list([two]),
      "20.conflist": list([one]),
    },
  },
  { name: "a folder with the ending is passed over", files: { "10.conflist/x": "", "20.conflist": list([one]) } },
  {
    name: "a broken list in front spoils the search",
    files: { "10.conflist": "{", "20.conflist": list([one]) },
    fails: true,
  },
  { name: "a broken list behind does not", files: { "10.conflist": list([one]), "20.conflist": "{" } },
  { name: "a broken single plugin behind a list does not", files: { "10.conflist": list([one]), "20.conf": "{" } },
  { name: "no such network", files: { "10.conflist": list([one], { name: "other" }) }, fails: true },
  { name: "an empty directory", files: {}, fails: true },
  { name: "a list without a name", files: { "10.conflist": { cniVersion: "1.0.0", plugins: [one] } }, fails: true },
  {
    name: "a list's own keys count by case",
    files: { "10.conflist": { CNIVersion: "1.0.0", Name: "net", plugins: [one] } },
    fails: true,
  },
  { name: "no plugins at all", files: { "10.conflist": { cniVersion: "1.0.0", name: "net" } }, fails: true },
  { name: "an empty list of plugins", files: { "10.conflist": list([]) }, fails: true },
  { name: "plugins that are no list", files: { "10.conflist": list([], { plugins: null }) }, fails: true },
  { name: "a plugin without a type", files: { "10.conflist": list([{ x: 1 }]) }, fails: true },
  { name: "a plugin with a type that is no string", files: { "10.conflist": list([{ type: 1 }]) }, fails: true },
  { name: "a plugin's type in another case", files: { "10.conflist": list([{ TYPE: "one" }]) } },
  { name: "a name that is none", files: { "10.conflist": list([one], { name: "a b" }), "20.conflist": list([one]) } },
  { name: "a plugin that is not there", files: { "10.conflist": list([one, { type: "missing" }]) }, fails: true },
  { name: "a plugin that is a path", files: { "10.conflist": list([{ type: "../recorder/one" }]) }, fails: true },

  ...[
    [["0.4.0", "1.0.0"], "0.3.1"],
    [["1.1.0", "0.4.0"], "1.0.0"],
    [["0.4.0"], "1.0.0"],
    [["9.0.0", "0.4.0"], "0.3.1"],
    [["9.0.0"], "0.4.0"],
    [["0.4.0"], undefined],
    [[], "1.0.0"],
  ].map(([cniVersions, cniVersion]) => ({
    name: `cniVersions ${JSON.stringify(cniVersions)} beside ${JSON.stringify(cniVersion)}`,
    files: { "10.conflist": list([one], { cniVersions, cniVersion }) },
  })),
  {
    name: "a version written short",
    files: { "10.conflist": list([one], { cniVersions: ["1.0"], cniVersion: "0.4.0" }) },
    fails: true,
  },
  {
    name: "cniVersions with something unreadable",
    files: { "10.conflist": list([one], { cniVersions: ["x"] }) },
    fails: true,
  },
  { name: "cniVersions with a number", files: { "10.conflist": list([one], { cniVersions: [1] }) }, fails: true },
  { name: "cniVersions that is no list", files: { "10.conflist": list([one], { cniVersions: "1.0.0" }) }, fails: true },
  { name: "cniVersion that is a number", files: { "10.conflist": list([one], { cniVersion: 1 }) }, fails: true },

  ...[true, false, "true", "FALSE", "True"].map((value) => ({
    name: `disableCheck ${JSON.stringify(value)}`,
    files: { "10.conflist": list([one], { disableCheck: value }) },
    verbs: ["add", "check"],
  })),
  ...[true, "true", false].map((value) => ({
    name: `disableGC ${JSON.stringify(value)}`,
    files: { "10.conflist": list([one], { disableGC: value }) },
    verbs: ["add", "gc", "del"],
  })),
  ...["disableCheck", "disableGC", "loadOnlyInlinedPlugins"].flatMap((key) =>
    [1, "yes", null, ""].map(
      (value): Layout => ({
        name: `${key} ${JSON.stringify(value)}`,
        files: { "10.conflist": list([one], { [key]: value }) },
        fails: true,
      }),
    ),
  ),
  {
    name: "plugins in files of their own, after those of the list",
    files: {
      "10.conflist": list([one]),
      "net/20.conf": { ...two, from: "a file" },
      "net/10.conf": { ...one, from: "a file" },
      "net/x.conflist": "{",
    },
    verbs: ["add", "check", "del"],
  },
  {
    name: "plugins only in files of their own",
    files: { "10.conflist": { cniVersion: "1.0.0", name: "net" }, "net/20.conf": two },
  },
  {
    name: "loadOnlyInlinedPlugins",
    files: { "10.conflist": list([one], { loadOnlyInlinedPlugins: "true" }), "net/20.conf": "{" },
  },
  {
    name: "loadOnlyInlinedPlugins without plugins",
    files: { "10.conflist": { cniVersion: "1.0.0", name: "net", loadOnlyInlinedPlugins: true }, "net/20.conf": two },
    fails: true,
  },
  { name: "a broken file of a plugin", files: { "10.conflist": list([one]), "net/20.conf": "{" }, fails: true },

  {
    name: "keys are ordered at every level, the list's name and version win",
    files: {
      "10.conflist": list([
        {
          type: "one",
          z: { b: 1, a: [{ d: 1, c: 2 }] },
          name: "mine",
          cniVersion: "0.1.0",
          Name: "x",
          A: null,
          prevResult: { x: 1 },
        },
        two,
      ]),
    },
    verbs: ["add", "check", "del"],
  },
  {
    name: "numbers as Go writes them",
    files: {
      "10.conflist":
        '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"one","n":[1,1.0,1.50,1e3,1E21,1e20,123456789012345678901,1e-6,1e-7,12.5e-9,0,9007199254740993,-3]}]}',
    },
  },
  {
    name: "strings as Go writes them",
    files: {
      "10.conflist":
        '{"cniVersion":"1.0.0","name":"net","plugins":[{"type":"one","s":["<a>&\\u003c","\\u00e4\\n\\t\\u0001","\\/","\\ud83d\\ude00"]}]}',
    },
  },
  {
    name: "the last of two keys counts",
    files: {
      "10.conflist":
        '{"cniVersion":"1.0.0","name":"x","name":"net","plugins":[{"type":"two","a":1,"type":"one","a":2}]}',
    },
  },

  {
    name: "capability arguments that a plugin takes",
    files: {
      "10.conflist": list([{ ...one, capabilities: { mac: true, portMappings: true, bandwidth: false } }, two], {
        cniVersion: "0.4.0",
      }),
    },
    env: {
      CAP_ARGS:
        '{"portMappings":[{"hostPort":80,"containerPort":8080,"protocol":"tcp"}],"bandwidth":{"ingressRate":1e3},"mac":"0a:58:00:00:00:01","other":1}',
    },
    verbs: ["add", "check", "del"],
  },
  {
    name: "a capability that is neither true nor false",
    files: { "10.conflist": list([{ ...one, capabilities: { mac: "true" } }]) },
    fails: true,
  },
  { name: "CAP_ARGS null", files: { "10.conflist": list([one]) }, env: { CAP_ARGS: "null" } },
  { name: "CAP_ARGS that is no object", files: { "10.conflist": list([one]) }, env: { CAP_ARGS: "[]" }, fails: true },
  { name: "CAP_ARGS that is no JSON", files: { "10.conflist": list([one]) }, env: { CAP_ARGS: "{" }, fails: true },
  {
    name: "CNI_ARGS",
    files: { "10.conflist": list([one, two]) },
    env: { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=x" },
    verbs: ["add", "check", "del"],
  },
  ...["A=", "A", "=b", "A=b;", "A=b=c"].map(
    (args): Layout => ({
      name: `CNI_ARGS ${JSON.stringify(args)}`,
      files: { "10.conflist": list([one]) },
      env: { CNI_ARGS: args },
      fails: true,
    }),
  ),
  {
    name: "CNI_IFNAME",
    files: { "10.conflist": list([one]) },
    env: { CNI_IFNAME: "net1" },
    verbs: ["add", "check", "del"],
  },
  {
    name: "CNI_IFNAME too long",
    files: { "10.conflist": list([one]) },
    env: { CNI_IFNAME: "sixteen-letters1" },
    fails: true,
  },
  {
    name: "check before 0.4.0",
    files: { "10.conflist": list([one], { cniVersion: "0.3.1" }) },
    verbs: ["check"],
    fails: true,
  },
  {
    name: "del before 0.4.0 is told no result",
    files: { "10.conflist": list([one, two], { cniVersion: "0.3.1" }) },
    verbs: ["add", "del"],
  },
  {
    name: "status",
    files: { "10.conflist": list([one, two], { cniVersion: "1.1.0" }) },
    verbs: ["status"],
    env: { CNI_ARGS: "A=b", CAP_ARGS: '{"mac":"x"}' },
  },
  {
    name: "status before 1.1.0 asks nobody",
    asksNobody: true,
    files: { "10.conflist": list([one]) },
    verbs: ["status"],
  },
  {
    name: "gc before 1.1.0 is a DEL of what is kept",
    files: { "10.conflist": list([one, two]) },
    verbs: ["add", "gc", "del"],
    env: { CNI_ARGS: "A=b" },
  },
];
