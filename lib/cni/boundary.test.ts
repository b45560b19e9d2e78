import { describe, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { NotNetnsError, systemError } from "../host/errno.ts";
import { FirewallError, type FirewallFault } from "../firewall/error.ts";
import { NetlinkError } from "../netlink/wire/error.ts";
import { inContext, toCniError } from "./boundary.ts";
import { CniError, errorCodes } from "./error.ts";

const told = (error: unknown) => {
  const call = testHost({});
  const { code, message, details } = toCniError(error, call.host);
  return { code, message, details, stderr: call.stderr() };
};

describe("whatever went wrong is one error object", () => {
  test.each([
    ["somebody holds it", systemError("open", 16, "/x"), 11],
    ["it is being written", systemError("exec", 26, "/x"), 11],
    ["it would block", systemError("recv", 11), 11],
    ["the kernel has no buffers", systemError("send", 105), 11],
    ["the node is out of memory", systemError("mkdir", 12, "/x"), 11],
    ["the process is out of descriptors", systemError("open", 24, "/x"), 11],
    ["the node is out of descriptors", systemError("open", 23, "/x"), 11],
    ["a disk is full", systemError("write", 28, "/x"), 5],
    ["a file is missing", systemError("open", 2, "/x"), 5],
    ["it is not allowed", systemError("open", 13, "/x"), 5],
    ["the kernel has another number for it", systemError("open", 4095, "/x"), 5],
  ])("%s", (_what, error, code) => {
    expect(told(error)).toMatchObject({ code, message: error.message, stderr: "" });
    expect(told(error).details).not.toBe("");
  });

  test.each([
    [28, "make room on this file system"],
    [122, "make room on this file system"],
    [30, "this file system is mounted read-only"],
    [1, "CNI plugins run as root with CAP_NET_ADMIN and CAP_SYS_ADMIN"],
    [13, "CNI plugins run as root with CAP_NET_ADMIN and CAP_SYS_ADMIN"],
    [2, "look at this path and its file system"],
  ])("errno %i: %s", (errno, hint) => {
    expect(told(systemError("open", errno, "/x")).details).toBe(hint);
  });

  test.each([
    ["EINVAL", 22, 999, "the kernel refused this change; its reason is in the message"],
    ["EBUSY", 16, 11, "the node is short of something for now; try again"],
  ])("a netlink request refused with %s", (_name, errno, code, details) => {
    const error = new NetlinkError({ operation: 'link add "x"', errno });
    expect(told(error)).toEqual({ code, message: error.message, details, stderr: "" });
  });

  test.each<[FirewallFault, number]>([
    ["failed", 999],
    ["busy", 11],
  ])("rules that could not be made: %s", (fault, code) => {
    const error = new FirewallError(fault, "iptables-restore of nat: no", { details: "exit status 2", hint: "h" });
    expect(told(error)).toEqual({ code, message: error.message, details: "exit status 2; h", stderr: "" });
  });

  test("a CniError is what it was", () => {
    const error = new CniError("invalidConfig", "m", { hint: "h" });
    expect(toCniError(error, testHost({}).host)).toBe(error);
  });

  test.each([new TypeError("x is undefined"), new NotNetnsError("/x", 1)])(
    "%s is a defect, with its stack",
    (error) => {
      expect(told(error)).toEqual({
        code: 999,
        message: error.message,
        details: "this is a defect in the plugin; the stack trace is on standard error",
        stderr: expect.stringContaining(`${error.name}: ${error.message}\n${error.stack}`),
      });
    },
  );

  test.each([null, Object.assign(new Error("out of memory"), { name: "InternalError" })])(
    "%s is what the engine throws when it has no more memory",
    (thrown) => {
      expect(told(thrown)).toEqual({
        code: 999,
        message: "out of memory: this call needs more than a plugin may use",
        details: "ask for less in one call: ports and rules are what there can be tens of thousands of",
        stderr: "",
      });
    },
  );

  test.each([["text"], [undefined], [7]])("even %j, thrown", (thrown) => {
    expect(told(thrown)).toMatchObject({ code: 999, message: String(thrown) });
  });
});

test("context goes before the message; code, details and cause stay", () => {
  const error = new CniError({ code: 120 }, "m", { details: "d", hint: "h" });
  const outer = inContext(error, "failed to delegate add", testHost({}).host);
  expect(outer).toMatchObject({ code: 120, message: "failed to delegate add: m", details: "d; h", cause: error });
  expect(inContext(systemError("open", 28, "/x"), "saving", testHost({}).host)).toMatchObject({
    code: 5,
    message: "saving: open /x: no space left on device",
    details: "make room on this file system",
  });
});

describe("an error's numbers and details", () => {
  test("are the specification's", () => {
    expect(errorCodes).toEqual({
      delegateFailed: 0,
      incompatibleVersion: 1,
      unsupportedField: 2,
      unknownContainer: 3,
      invalidEnvironment: 4,
      ioFailure: 5,
      undecodableConfig: 6,
      invalidConfig: 7,
      sameNetns: 8,
      tryAgainLater: 11,
      unavailable: 50,
      unavailableExistingImpaired: 51,
      internal: 999,
    });
  });

  test.each([
    [{}, ""],
    [{ details: "d" }, "d"],
    [{ hint: "h" }, "h"],
    [{ details: "d", hint: "h" }, "d; h"],
    [{ details: "", hint: "h" }, "h"],
  ])("%j: %j", (options, details) => {
    expect(new CniError("internal", "m", options).details).toBe(details);
  });
});
