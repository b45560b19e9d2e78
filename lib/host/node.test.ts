import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { sys } from "./node.ts";
import { call } from "./node-libc.ts";

const AF_UNIX = 1;
const AF_NETLINK = 16;
const SOCK_RAW = 3;

const directory = mkdtempSync(join(tmpdir(), "weft-node-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Runs a few lines in a process of its own, `sys` imported. */
function runScript(lines: string) {
  const script = `import { sys } from ${JSON.stringify(join(import.meta.dirname, "node.ts"))};\n${lines}`;
  return spawn(process.execPath, ["--no-warnings", "--input-type=module", "-e", script], { argv0: "bridge" });
}

async function outputOf(lines: string, input?: string): Promise<string> {
  const child = runScript(lines);
  child.stdin.end(input);
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await once(child, "close");
  return text;
}

test("the name a process was called by comes first", async () => {
  expect(JSON.parse(await outputOf("sys.write(1, JSON.stringify(sys.argv()))"))).toEqual(["bridge"]);
});

test("sha512 is coreutils' sha512sum", () => {
  const text = "kube-flannel ☸ 0123";
  const [sum] = execFileSync("sha512sum", { input: text, encoding: "utf8" }).split(" ");
  expect(sys.sha512(text)).toBe(sum);
});

test("random bytes are as many as asked for, and others each time", () => {
  const [first, second] = [sys.random(16), sys.random(16)];
  expect([first.length, second.length]).toEqual([16, 16]);
  expect(first).not.toEqual(second);
});

test("sleepMs sleeps as long as it says", () => {
  const started = sys.monotonicMs();
  sys.sleepMs(20);
  expect(sys.monotonicMs() - started).toBeGreaterThanOrEqual(19.5);
});

describe("standard input and output", () => {
  test("more than a pipe holds is written whole, though the pipe does not block", async () => {
    execFileSync("mkfifo", [join(directory, "fifo")]);
    // O_RDWR | O_NONBLOCK: the first write beyond 64 KiB is EAGAIN until a reader comes.
    const writer = runScript(`
      const fd = sys.open(${JSON.stringify(join(directory, "fifo"))}, 0o4002, 0);
      sys.write(1, "open");
      sys.write(fd, "x".repeat(3_000_000));`);
    await once(writer.stdout, "data");
    const reader = spawn("cat", [join(directory, "fifo")]);
    let length = 0;
    reader.stdout.on("data", (chunk: Buffer) => {
      length += chunk.length;
    });
    const [[status]] = await Promise.all([once(writer, "close"), once(reader, "close")]);
    expect([status, length]).toEqual([0, 3_000_000]);
  });

  test("a reader that went away is an error, not the end of the process", async () => {
    const child = runScript(`
      sys.sleepMs(200);
      try { sys.write(1, "x".repeat(100_000)); } catch (error) { sys.write(2, error.message); }`);
    child.stdout.destroy();
    let said = "";
    child.stderr.on("data", (chunk) => {
      said += chunk;
    });
    await once(child, "close");
    expect(said).toBe("write: broken pipe");
  });

  test("standard input is read to its end, to a bound", async () => {
    const read = "try { sys.write(1, String(sys.readStdin().length)) } catch (error) { sys.write(1, error.message) }";
    expect(await outputOf(read, "ä".repeat(100_000))).toBe("100000");
    expect(await outputOf(read, "x".repeat((8 << 20) + 1))).toBe("read standard input: file too large");
  });
});

test("what a child says on standard error is heard while it runs", async () => {
  const answer = join(directory, "heard");
  const child = runScript(`
    const command = "echo early >&2; while ! test -e ${answer}; do sleep 0.02; done; echo done";
    sys.write(1, JSON.stringify(sys.spawn("/bin/sh", ["sh"], [], command + "\\n", 100_000)));`);
  // The child goes on only once its word has reached us.
  child.stderr.once("data", () => writeFileSync(answer, ""));
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += chunk;
  });
  await once(child, "close");
  expect(JSON.parse(text)).toEqual([0, 0, "done\n", "early\n"]);
});

/** The port id of a netlink socket of this process. */
function portIdOf(fd: number): number {
  const inode = /\d+/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[0];
  const lines = readFileSync("/proc/self/net/netlink", "utf8").split("\n");
  const line = lines.find((each) => each.trim().endsWith(` ${inode}`));
  const [, , portId] = line?.trim().split(/\s+/) ?? [];
  if (portId === undefined) throw new Error(`no netlink socket ${inode}`);
  return Number(portId);
}

describe("sockets", () => {
  test("a datagram longer than the room for it is EMSGSIZE, and nothing of it is returned", () => {
    const fd = sys.socket(AF_NETLINK, SOCK_RAW, 0);
    sys.connectNetlink(fd);
    // RTM_GETLINK of index 1: an answer of more than a kilobyte.
    const request = new Uint8Array(32);
    request.set([32, 0, 0, 0, 18, 0, 1, 0, 1]);
    request[20] = 1;
    sys.send(fd, request);
    expect(() => sys.recv(fd, 64, 1000)).toThrow(expect.objectContaining({ errno: 90 }));
    sys.send(fd, request);
    expect(sys.recv(fd, 32768, 1000).length).toBeGreaterThan(64);
    sys.close(fd);
  });

  test("nobody but the kernel can send to a netlink socket", () => {
    const ours = sys.socket(AF_NETLINK, SOCK_RAW, 0);
    sys.connectNetlink(ours);
    const theirs = sys.socket(AF_NETLINK, SOCK_RAW, 0);
    // sockaddr_nl: the port id the kernel gave our socket, as /proc/net/netlink shows it.
    const to = Buffer.alloc(12);
    to.writeUInt16LE(AF_NETLINK, 0);
    to.writeUInt32LE(portIdOf(ours), 4);
    call("connect", theirs, to, to.length);
    expect(() => sys.send(theirs, new Uint8Array(36))).toThrow("connection refused");
    expect(() => sys.recv(ours, 64, 20)).toThrow(expect.objectContaining({ errno: 11 }));
    sys.close(theirs);
    sys.close(ours);
  });

  test("refusals carry the call and the errno", () => {
    expect(() => sys.socket(AF_UNIX, 99, 0)).toThrow(expect.objectContaining({ syscall: "socket" }));
    expect(() => sys.setns(0, 0x40000000)).toThrow(expect.objectContaining({ syscall: "setns", errno: 22 }));
    expect(() => sys.send(-1, new Uint8Array(1))).toThrow(expect.objectContaining({ syscall: "send", errno: 9 }));
  });
});
