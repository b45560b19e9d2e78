import fc from "fast-check";
import { expect, test } from "vitest";
import { localMac, macBytes, macFromBytes, parseMac } from "./mac.ts";

/** What Go 1.26's net.ParseMAC and HardwareAddr.String make of a text. */
test.each([
  ["0a:58:0A:f4:01:02", "0a:58:0a:f4:01:02"],
  ["0a-58-0a-f4-01-02", "0a:58:0a:f4:01:02"],
  ["0a58.0af4.0102", "0a:58:0a:f4:01:02"],
  ["0A58.0AF4.0102", "0a:58:0a:f4:01:02"],
  ["0a580af40102", "0a:58:0a:f4:01:02"],
  ["0a:58-0a:f4:01:02", undefined],
  ["a:58:0a:f4:01:02", undefined],
  ["0a:58:0a:f4:01", undefined],
  ["0a:58:0a:f4:01:02:", undefined],
  ["0a:58:0a:f4:01:0g", undefined],
  ["", undefined],
  [" 0a:58:0a:f4:01:02", undefined],
  ["0a:58:0a:f4:01:02\n", undefined],
  ["0a58:0af4:0102", undefined],
  ["0a.58.0a.f4.01.02", undefined],
])("%j is %j", (text, written) => {
  expect(parseMac(text)).toBe(written);
});

const sixBytes = fc.uint8Array({ minLength: 6, maxLength: 6 });

test("bytes there and back", () => {
  fc.assert(
    fc.property(sixBytes, (bytes) => {
      expect(macBytes(macFromBytes(bytes))).toEqual(bytes);
      expect(parseMac(macFromBytes(bytes))).toBe(macFromBytes(bytes));
    }),
  );
});

test("a local MAC is locally administered, unicast, and otherwise the bytes given", () => {
  fc.assert(
    fc.property(sixBytes, (bytes) => {
      const [first = 0, ...rest] = macBytes(localMac(bytes));
      expect(first & 0x03).toBe(0x02);
      expect(first & 0xfc).toBe((bytes[0] ?? 0) & 0xfc);
      expect(rest).toEqual([...bytes.subarray(1)]);
    }),
  );
});
