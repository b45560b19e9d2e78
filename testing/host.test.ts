import { expect, test } from "vitest";
import { dispatch } from "../lib/cni/dispatch.ts";
import { systemError } from "../lib/host/errno.ts";
import { allVersions } from "../lib/cni/version.ts";
import { testHost } from "./host.ts";
import { Recorder } from "./recorder.ts";

test("a plugin answers in this process as it would in its own", async () => {
  const call = testHost({ env: { CNI_COMMAND: "VERSION" } });
  expect(await dispatch("recorder", call.host, new Map([["recorder", new Recorder().plugin]]))).toBe(0);
  expect(JSON.parse(call.stdout())).toEqual({ cniVersion: "1.1.0", supportedVersions: allVersions });
  expect(call.stderr()).toBe("");
});

test("the request is a value, and children inherit it", () => {
  const call = testHost({ argv: ["weft", "add"], env: { CNI_ARGS: "A=1" }, stdin: "{}" });
  expect([call.host.argv, call.host.env("CNI_ARGS"), call.host.readStdin()]).toEqual([["weft", "add"], "A=1", "{}"]);
  const child = { env: { CNI_COMMAND: "DEL" }, stdin: 'echo "$CNI_ARGS $CNI_COMMAND"', timeoutMs: 100_000 };
  expect(call.host.exec("/bin/sh", child).stdout).toBe("A=1 DEL\n");
  expect(call.host.env("PATH")).toBeUndefined();
});

test("any system call can be replaced", () => {
  const refuse = (): never => {
    throw systemError("write", 32);
  };
  expect(() => testHost({ over: { write: refuse } }).host.writeStdout("result")).toThrow("broken pipe");
});
