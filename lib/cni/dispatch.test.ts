// A whole call in this process, from its environment and standard input to its standard output and exit status.
import { closeSync, openSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { describeWith } from "../../testing/needs.ts";
import { makeNode } from "../../testing/node.ts";
import { Recorder } from "../../testing/recorder.ts";
import { answer } from "../../testing/runtime.ts";
import { systemError } from "../host/errno.ts";
import { sys } from "../host/node.ts";
import type { Sys } from "../host/sys.ts";
import { CniError } from "./error.ts";
import { calledAs, dispatch } from "./dispatch.ts";
import { verbs } from "./plugin.ts";
import { allVersions } from "./version.ts";

const variables = {
  CNI_CONTAINERID: "c0",
  CNI_NETNS: "/run/netns/nowhere",
  CNI_IFNAME: "eth0",
  CNI_PATH: "/opt/cni/bin",
};
const conf = { cniVersion: "1.1.0", name: "net", type: "recorder", "cni.dev/valid-attachments": [] };

interface Asked {
  readonly env?: Readonly<Record<string, string>>;
  readonly conf?: unknown;
  readonly recorder?: Recorder;
  readonly name?: string;
  readonly over?: Partial<Sys>;
}

/** One call; `env` is laid over a complete one, and an empty text is an unset variable. */
function run(command: string, { env = {}, conf: given = conf, recorder, name, over }: Asked = {}) {
  const asked = recorder ?? new Recorder();
  let reads = 0;
  const stdin = typeof given === "string" ? given : JSON.stringify(given);
  const all = Object.entries({ CNI_COMMAND: command, ...variables, ...env }).filter(([, value]) => value !== "");
  const call = testHost({
    env: Object.fromEntries(all),
    over: {
      readStdin: () => {
        reads++;
        return stdin;
      },
      ...over,
    },
  });
  const status = dispatch(name ?? "recorder", call.host, new Map([["recorder", asked.plugin]]));
  const stdout = call.stdout();
  return { status, stdout, stderr: call.stderr(), reads, asked, error: () => JSON.parse(stdout) };
}

const conftext = JSON.stringify(conf);

describe("the checks come in this order, and the plugin is not called", () => {
  const missing = (...names: string[]) => `required env variables [${names.join(",")}] missing`;
  const all = { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" };
  test.each<[what: string, command: string, Asked, code: number, message: string, reads: number]>([
    ["a bad container id", "ADD", { env: { CNI_CONTAINERID: "/" } }, 4, "invalid characters in containerID", 0],
    [
      "which is told before what is missing",
      "ADD",
      { env: { ...all, CNI_CONTAINERID: "/" } },
      4,
      "invalid characters in containerID",
      0,
    ],
    [
      "and before a bad link name",
      "ADD",
      { env: { CNI_CONTAINERID: "/", CNI_IFNAME: ".." } },
      4,
      "invalid characters in containerID",
      0,
    ],
    ["a bad link name", "DEL", { env: { CNI_IFNAME: ".." } }, 4, "interface name is . or ..", 0],
    [
      "which is told before what is missing",
      "CHECK",
      { env: { ...all, CNI_IFNAME: "a b" } },
      4,
      "interface name contains / or : or whitespace characters",
      0,
    ],
    [
      "missing variables, all at once",
      "ADD",
      { env: all },
      4,
      missing("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"),
      0,
    ],
    ["DEL does without a netns", "DEL", { env: all }, 4, missing("CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"), 0],
    ["STATUS needs only the path", "STATUS", { env: all }, 4, missing("CNI_PATH"), 0],
    ["GC needs only the path", "GC", { env: all }, 4, missing("CNI_PATH"), 0],
    [
      "variables are told before standard input is read",
      "ADD",
      { env: { CNI_PATH: "" }, conf: "{" },
      4,
      missing("CNI_PATH"),
      0,
    ],
    ["no configuration", "ADD", { conf: "" }, 6, "error unmarshall network config: unexpected end of JSON input", 1],
    ["no JSON", "DEL", { conf: "{" }, 6, "error unmarshall network config: unexpected end of JSON input", 1],
    [
      "no object",
      "ADD",
      { conf: "[]" },
      6,
      "error unmarshall network config: cannot read a value that is no object into a network configuration",
      1,
    ],
    [
      "a name that is no text",
      "ADD",
      { conf: { name: 1 } },
      6,
      'error unmarshall network config: "name" must be a string, got 1',
      1,
    ],
    [
      "a version that is no text",
      "ADD",
      { conf: { name: "", cniVersion: 1 } },
      6,
      'error unmarshall network config: "cniVersion" must be a string, got 1',
      1,
    ],
    ["no name", "ADD", { conf: {} }, 7, "missing network name", 1],
    ["no name, by null", "GC", { conf: "null" }, 7, "missing network name", 1],
    ["a bad name", "ADD", { conf: { name: "a/b", cniVersion: "9" } }, 7, "invalid characters found in network name", 1],
    [
      "an unknown verb, but its configuration first",
      "UPDATE",
      { conf: "" },
      6,
      "error unmarshall network config: unexpected end of JSON input",
      1,
    ],
    ["an unknown verb, but its name first", "UPDATE", { conf: {} }, 7, "missing network name", 1],
    ["an unknown verb, which needs no variable", "UPDATE", { env: all }, 4, "unknown CNI_COMMAND: UPDATE", 1],
    [
      "an unknown verb, before its version",
      "UPDATE",
      { conf: { name: "net", cniVersion: "9" } },
      4,
      "unknown CNI_COMMAND: UPDATE",
      1,
    ],
    ["a verb in other letters", "add", {}, 4, "unknown CNI_COMMAND: add", 1],
    ["a verb that every object knows", "constructor", {}, 4, "unknown CNI_COMMAND: constructor", 1],
    ["a verb that every object has", "__proto__", {}, 4, "unknown CNI_COMMAND: __proto__", 1],
    ["a version nobody speaks", "ADD", { conf: { name: "net", cniVersion: "1.1" } }, 1, "incompatible CNI versions", 1],
    ["a version without the verb", "CHECK", { conf: { name: "net" } }, 1, "config version does not allow CHECK", 1],
  ])("%s (%s)", (_what, command, asked, code, message, reads) => {
    const done = run(command, asked);
    expect(done.error()).toMatchObject({ code, msg: message });
    expect([done.status, done.reads, done.asked.verbs]).toEqual([1, reads, []]);
  });

  test("what a verb does not need is not looked at", () => {
    for (const verb of ["STATUS", "GC"]) {
      const done = run(verb, { env: { CNI_CONTAINERID: "/", CNI_IFNAME: "..", CNI_ARGS: ";;" } });
      expect([done.status, done.stdout, done.asked.verbs]).toEqual([0, "", [verb]]);
    }
    expect(run("DEL", { env: { CNI_NETNS: "" } }).asked.verbs).toEqual(["DEL"]);
  });

  test("standard input that cannot be read is code 5", () => {
    const readStdin = () => {
      throw systemError("read", 5, "standard input");
    };
    expect(run("ADD", { over: { readStdin } }).error()).toMatchObject({
      code: 5,
      msg: "error reading from stdin: read standard input: input/output error",
    });
  });
});

describe("what the plugin is given", () => {
  test.each(verbs)("%s: the request as received", (verb) => {
    const text = ` {"NAME":"net", "cniVersion":"1.1.0","cni.dev/valid-attachments":null}\n`;
    const { asked, status } = run(verb, { conf: text, env: { CNI_ARGS: "A=b=c" } });
    expect([status, asked.verbs]).toEqual([0, [verb]]);
    const [request] = asked.requests;
    const args = "A=b=c";
    expect(request).toMatchObject({
      network: "net",
      cniVersion: "1.1.0",
      ownNetns: false,
      env: { path: "/opt/cni/bin" },
    });
    expect(request?.conf).toEqual({ text, args });
    const ofAttachment = { attachment: { containerId: "c0", ifName: "eth0" }, netns: "/run/netns/nowhere" };
    if (verb === "GC") expect(request?.valid).toEqual([]);
    else if (verb !== "STATUS") expect(request).toMatchObject(ofAttachment);
  });

  test("a configuration without a version is 0.1.0, and so is its result", () => {
    const { asked, stdout } = run("ADD", { conf: { name: "net" } });
    expect(asked.requests[0]?.cniVersion).toBe("0.1.0");
    expect(JSON.parse(stdout)).toEqual({ cniVersion: "0.1.0", ip4: { ip: "10.1.0.5/24" }, dns: {} });
  });

  const prev = { cniVersion: "1.0.0", ips: [{ address: "10.1.0.5/24" }] };
  const read = answer(["10.1.0.5/24"]);
  test.each<[object, unknown]>([
    [{}, undefined],
    [{ prevResult: null }, undefined],
    [{ prevResult: prev }, read],
    [{ prevResult: { ...prev, cniVersion: undefined } }, read],
    [{ PREVRESULT: prev }, read],
    [{ "prevRe\u017fult": prev }, read],
    [{ prevResult: "x", prevresult: prev }, read],
    [{ prevResult: [] }, "could not parse prevResult: it is no object"],
    [{ prevResult: { ips: [{}] } }, 'could not parse prevResult: "ips[0].address": invalid CIDR address: '],
    [
      { prevResult: { ...prev, cniVersion: "0.4.0" } },
      'could not parse prevResult: result type supports [1.0.0 1.1.0] but unmarshalled CNIVersion is "0.4.0"',
    ],
  ])("prevResult of %j, when it is asked for", (members, expected) => {
    const { asked } = run("DEL", { conf: { ...conf, ...members } });
    const prevResult = () => asked.requests[0]?.prevResult?.();
    if (typeof expected !== "string") return expect(prevResult()).toEqual(expected);
    expect(prevResult).toThrow(expect.objectContaining({ code: 6, message: expected }));
  });
});

describe("what goes out", () => {
  test("a result: four spaces, no newline at the end, in the version of the configuration", () => {
    const { stdout, status } = run("ADD", { conf: { ...conf, cniVersion: "0.4.0" } });
    expect(status).toBe(0);
    expect(stdout).toBe(
      '{\n    "cniVersion": "0.4.0",\n    "ips": [\n        {\n            "version": "4",\n' +
        '            "address": "10.1.0.5/24"\n        }\n    ],\n    "dns": {}\n}',
    );
  });

  test.each(["DEL", "CHECK", "STATUS", "GC"])("nothing, where %s succeeds", (verb) => {
    expect(run(verb)).toMatchObject({ status: 0, stdout: "", stderr: "" });
  });

  const fail = (error: unknown) => {
    const recorder = new Recorder();
    recorder.during = () => {
      throw error;
    };
    return recorder;
  };

  test("an error: one object, details left out where there are none", () => {
    const { stdout, status } = run("ADD", { recorder: fail(new CniError("invalidConfig", 'no "x"')) });
    expect(status).toBe(1);
    expect(stdout).toBe('{\n    "cniVersion": "1.1.0",\n    "code": 7,\n    "msg": "no \\"x\\""\n}');
  });

  test("an error: facts, then the hint", () => {
    const error = new CniError("tryAgainLater", "busy", { details: "by 7", hint: "wait" });
    expect(run("CHECK", { recorder: fail(error) }).error()).toEqual({
      cniVersion: "1.1.0",
      code: 11,
      msg: "busy",
      details: "by 7; wait",
    });
  });

  test.each([
    ["1.1.0", "ADD", ""],
    ["0.4.0", "ADD", { name: "", cniVersion: "0.4.0" }],
    ["9.9.9", "ADD", { name: "net", cniVersion: "9.9.9" }],
    ["1.1.0", "CHECK", { name: "net" }],
  ])("an error names version %s where %s is asked with %j", (cniVersion, verb, given) => {
    expect(run(verb, { conf: given }).error()).toMatchObject({ cniVersion });
  });

  test("what the kernel refused is no defect; what nobody foresaw is, and its stack is told", () => {
    const refused = run("DEL", { recorder: fail(systemError("open", 30, "/x")) });
    expect(refused.error()).toMatchObject({ code: 5, msg: "open /x: read-only file system" });
    expect(refused.stderr).toBe("");
    const defect = run("DEL", { recorder: fail(new TypeError("x is not a function")) });
    expect(defect.error()).toMatchObject({ code: 999, msg: "x is not a function" });
    expect(defect.stderr).toMatch(/^TypeError: x is not a function\n.*dispatch\.test\.ts/s);
  });
});

describe("a result that cannot be handed over is undone", () => {
  const full = openSync("/dev/full", "w");
  afterAll(() => closeSync(full));

  /** Standard output is /dev/full for the first `times` writes. */
  function filling(times: number): Partial<Sys> {
    const written: string[] = [];
    let writes = 0;
    const write: Sys["write"] = (fd, data) => {
      if (fd === 1 && ++writes <= times) return sys.write(full, data);
      written.push(`${fd}: ${typeof data === "string" ? data : ""}`);
    };
    return Object.assign({ write }, { written }) as Partial<Sys>;
  }
  const writtenTo = (over: Partial<Sys>) => (over as { written: string[] }).written;

  test("ADD is followed by DEL of the same attachment, and the error goes where it still can", () => {
    const over = filling(1);
    const { status, asked } = run("ADD", { over });
    expect([status, asked.verbs]).toEqual([1, ["ADD", "DEL"]]);
    expect(asked.requests[1]).toMatchObject({
      attachment: { containerId: "c0", ifName: "eth0" },
      netns: "/run/netns/nowhere",
      conf: { text: conftext },
    });
    expect(writtenTo(over)).toEqual([expect.stringMatching(/^1: \{/)]);
    expect(JSON.parse(writtenTo(over)[0]?.slice(3) ?? "")).toMatchObject({
      code: 5,
      msg: "cannot write the result to standard output: write: no space left on device",
    });
  });

  test("to standard error, where standard output takes nothing", () => {
    const over = filling(Number.POSITIVE_INFINITY);
    const { status, asked } = run("ADD", { over });
    expect([status, asked.verbs]).toEqual([1, ["ADD", "DEL"]]);
    expect(writtenTo(over)).toEqual([
      expect.stringMatching(/^2: error 5: cannot write the result to standard output: .*; the attachment was undone/),
    ]);
  });

  test("a DEL that fails is told, and the ADD's own error stays", () => {
    const over = filling(1);
    const recorder = new Recorder();
    recorder.during = (verb) => {
      if (verb === "DEL") throw new CniError("tryAgainLater", "busy");
    };
    run("ADD", { over, recorder });
    expect(writtenTo(over)).toEqual(["2: undo: busy\n", expect.stringContaining('"code": 5')]);
  });

  test("so is a result that its version has no place for", () => {
    const recorder = new Recorder();
    recorder.result = answer([]);
    const done = run("ADD", { recorder, conf: { ...conf, cniVersion: "0.2.0" } });
    expect(done.error()).toMatchObject({ code: 1, msg: "cannot convert: no valid IP addresses" });
    expect(recorder.verbs).toEqual(["ADD", "DEL"]);
  });

  test("an error that cannot be written undoes nothing, and is told on standard error", () => {
    const over = filling(1);
    const { asked, status } = run("CHECK", { over, conf: { name: "net" } });
    expect([status, asked.verbs]).toEqual([1, []]);
    expect(writtenTo(over)).toEqual([expect.stringMatching(/^2: error 1: config version does not allow CHECK; /)]);
  });
});

describe("the plugin's own netns is refused before anything is done", () => {
  const own = "/proc/self/ns/net";
  const same = "plugin's netns and netns from CNI_NETNS should not be the same";

  test.each(["ADD", "CHECK"])("%s is not begun", (verb) => {
    const done = run(verb, { env: { CNI_NETNS: own } });
    expect(done.error()).toMatchObject({ code: 8, msg: same, details: expect.stringContaining(own) });
    expect([done.status, done.asked.verbs]).toEqual([1, []]);
  });

  test("DEL releases what the node holds, does not see the netns, and then fails", () => {
    const done = run("DEL", { env: { CNI_NETNS: own } });
    expect(done.error()).toMatchObject({ code: 8, msg: same });
    expect(done.asked.verbs).toEqual(["DEL"]);
    expect(done.asked.requests[0]).toMatchObject({ netns: "", ownNetns: true });
  });

  test.each([
    ["1", true],
    ["true", true],
    ["TRUE", true],
    ["True", true],
    ["0", false],
    ["yes", false],
    [" 1", false],
  ])("CNI_NETNS_OVERRIDE=%s lets it through: %j", (override, through) => {
    const done = run("ADD", { env: { CNI_NETNS: own, CNI_NETNS_OVERRIDE: override } });
    expect([done.status, done.asked.verbs]).toEqual(through ? [0, ["ADD"]] : [1, []]);
    if (through) expect(done.asked.requests[0]).toMatchObject({ netns: own, ownNetns: false });
  });

  test.each(["/run/netns/nowhere", "/", "/etc/passwd", "/etc/passwd/x", "relative"])(
    "a path that is no netns, %s, is for the plugin to judge",
    (netns) => {
      expect(run("ADD", { env: { CNI_NETNS: netns } }).asked.requests[0]).toMatchObject({ netns });
    },
  );

  test.each([
    ["a node without descriptors to spare", 24, 11],
    ["a policy that hides our own", 13, 5],
  ])("%s is no licence to go on", (_, errno, code) => {
    const ioctl: Sys["ioctl"] = () => {
      throw systemError("ioctl", errno);
    };
    const open: Sys["open"] = (path, flags, mode) => {
      if (path === "/proc/thread-self/ns/net") throw systemError("open", errno, path);
      return sys.open(path, flags, mode);
    };
    const done = run("ADD", { env: { CNI_NETNS: own }, over: { ioctl, open } });
    expect(done.error()).toMatchObject({ code });
    expect(done.asked.verbs).toEqual([]);
  });
});

describeWith(["cell", "ip"], "a container's netns", () => {
  test("is another one than ours, and ours by any path is ours", async () => {
    const node = await makeNode();
    try {
      const container = await node.container("a");
      expect(run("ADD", { env: { CNI_NETNS: container } }).asked.requests[0]).toMatchObject({
        netns: container,
        ownNetns: false,
      });
      const done = run("ADD", { env: { CNI_NETNS: `/run/netns/${node.name}` } });
      expect(done.error()).toMatchObject({ code: 8 });
      expect(done.asked.verbs).toEqual([]);
    } finally {
      await node.close();
    }
  });
});

describe("before any configuration is read", () => {
  const versions = allVersions.map((version) => JSON.stringify(version)).join(",");

  test.each<[string, Asked]>([
    ["as a runtime probes", { conf: '{"cniVersion":"1.1.0"}', env: { CNI_NETNS: "dummy" } }],
    ["with nothing but the verb", { env: { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_PATH: "" } }],
    ["with names that are none", { env: { CNI_CONTAINERID: "/", CNI_IFNAME: "..", CNI_ARGS: ";;" }, conf: "{" }],
  ])("VERSION %s", (_how, asked) => {
    expect(run("VERSION", asked)).toMatchObject({
      status: 0,
      stdout: `{"cniVersion":"1.1.0","supportedVersions":[${versions}]}\n`,
      stderr: "",
      reads: 0,
    });
  });

  test("without a verb it says who it is, on standard error", () => {
    const done = run("", { conf: "{" });
    expect(done).toMatchObject({ status: 0, stdout: "", reads: 0 });
    const [first, second] = done.stderr.split("\n");
    expect(first).toMatch(/^CNI recorder plugin v\d+\.\d+\.\d+/);
    expect(second).toBe(`CNI protocol versions supported: ${allVersions.join(", ")}`);
  });

  test.each(["VERSION", "ADD", ""])("under a name that is no plugin's, %j is one error", (command) => {
    expect(run(command, { name: "ptp" }).error()).toMatchObject({
      code: 4,
      msg: 'this executable is no plugin "ptp"',
      details: "call it by one of its names: recorder, weft",
    });
  });

  test.each([
    [["/opt/cni/bin/bridge"], "bridge"],
    [["./bridge", "version"], "bridge"],
    [["bridge"], "bridge"],
    [["host-local"], "host-local"],
    [["/opt/cni/bin/"], ""],
    [[], ""],
  ])("%j is called as %j", (argv, name) => {
    expect(calledAs(testHost({ argv }).host)).toBe(name);
  });
});
