import { describe, expect, test } from "vitest";
import { refusalOf } from "../../testing/refusal.ts";
import { parseConfig } from "./config.ts";
import { validAttachments } from "./valid-attachments.ts";

const read = (text: string) => validAttachments(parseConfig(text).tree);
const key = "cni.dev/valid-attachments";
const alias = "cni.dev/attachments";
const a = { containerId: "a", ifName: "eth0" };
const b = { containerId: "b", ifName: "eth0" };
const written = ({ containerId, ifName }: typeof a) => `{"containerID":"${containerId}","ifname":"${ifName}"}`;

describe("who is valid", () => {
  test.each([
    ["nothing is said", "{}", undefined],
    ["a key in other letters is another key", `{"CNI.dev/valid-attachments":[]}`, undefined],
    ["nobody", `{"${key}":[]}`, []],
    ["nobody, as a nil slice is written", `{"${key}":null}`, []],
    ["nobody, by the older key", `{"${alias}":null}`, []],
    ["two", `{"${key}":[${written(a)},${written(b)}]}`, [a, b]],
    ["one, by the older key", `{"${alias}":[${written(a)}]}`, [a]],
    ["the newer key counts, whatever comes last", `{"${key}":[${written(a)}],"${alias}":[${written(b)}]}`, [a]],
    ["even where it says nobody", `{"${alias}":[${written(b)}],"${key}":null}`, []],
    ["members in other letters", `{"${key}":[{"ContainerId":"a","IFNAME":"eth0","x":1}]}`, [a]],
  ])("%s", (_what, text, expected) => {
    expect(read(text)).toEqual(expected);
  });

  test.each([
    [`{"${key}":{}}`, `"${key}" must be a list`],
    [`{"${key}":"a"}`, `"${key}" must be a list`],
    [`{"${alias}":false}`, `"${alias}" must be a list`],
    [`{"${key}":[${written(a)},null]}`, `"${key}[1]" must name a containerID and an ifname`],
    [`{"${key}":["a"]}`, `"${key}[0]" must name a containerID and an ifname`],
    [`{"${key}":[{"containerID":"a"}]}`, `"${key}[0]" must name a containerID and an ifname`],
    [`{"${key}":[{"containerID":"","ifname":"eth0"}]}`, `"${key}[0]" must name a containerID and an ifname`],
    [`{"${key}":[{"containerID":1,"ifname":"eth0"}]}`, `"${key}[0]" must name a containerID and an ifname`],
  ])("%s is refused, so that nothing is removed: %s", async (text, message) => {
    expect(await refusalOf(() => read(text))).toMatchObject({
      code: 7,
      message,
      details: expect.stringContaining("nothing was removed"),
    });
  });
});
