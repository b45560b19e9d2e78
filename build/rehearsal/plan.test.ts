import { expect, test } from "vitest";
import { planFrom } from "./plan.mjs";

const words = (plan: Buffer) => Array.from({ length: plan.length / 4 }, (_, at) => plan.readUInt32LE(at * 4));

test("what the first calls use comes first, and of that what they write; a block's size stands in front of it", () => {
  const printed = "0 7:24:1 9:40:2\n3 3:56:1 7:24:1 9:40:1 12:24:2\n";
  const { left, plan } = planFrom(printed);
  expect(left).toEqual([0, 3]);
  // In the zone: 9, written by a call; 7; then what the second call alone uses: 12, written, and 3.
  expect(words(plan)).toEqual([
    ...[3, 56, 8 + 40 + 8 + 24 + 8 + 24 + 8],
    ...[7, 24, 8 + 40 + 8],
    ...[9, 40, 8],
    ...[12, 24, 8 + 40 + 8 + 24 + 8],
  ]);
});
