import { expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { Undo } from "./undo.ts";

test("everything is taken back, newest first", () => {
  const done: string[] = [];
  const undo = new Undo();
  undo.push("first", () => void done.push("first"));
  undo.push("second", () => void done.push("second"));
  undo.push("third", () => void done.push("third"));
  expect(done).toEqual([]);
  const call = testHost({});
  undo.run(call.host);
  expect(done).toEqual(["third", "second", "first"]);
  expect(call.stderr()).toBe("");
});

test("a step that fails is told and keeps none of the others from running", () => {
  const done: string[] = [];
  const undo = new Undo();
  undo.push("the address", () => void done.push("address"));
  undo.push("the link", () => {
    throw new Error("busy");
  });
  undo.push("the file", () => {
    throw new Error("read-only");
  });
  const call = testHost({});
  undo.run(call.host);
  expect(done).toEqual(["address"]);
  expect(call.stderr()).toBe("undo: the file: read-only\nundo: the link: busy\n");
});

test("nor does one for which no memory was left, of which the engine throws null", () => {
  const undo = new Undo();
  let times = 0;
  undo.push("the address", () => void times++);
  undo.push("the link", () => {
    throw null;
  });
  const call = testHost({});
  undo.run(call.host);
  expect(times).toBe(1);
  expect(call.stderr()).toBe("undo: the link: out of memory\n");
});

test("nothing is taken back twice", () => {
  let times = 0;
  const undo = new Undo();
  undo.push("it", () => void times++);
  const { host } = testHost({});
  undo.run(host);
  undo.run(host);
  expect(times).toBe(1);
});
