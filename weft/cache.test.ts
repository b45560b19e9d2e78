// The result cache over real files, in the directory that libcni's has. That cnitool reads and writes the same is in
// conformance/weft.test.ts.
import * as fs from "node:fs";
import { afterEach, expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { testHost } from "../testing/host.ts";
import { cachedAttachments, cachedResult, forgetResult, keepResult, type Attachment } from "./cache.ts";
import type { NetworkList } from "./list.ts";

const directory = "/var/lib/cni/results";
const file = `${directory}/net-c0ffee-eth0`;
const list: NetworkList = {
  ...{ name: "net", cniVersion: "1.0.0", disableCheck: false, disableGC: false, plugins: [] },
  text: '{"name":"net","ä":1}',
};
const attachment: Attachment = {
  ...{ containerId: "c0ffee", ifName: "eth0", netns: "/run/netns/x" },
  args: [["K8S_POD_NAME", "web"]],
  capabilityArgs: { mac: "0a:58:00:00:00:01" },
};
const plain: Attachment = { ...attachment, args: [], capabilityArgs: {} };
const result = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.5/24" }] };
const older = { cniVersion: "0.4.0", ips: [{ version: "4", address: "10.1.0.5/24" }], dns: {} };

describeWith(["cell"], "the result cache", () => {
  afterEach(() => fs.rmSync("/var/lib/cni", { recursive: true, force: true }));
  const { host, stderr } = testHost({});
  const put = (text: string, path = file) => {
    fs.mkdirSync(directory, { recursive: true });
    fs.writeFileSync(path, text);
  };

  test("keeps the call and its result for root alone, whatever the umask", () => {
    const umask = process.umask(0o077);
    keepResult(list, attachment, result, host);
    process.umask(umask);
    expect(JSON.parse(fs.readFileSync(file, "utf8"))).toEqual({
      kind: "cniCacheV1",
      containerId: "c0ffee",
      config: Buffer.from(list.text).toString("base64"),
      ifName: "eth0",
      networkName: "net",
      netns: "/run/netns/x",
      cniArgs: [["K8S_POD_NAME", "web"]],
      capabilityArgs: { mac: "0a:58:00:00:00:01" },
      result,
    });
    expect([fs.statSync(file).mode & 0o777, fs.statSync(directory).mode & 0o777]).toEqual([0o600, 0o700]);
    expect(fs.readdirSync(directory)).toHaveLength(1);
  });

  test("leaves out what was not given", () => {
    keepResult(list, plain, result, host);
    const keys = Object.keys(JSON.parse(fs.readFileSync(file, "utf8")));
    expect(keys).toEqual("kind containerId config ifName networkName netns result".split(" "));
  });

  test("gives the result in the version the list has now", () => {
    keepResult(list, attachment, result, host);
    expect(cachedResult(list, attachment, "1.0.0", host)).toEqual(result);
    expect(cachedResult(list, attachment, "1.1.0", host)).toEqual({ ...result, cniVersion: "1.1.0" });
    expect(cachedResult(list, attachment, "0.4.0", host)).toEqual(older);
    forgetResult(list, attachment, host);
    expect(cachedResult(list, attachment, "1.0.0", host)).toBeUndefined();
    expect(() => forgetResult(list, attachment, host)).not.toThrow();
  });

  test.each([
    ["the result itself, from before there was a format", JSON.stringify(older)],
    ["a result without a version in the old shape", '{"ip4":{"ip":"10.1.0.5/24"}}'],
  ])("reads %s", (_what, text) => {
    put(text);
    expect(cachedResult(list, attachment, "1.0.0", host)).toEqual(result);
  });

  test.each([
    ["{", /unexpected end of JSON input/],
    ["[]", /net-c0ffee-eth0 holds no result/],
    ['{"kind":"cniCacheV1"}', /holds no result/],
    ['{"kind":"cniCacheV1","result":{"cniVersion":"7.0.0"}}', /unsupported CNI result version "7\.0\.0"/],
    ['{"kind":"cniCacheV1","result":{"cniVersion":"1.0.0","ips":[{"address":"x"}]}}', /invalid CIDR address: x/],
  ])("%s is an error", (text, said) => {
    put(text);
    expect(() => cachedResult(list, attachment, "1.0.0", host)).toThrow(said);
  });

  test("tells the attachments of a network, and passes over what is none", () => {
    expect(cachedAttachments(list, host)).toEqual([]);
    keepResult(list, { ...plain, containerId: "b" }, result, host);
    keepResult(list, attachment, result, host);
    keepResult({ ...list, name: "other" }, attachment, result, host);
    keepResult(list, { ...plain, containerId: "a", ifName: "net1" }, result, host);
    put("{", `${directory}/net-broken-eth0`);
    put(JSON.stringify(result), `${directory}/net-old-eth0`);
    expect(cachedAttachments(list, host)).toEqual([
      { ...plain, containerId: "a", ifName: "net1" },
      { ...plain, containerId: "b" },
      attachment,
    ]);
    expect(stderr()).toMatch(/^weft: passing over .*net-broken-eth0: unexpected end of JSON input\n$/);
  });
});
