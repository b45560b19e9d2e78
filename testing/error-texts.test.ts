// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these strings are source text
import { expect, test } from "vitest";
import { errorTexts } from "./error-texts.ts";

const texts = (code: string) =>
  errorTexts(code, "x.ts").map(({ codes, message, details, hints }) => [...codes, message.text, ...details, ...hints]);
test.each([
  ['new CniError("invalidConfig", "m", { hint: "h" })', [[7, "m", "h"]]],
  ['new CniError("internal", `a ${b.c} ${f(d)}`, { details: `e ${g}` })', [[999, "a <c> <d>", "e <g>"]]],
  [
    'new CniError(x ? "internal" : "ioFailure", y ? "a" : `b ${c}`)',
    [
      [999, 5, "a"],
      [999, 5, "b <c>"],
    ],
  ],
  ['const ms = 5000; new CniError("internal", `after ${ms / 1000} s`)', [[999, "after 5 s"]]],
  ['let at = 0; new CniError("internal", `at ${at}`)', [[999, "at <at>"]]],
  ['new CniError("internal", `is ${on ? "on" : "off"}${y ? ` via ${z}` : ""}`)', [[999, "is <on or off>[ via <z>]"]]],
  ['new CniError("internal", `${p}: ${cause.message}`)', [[999, "<p>: <reason>"]]],
  [
    'const fault = (msg: string, hint = "h") => new CniError("internal", msg, { hint }); fault("a"); fault(`b ${c}`, "i")',
    [
      [999, "a", "h"],
      [999, "b <c>", "i"],
    ],
  ],
  ["new CniError({ code }, message)", []],
  ["throw new RangeFault(`range ${at} is empty`)", [["range <at> is empty"]]],
  ["inContext(error, `failed to ${what}`, host)", [["failed to <what>"]]],
])("%s", (code, expected) => {
  expect(texts(code)).toEqual(expected);
});

test("a maker of errors that nobody calls is no error that goes unseen", () => {
  const code = 'const fault = (msg: string) => new CniError("internal", msg);';
  expect(() => errorTexts(code, "x.ts")).toThrow("nobody calls fault");
});
