import { describe, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { systemError } from "../host/errno.ts";
import { CniError } from "./error.ts";
import { Faults } from "./faults.ts";

const busy = new CniError("tryAgainLater", "busy", { hint: "wait" });

test("where every step succeeds there is no error", () => {
  const faults = new Faults(testHost({}).host);
  faults.attempt(() => {});
  expect(faults.end()).toBeUndefined();
});

test("one fault is thrown as it is", async () => {
  const faults = new Faults(testHost({}).host);
  faults.attempt(() => {
    throw busy;
  });
  expect(await refusalOf(() => faults.end())).toBe(busy);
});

describe("of several", () => {
  test("every step was tried; the first one's code, all messages, and each hint once", async () => {
    const tried: number[] = [];
    const faults = new Faults(testHost({}).host);
    faults.attempt(() => {
      tried.push(1);
      throw busy;
    });
    faults.attempt(() => {
      tried.push(2);
      throw systemError("unlink", 30, "/x");
    });
    faults.attempt(() => void tried.push(3));
    faults.attempt(() => {
      tried.push(4);
      throw busy;
    });
    expect(tried).toEqual([1, 2, 3, 4]);
    expect(await refusalOf(() => faults.end())).toMatchObject({
      code: 11,
      message: "busy; unlink /x: read-only file system; busy",
      details: "wait; this file system is mounted read-only",
    });
  });
});
