// Locks beside another process that holds one: a real flock(2), and a real /proc/locks.
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { testHost } from "../../testing/host.ts";
import { refusalOf } from "../../testing/refusal.ts";
import { sys } from "../host/node.ts";
import { takeLock } from "./lock.ts";

let root = "";
let path = "";
let holder: ChildProcess | undefined;
beforeEach(() => {
  // A tmpfs: some file systems have another device number in /proc/locks than in stat(2).
  root = mkdtempSync("/dev/shm/weft-lock-");
  path = join(root, "lock");
});
afterEach(async () => {
  if (holder !== undefined) {
    const ended = once(holder, "exit");
    holder.stdin?.end();
    await ended;
  }
  holder = undefined;
  rmSync(root, { recursive: true });
});

/** Another process that holds the lock until its test ends. */
async function hold(): Promise<number> {
  const child = spawn("flock", [path, "sh", "-c", "echo held; exec cat"], { stdio: ["pipe", "pipe", "inherit"] });
  holder = child;
  await once(child.stdout, "data");
  return child.pid ?? 0;
}

/** Waits a tenth of a second where the product waits half a minute. */
const impatient = () => {
  let asked = 0;
  const flock = (fd: number, timeoutMs: number) => {
    asked = timeoutMs;
    return sys.flock(fd, 100);
  };
  return { host: testHost({ over: { flock } }).host, asked: () => asked };
};

test("a free lock is made with its mode and taken, and released for the next", () => {
  const { host } = testHost({});
  takeLock(host, path, { mode: 0o600 }).release();
  expect(statSync(path).mode & 0o777).toBe(0o600);
  takeLock(host, path, { mode: 0o600 }).release();
});

test("where there is no file, and none is to be made, that is the kernel's error", () => {
  expect(() => takeLock(testHost({}).host, path, { mode: 0o600, create: false })).toThrow("no such file or directory");
  expect(existsSync(path)).toBe(false);
});

test("a lock that another process holds is code 11, and says which process", async () => {
  const pid = await hold();
  const { host, asked } = impatient();
  const error = await refusalOf(() => takeLock(host, path, { mode: 0o600 }));
  expect(error).toMatchObject({ code: 11, message: `${path} was locked by another process for 30 s` });
  expect(error.details).toMatch(new RegExp(`^held by process ${pid} \\(\\w+\\); find out what that process waits for`));
  expect(asked()).toBe(30_000);
});

test("a holder that is out of sight does not change the error", async () => {
  await hold();
  const { host } = impatient();
  const blind = { ...host, files: { ...host.files, read: () => expect.fail("no /proc") } };
  expect(await refusalOf(() => takeLock(blind, path, { mode: 0o600 }))).toMatchObject({
    code: 11,
    details: expect.stringMatching(/^find out/),
  });
});
