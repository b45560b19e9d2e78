import { describe, expect, test } from "vitest";
import { refusalOf } from "../../testing/refusal.ts";
import { parseCniArgs } from "./args.ts";

const kubernetes = "IgnoreUnknown=1;K8S_POD_NAMESPACE=a;K8S_POD_NAME=b;K8S_POD_INFRA_CONTAINER_ID=c;K8S_POD_UID=d";

describe("CNI_ARGS of a plugin that knows IP and MAC", () => {
  test.each<[string, Record<string, string>]>([
    ["", {}],
    ["IP=10.1.0.5", { IP: "10.1.0.5" }],
    ["IP=10.1.0.5;MAC=02:00:00:00:00:01", { IP: "10.1.0.5", MAC: "02:00:00:00:00:01" }],
    ["IP=", { IP: "" }],
    ["IP=a;IP=b", { IP: "b" }],
    ["IP= a ", { IP: " a " }],
    ["IgnoreUnknown=0;IP=a", { IP: "a" }],
    [kubernetes, {}],
    [`${kubernetes};IP=10.1.0.5`, { IP: "10.1.0.5" }],
    ["X=1;IgnoreUnknown=TRUE;mac=02:00:00:00:00:01", {}],
    ["X=1;IgnoreUnknown=True", {}],
    ["=a;IgnoreUnknown=1", {}],
    ["IgnoreUnknown=0;IgnoreUnknown=1;X=1", {}],
  ])("%s is %j", (args, values) => {
    expect(parseCniArgs(args, ["IP", "MAC"])).toEqual(values);
  });

  test.each([
    ["IP", 'ARGS: invalid pair "IP"'],
    ["IP=a;", 'ARGS: invalid pair ""'],
    [";IP=a", 'ARGS: invalid pair ""'],
    ["IP=a=b", 'ARGS: invalid pair "IP=a=b"'],
    ["IgnoreUnknown=1;X", 'ARGS: invalid pair "X"'],
    ["mac=02:00:00:00:00:01", 'ARGS: unknown args ["mac=02:00:00:00:00:01"]'],
    ["ip=a;IP=b", 'ARGS: unknown args ["ip=a"]'],
    ["X=1;IP=a;Y=2", 'ARGS: unknown args ["X=1" "Y=2"]'],
    ["X=1;IgnoreUnknown=false", 'ARGS: unknown args ["X=1"]'],
    ["IgnoreUnknown=1;X=1;IgnoreUnknown=0", 'ARGS: unknown args ["X=1"]'],
    ["ignoreunknown=1", 'ARGS: unknown args ["ignoreunknown=1"]'],
    ["__proto__=1", 'ARGS: unknown args ["__proto__=1"]'],
    ["IgnoreUnknown=yes", "invalid input yes"],
    ["IgnoreUnknown=", "invalid input "],
    ["IgnoreUnknown= 1", "invalid input  1"],
  ])("%s is refused, code 4: %s", async (args, message) => {
    expect(await refusalOf(() => parseCniArgs(args, ["IP", "MAC"]))).toMatchObject({
      code: 4,
      message: expect.stringMatching(new RegExp(`${message.replaceAll(/[[\]]/g, "\\$&")}$`)),
      details: "correct CNI_ARGS; it looks like KEY=VALUE;KEY=VALUE",
    });
  });
});
