import { expect, test } from "vitest";
import { namedOwner, parseOwner, type Owner } from "./owner.ts";

test.each<[string, string, Owner]>([
  ["as every plugin writes it", "c0ffee\r\neth0", { containerId: "c0ffee", ifName: "eth0" }],
  ["with white space round it", " \tc0ffee\r\neth0\r\n\n", { containerId: "c0ffee", ifName: "eth0" }],
  ["with a plain newline", "c0ffee\neth0", { containerId: "c0ffee", ifName: "eth0" }],
  ["a container alone, as long ago", "c0ffee", { containerId: "c0ffee", ifName: undefined }],
  ["a container alone, with a newline", "c0ffee\r\n", { containerId: "c0ffee", ifName: undefined }],
  ["nothing", "", "empty"],
  ["white space", " \r\n\t", "empty"],
  ["zeros, as after a power loss", "\0\0\0\0\0\0", "empty"],
  ["zeros after an owner", "c0ffee\r\neth0\0\0\0", { containerId: "c0ffee", ifName: "eth0" }],
  ["three lines", "c0ffee\r\neth0\r\neth1", "nobody"],
  ["a sentence", "do not touch", "nobody"],
  ["a bare carriage return between", "c0ffee\reth0", "nobody"],
])("%s", (_, content, owner) => {
  expect(parseOwner(content)).toEqual(owner);
  expect(namedOwner(parseOwner(content))).toEqual(typeof owner === "object" ? owner : undefined);
});
