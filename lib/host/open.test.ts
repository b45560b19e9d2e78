import {
  chmodSync,
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { quietSpawn } from "../../testing/host.ts";
import { describeWith } from "../../testing/needs.ts";
import { makeNode, type TestNode } from "../../testing/node.ts";
import { NotNetnsError, systemError } from "./errno.ts";
import { sys } from "./node.ts";
import { hostOver, LostNetnsError } from "./open.ts";

const NETLINK_ROUTE = 0;
const RTM_GETLINK = 18;
const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

/** struct nlmsghdr and ifinfomsg of linux/rtnetlink.h: asks for all links. */
function allLinks(): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, 0x1 | 0x300, true);
  view.setUint32(8, 1, true);
  return bytes;
}

describeWith(["cell", "ip"], "network namespaces", () => {
  let node: TestNode;
  let pod = "";
  beforeAll(async () => {
    node = await makeNode();
    pod = await node.container("pod");
    await node.run("ip", "-n", pod.slice("/run/netns/".length), "link", "add", "seen.1", "type", "bridge");
  });
  afterAll(() => node.close());

  test("a netns is known by its device and inode, by whatever path it was opened", () => {
    const host = node.host();
    const own = host.ownNetns();
    const again = host.openNetns("/proc/self/ns/net");
    const other = host.openNetns(pod);
    expect([again.dev, again.ino]).toEqual([own.dev, own.ino]);
    expect(other.ino).not.toBe(own.ino);
    expect(other.path).toBe(pod);
    again.close();
    other.close();
  });

  test.each([
    ["without CAP_NET_ADMIN", "ioctl", 1],
    ["whose policy forbids the question", "ioctl", 13],
    ["of an old kernel", "ioctl", 25],
    ["under qemu-user, which does not know the question", "ioctl", 38],
    ["whose policy forbids such sockets", "socket", 97],
  ])("a process %s finds its own netns by way of /proc", (_, syscall, errno) => {
    const before = openDescriptors();
    const host = node.host({
      [syscall]: () => {
        throw systemError(syscall, errno);
      },
    });
    const [own, again] = [host.ownNetns(), node.host().ownNetns()];
    expect([own.dev, own.ino]).toEqual([again.dev, again.ino]);
    for (const { fd } of [own, again]) sys.close(fd);
    expect(openDescriptors()).toBe(before);
  });

  test("a path that is no netns says so, and a missing one is ENOENT; neither leaves a descriptor", () => {
    const host = node.host();
    writeFileSync("/run/netns/left-over", "");
    const before = openDescriptors();
    expect(() => host.openNetns("/run/netns/left-over")).toThrow(NotNetnsError);
    expect(() => host.openNetns("/run/netns/left-over")).toThrow(
      /^unknown FS magic on "\/run\/netns\/left-over": 1021994$/,
    );
    expect(() => host.openNetns("/run/netns/none")).toThrow(expect.objectContaining({ errno: 2 }));
    expect(openDescriptors()).toBe(before);
    rmSync("/run/netns/left-over");
  });

  test("a socket stays in the netns it was opened in, and we in ours", async () => {
    const host = node.host();
    const netns = host.openNetns(pod);
    const inside = host.netlink(NETLINK_ROUTE, netns);
    const outside = host.netlink(NETLINK_ROUTE);
    const seenBy = (socket: typeof inside) => {
      socket.send(allLinks());
      return Buffer.from(socket.receive()).includes("seen.1");
    };
    expect([seenBy(inside), seenBy(outside)]).toEqual([true, false]);
    expect((await node.ip("link show")).map((link) => link.ifname)).not.toContain("seen.1");
    expect(host.openNetns("/proc/thread-self/ns/net").ino).toBe(host.ownNetns().ino);
    for (const each of [inside, outside, netns]) each.close();
  });

  test("a namespace that is no network namespace is refused by the kernel", () => {
    const host = node.host();
    const mount = host.openNetns("/proc/self/ns/mnt");
    expect(() => host.netlink(NETLINK_ROUTE, mount)).toThrow(expect.objectContaining({ errno: 22, syscall: "setns" }));
    mount.close();
    expect(host.readSysctl("net/ipv4/ip_forward")).toMatch(/^[01]$/);
  });

  test("a silent socket gives up when told", () => {
    const socket = node.host().netlink(NETLINK_ROUTE);
    const started = performance.now();
    expect(() => socket.receive(30)).toThrow(expect.objectContaining({ errno: 11 }));
    expect(performance.now() - started).toBeGreaterThanOrEqual(29);
    socket.close();
  });

  test("a joined group brings notifications", async () => {
    const socket = node.host().netlink(NETLINK_ROUTE);
    socket.join(1); // RTNLGRP_LINK
    await node.run("ip", "link", "add", "told0", "type", "bridge");
    expect(Buffer.from(socket.receive(1000)).includes("told0")).toBe(true);
    socket.close();
    await node.run("ip", "link", "del", "told0");
  });

  test("sysctls are the netns's, dots in link names included", async () => {
    const host = node.host();
    const netns = host.openNetns(pod);
    host.writeSysctl("net/ipv4/conf/seen.1/rp_filter", "2", netns);
    expect(host.readSysctl("net/ipv4/conf/seen.1/rp_filter", netns)).toBe("2");
    expect(() => host.readSysctl("net/ipv4/conf/seen.1/rp_filter")).toThrow(expect.objectContaining({ errno: 2 }));
    const [before] = [host.readSysctl("net/ipv4/ip_forward")];
    host.writeSysctl("net/ipv4/ip_forward", before === "1" ? "0" : "1", netns);
    expect(host.readSysctl("net/ipv4/ip_forward")).toBe(before);
    expect(host.readSysctl("net/ipv4/ip_forward", netns)).not.toBe(before);
    netns.close();
  });

  test("a refused sysctl leaves us in our own netns", () => {
    const host = node.host();
    const netns = host.openNetns(pod);
    expect(() => host.writeSysctl("net/ipv4/ip_forward", "many", netns)).toThrow(
      expect.objectContaining({ errno: 22 }),
    );
    expect(() => host.writeSysctl("net/ipv4/conf/none/rp_filter", "1", netns)).toThrow(
      expect.objectContaining({ errno: 2 }),
    );
    expect(host.openNetns("/proc/thread-self/ns/net").ino).toBe(host.ownNetns().ino);
    netns.close();
  });

  test("a way back that is barred ends all work with namespaces, sysctls and children", () => {
    let calls = 0;
    const host = node.host({
      setns(fd, kind) {
        if (++calls > 1) throw systemError("setns", 1);
        sys.setns(fd, kind);
      },
    });
    const netns = host.openNetns(pod);
    const home = node.host().ownNetns();
    try {
      expect(() => host.netlink(NETLINK_ROUTE, netns)).toThrow(LostNetnsError);
      expect(() => host.netlink(NETLINK_ROUTE)).toThrow(LostNetnsError);
      expect(() => host.readSysctl("net/ipv4/ip_forward")).toThrow(LostNetnsError);
      expect(() => host.exec("/bin/true", { env: {}, stdin: "", timeoutMs: 1000 })).toThrow(LostNetnsError);
      expect(calls).toBe(4);
    } finally {
      sys.setns(openSync(`/run/netns/${node.name}`, "r"), 0x40000000);
    }
    expect(home.ino).not.toBe(netns.ino);
  });

  test("a way back that is barred once is taken at the second try", () => {
    let calls = 0;
    const host = node.host({
      setns(fd, kind) {
        if (++calls === 2) throw systemError("setns", 12);
        sys.setns(fd, kind);
      },
    });
    const netns = host.openNetns(pod);
    expect(host.readSysctl("net/ipv4/ip_forward", netns)).toMatch(/^[01]$/);
    expect(host.openNetns("/proc/thread-self/ns/net").ino).toBe(node.host().ownNetns().ino);
    expect(calls).toBe(3);
    netns.close();
  });

  test("an old kernel that lacks the options of a netlink socket still gives one", () => {
    const host = node.host({
      setsockopt: () => {
        throw systemError("setsockopt", 92);
      },
    });
    const socket = host.netlink(NETLINK_ROUTE);
    socket.send(allLinks());
    expect(socket.receive().length).toBeGreaterThan(0);
    socket.close();
  });

  test("a socket that cannot be connected is closed", () => {
    const host = node.host({
      connectNetlink: () => {
        throw systemError("connect", 12);
      },
    });
    const before = openDescriptors();
    expect(() => host.netlink(NETLINK_ROUTE)).toThrow("cannot allocate memory");
    expect(openDescriptors()).toBe(before);
  });

  test("one request in another netns costs few system calls", () => {
    const calls: string[] = [];
    const spy = <K extends "open" | "setns" | "socket" | "setsockopt" | "connectNetlink" | "fstat">(name: K) => ({
      [name]: (...args: unknown[]) => {
        calls.push(name);
        return (sys[name] as (...args: unknown[]) => unknown)(...args);
      },
    });
    const over = Object.assign(
      {},
      ...(["open", "setns", "socket", "setsockopt", "connectNetlink", "fstat"] as const).map(spy),
    );
    const host = node.host(over);
    const netns = host.openNetns(pod);
    host.ownNetns();
    calls.length = 0;
    host.netlink(NETLINK_ROUTE, netns).close();
    expect(calls).toEqual("setns socket setsockopt setsockopt setsockopt connectNetlink setns".split(" "));
    netns.close();
  });
});

describe("the executable of this process", () => {
  const directory = mkdtempSync(join(tmpdir(), "weft-own-"));
  const at = (name: string) => join(directory, name);
  afterAll(() => rmSync(directory, { recursive: true }));
  const own = (path: string) => hostOver({ ...sys, executable: () => path }).ownExecutable();

  test("is the file at the path by which it was run", () => {
    writeFileSync(at("weft"), "");
    symlinkSync("weft", at("bridge"));
    expect(own(at("bridge"))).toMatchObject({ kind: "file", ino: String(statSync(at("weft")).ino) });
  });

  test("is none where that path leads nowhere by now", () => {
    symlinkSync("loop", at("loop"));
    for (const path of [at("loop"), at("gone"), at("weft/gone"), ""]) expect(own(path)).toBeUndefined();
  });
});

describe("exec", () => {
  const host = hostOver({ ...sys, spawn: quietSpawn });
  const directory = mkdtempSync(join(tmpdir(), "weft-exec-"));
  afterAll(() => rmSync(directory, { recursive: true }));

  function script(name: string, text: string): string {
    const path = join(directory, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  }
  const plain = { env: {}, stdin: "", timeoutMs: 100_000 };

  test("gives standard input and a laid-over environment, and takes output and status", () => {
    process.env.WEFT_KEPT = "kept";
    process.env.WEFT_CHANGED = "old";
    const path = script("echo", 'cat; echo "$WEFT_KEPT $WEFT_CHANGED"; echo "warning" >&2; exit 3');
    const done = host.exec(path, { ...plain, env: { WEFT_CHANGED: "new" }, stdin: "from us\n" });
    expect(done).toEqual({
      status: 3,
      signal: 0,
      timedOut: false,
      stdout: "from us\nkept new\n",
      stderr: "warning\n",
    });
  });

  test("gives a child its words, and the name it sees itself by", () => {
    const done = host.exec("/bin/sh", {
      argv: ["other", "-c", 'echo "$0: $*"', "zero", "a b", ""],
      timeoutMs: 100_000,
    });
    expect(done.stdout).toBe("zero: a b \n");
    const name = host.exec("/bin/cat", { argv: ["other", "/proc/self/cmdline"], timeoutMs: 100_000 });
    expect(name.stdout).toBe("other\0/proc/self/cmdline\0");
  });

  test("moves more than a pipe holds, both ways at once", () => {
    const text = "0123456789abcdef".repeat(200_000);
    const done = host.exec(script("cat", "exec cat"), { ...plain, stdin: text });
    expect(done.stdout).toBe(text);
  });

  test("a child that reads nothing does not stop us", () => {
    const done = host.exec(script("deaf", "exit 0"), { ...plain, stdin: "x".repeat(3_000_000) });
    expect(done.status).toBe(0);
  });

  test("a grandchild that keeps the pipes open does not keep us", () => {
    const started = performance.now();
    const done = host.exec(script("daemon", "sleep 50 & echo $!"), { ...plain, timeoutMs: 60_000 });
    expect(done).toMatchObject({ status: 0, stdout: expect.stringMatching(/^\d+\n$/) });
    process.kill(Number(done.stdout));
    expect(performance.now() - started).toBeLessThan(40_000);
  });

  test("after the time-out its whole process group is gone", async () => {
    const pids = join(directory, "pids");
    const path = script("slow", `sleep 60 & echo $! > ${pids}; echo $$ >> ${pids}; echo partly; wait`);
    // Long enough for a shell to get as far as that on a machine that has other things to do.
    const done = host.exec(path, { ...plain, timeoutMs: 4000 });
    expect(done).toEqual({ status: -1, signal: 9, timedOut: true, stdout: "partly\n", stderr: "" });
    for (const pid of readFileSync(pids, "utf8").trim().split("\n")) {
      const state = () => {
        try {
          return readFileSync(`/proc/${pid}/stat`, "utf8").split(" ")[2];
        } catch {
          return "gone";
        }
      };
      // Killed is not yet gone, on a machine that is busy.
      await expect.poll(state, { timeout: 60_000 }).toMatch(/^(Z|X|gone)$/);
    }
  });

  test("tells a signal from a status", () => {
    const done = host.exec(script("killed", "kill -TERM $$"), plain);
    expect(done).toMatchObject({ status: -1, signal: 15, timedOut: false });
  });

  test("the child ignores and blocks no signal that we do", () => {
    const { stdout } = host.exec(script("signals", "grep -E '^Sig(Ign|Blk)' /proc/self/status"), plain);
    expect(stdout).toBe("SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  });

  test("inherits no descriptor of ours beyond the first three", () => {
    const ours = openSync("/etc", "r");
    const own = host.ownNetns();
    const { stdout } = host.exec(script("fds", 'for fd in /proc/$$/fd/*; do readlink "$fd"; done'), plain);
    closeSync(ours);
    // What a parent of ours left open to everybody is not ours to close.
    expect(stdout.split("\n")).not.toContain("/etc");
    expect(stdout.split("\n")).not.toContain(`net:[${own.ino}]`);
  });

  test.each([
    ["a missing file", "/no/such/plugin", 2],
    ["a directory", tmpdir(), 13],
  ])("%s is the kernel's error", (_, path, errno) => {
    const before = openDescriptors();
    expect(() => host.exec(path, plain)).toThrow(expect.objectContaining({ errno, path }));
    expect(openDescriptors()).toBe(before);
  });

  test("waits for an installer that is still writing the executable", () => {
    const path = script("fresh", "echo started");
    let attempts = 0;
    const writer = openSync(path, "r+");
    const waiting = hostOver({
      ...sys,
      sleepMs(durationMs) {
        if (++attempts === 2) closeSync(writer);
        sys.sleepMs(durationMs);
      },
    });
    expect(waiting.exec(path, plain).stdout).toBe("started\n");
    expect(attempts).toBe(2);
  });

  test("gives up on one that is written for ever", () => {
    const path = script("busy", "echo started");
    const writer = openSync(path, "r+");
    let now = 0;
    const sleepMs = (durationMs: number) => {
      now += durationMs;
    };
    const waiting = hostOver({ ...sys, monotonicMs: () => now, sleepMs });
    expect(() => waiting.exec(path, plain)).toThrow("text file busy");
    expect(now).toBeGreaterThanOrEqual(6000);
    closeSync(writer);
  });
});

test("a line to the log never throws", () => {
  const host = hostOver({
    ...sys,
    write: () => {
      throw systemError("write", 32);
    },
  });
  host.log("nobody listens");
  expect(() => host.writeStdout("result")).toThrow("broken pipe");
});
