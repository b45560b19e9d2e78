// Reading network lists: which one a name means, and what is said of one that cannot be used. cnitool judges the same
// rules on the built executable, in conformance/weft-lists.test.ts.
import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { testHost } from "../testing/host.ts";
import { pluginInput } from "./input.ts";
import { findNetwork, type ListedPlugin, type NetworkList } from "./list.ts";

let directory = "";
beforeEach(() => {
  directory = fs.mkdtempSync(join(tmpdir(), "weft-list-"));
});
afterEach(() => fs.rmSync(directory, { recursive: true }));

const { host } = testHost({});

function write(files: Readonly<Record<string, unknown>>): void {
  for (const [name, content] of Object.entries(files)) {
    fs.mkdirSync(dirname(join(directory, name)), { recursive: true });
    fs.writeFileSync(join(directory, name), typeof content === "string" ? content : JSON.stringify(content));
  }
}

const list = (more: object = {}) => ({ cniVersion: "1.0.0", name: "net", plugins: [{ type: "one" }], ...more });
const found = (files: Readonly<Record<string, unknown>>): NetworkList => {
  write(files);
  return findNetwork(host, directory, "net");
};
const types = ({ plugins }: NetworkList): string[] => plugins.map(({ type }) => type);

describe("which list", () => {
  test("the first by name, lists before single plugins", () => {
    const two = { plugins: [{ type: "two" }] };
    const all = { "20.conflist": list(two), "10.conf": { name: "net", type: "three" }, "10.conflist": list() };
    expect(types(found(all))).toEqual(["one"]);
    fs.rmSync(join(directory, "10.conflist"));
    expect(types(found({}))).toEqual(["two"]);
    fs.rmSync(join(directory, "20.conflist"));
    expect(types(found({}))).toEqual(["three"]);
  });

  test("a single plugin is a list of one, its text what libcni makes of it", () => {
    const { cniVersion, text } = found({ "10.json": '{"type":"one","name":"net","b":1.50,"cniVersion":"0.3.1"}' });
    expect(cniVersion).toBe("0.3.1");
    expect(text).toBe(
      '{"cniVersion":"0.3.1","name":"net","plugins":[{"b":1.5,"cniVersion":"0.3.1","name":"net","type":"one"}]}',
    );
  });

  test("a list keeps its text to the byte", () => {
    const text = '{ "name":"net",\n\t"plugins": [{"type":"one"}] }\n';
    expect(found({ "10.conflist": text }).text).toBe(text);
  });

  test("plugins in files of their own come after the list's, in order of name", () => {
    const beside = { "net/2.conf": { type: "three" }, "net/1.conf": { type: "two" }, "net/0.json": { type: "four" } };
    expect(types(found({ "10.conflist": list(), ...beside }))).toEqual(["one", "two", "three"]);
    expect(types(found({ "10.conflist": list({ loadOnlyInlinedPlugins: "TRUE" }) }))).toEqual(["one"]);
  });
});

describe("the version is the highest that we speak", () => {
  test.each([
    ["0.3.1", undefined, "0.3.1"],
    ["0.3.1", ["0.4.0", "1.1.0", "1.0.0"], "1.1.0"],
    ["1.0.0", ["0.4.0"], "1.0.0"],
    ["0.3.1", ["9.0.0", "0.4.0"], "0.4.0"],
    ["0.4.0", ["9.0.0"], "0.4.0"],
    ["", ["0.4.0"], "0.4.0"],
    ["9.0.0", ["0.4.0", "0.10.0"], "0.10.0"],
    ["9.0.0", [], "9.0.0"],
    ["", undefined, ""],
  ])("%j and %j: %j", (cniVersion, cniVersions, chosen) => {
    expect(found({ "10.conflist": list({ cniVersion, cniVersions }) }).cniVersion).toBe(chosen);
  });
});

describe("switches are booleans or say so in words", () => {
  test.each([
    [true, true],
    [false, false],
    ["true", true],
    ["False", false],
    [undefined, false],
  ])("%j", (written, meant) => {
    const { disableCheck, disableGC } = found({ "10.conflist": list({ disableCheck: written, disableGC: written }) });
    expect([disableCheck, disableGC]).toEqual([meant, meant]);
  });
});

describe("what cannot be used is said with its file and its field", () => {
  test.each([
    [{}, /^no net configurations found in .*; set NETCONFPATH to the directory of your \*\.conflist$/],
    [{ "10.conflist": list({ name: "other" }) }, /^no net configuration with name "net" in /],
    [{ "10.conflist": "{" }, /10\.conflist: not JSON: unexpected end of JSON input$/],
    [{ "10.conflist": "[]" }, /10\.conflist: must be a JSON object$/],
    [{ "10.conflist": list({ name: 1 }) }, /"name" must be a string$/],
    [{ "10.conflist": list({ cniVersion: 1 }) }, /"cniVersion" must be a string$/],
    [{ "10.conflist": list({ cniVersions: "1.0.0" }) }, /"cniVersions" must be a list of strings$/],
    [{ "10.conflist": list({ cniVersions: ["1.x"] }) }, /invalid version "1\.x"/],
    [{ "10.conflist": list({ disableGC: "no" }) }, /"disableGC" must be true or false$/],
    [{ "10.conflist": list({ plugins: {} }) }, /"plugins" must be a list of at least one$/],
    [{ "10.conflist": list({ plugins: [1] }) }, /a plugin must be a JSON object$/],
    [{ "10.conflist": list({ plugins: [{}] }) }, /a plugin without "type"$/],
    [{ "10.conflist": list({ plugins: [{ type: 1 }] }) }, /"type" must be a string, got 1$/],
    [
      { "10.conflist": list({ plugins: [{ type: "one", capabilities: { mac: "true" } }] }) },
      /"capabilities\.mac" of "one" must be true or false$/,
    ],
    [{ "10.conflist": list({ plugins: undefined }) }, /10\.conflist: no plugins$/],
    [
      { "10.conflist": list({ plugins: undefined, loadOnlyInlinedPlugins: true }) },
      /"loadOnlyInlinedPlugins" is true, and there is no "plugins"$/,
    ],
    [{ "10.conflist": list(), "net/1.conf": "{" }, /net\/1\.conf: not JSON/],
  ])("%j", (files, said) => expect(() => found(files)).toThrow(said));

  test("a directory that cannot be read is not an empty one", () => {
    write({ file: "" });
    expect(() => findNetwork(host, join(directory, "file"), "net")).toThrow(/not a directory/);
  });
});

describe("what a plugin is given", () => {
  const plugin: ListedPlugin = {
    type: "one",
    capabilities: ["mac"],
    members: { type: "one", z: { b: 1, a: [{ d: 1, c: 2 }] }, name: "its own", capabilities: { mac: true } },
  };
  const network: NetworkList = {
    ...{ name: "net", cniVersion: "1.0.0", disableCheck: false, disableGC: false, text: "" },
    plugins: [plugin],
  };

  test("its object in order of keys, under the list's name and version", () => {
    expect(pluginInput(network, plugin, {})).toBe(
      '{"capabilities":{"mac":true},"cniVersion":"1.0.0","name":"net","type":"one","z":{"a":[{"c":2,"d":1}],"b":1}}',
    );
  });

  test("a result as it is, and of the capability arguments those it takes; then all is in order", () => {
    const prevResult = { interfaces: [], cniVersion: "1.0.0" };
    expect(pluginInput(network, plugin, { prevResult })).toContain(
      '"prevResult":{"interfaces":[],"cniVersion":"1.0.0"}',
    );
    const input = pluginInput(network, plugin, { prevResult, capabilityArgs: { mac: "x", ips: [] } });
    expect(input).toContain('"prevResult":{"cniVersion":"1.0.0","interfaces":[]},"runtimeConfig":{"mac":"x"}');
    expect(pluginInput(network, plugin, { capabilityArgs: { ips: [] } })).not.toContain("runtimeConfig");
  });
});
