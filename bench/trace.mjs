// What a call touches: each address of the executable that it runs, reads or writes, as valgrind sees it. Runs in namespaces
// of its own (bench/order.mjs makes them); its one argument is the executable. Prints JSON: a pair for each call, its name and
// the addresses.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { bin, makeCalls, makeNode } from "../build/rehearsal/calls.mjs";

/** Above this there is only what no linker places: libc's heap, what is mapped, the stack. */
const end = 0x1000000;

const tracer = ["valgrind", "-q", "--tool=lackey", "--basic-counts=no", "--trace-mem=yes", "--log-fd=3"];

/**
 * The executable stops itself after ten seconds of processor time (CPU_LIMIT in host/src/main.rs), and under valgrind a
 * portmap ADD takes as many. So its clocks stand still.
 */
const clock = "clock_gettime";
const still = ["strace", "-f", "-qq", "-o/dev/null", "--seccomp-bpf", `--trace=${clock}`, `--inject=${clock}:retval=0`];

/** Runs one call, and keeps the addresses, each once. */
async function trace(plugin, env, conf) {
  const [command, ...args] = [...still, ...tracer, `${bin}/${plugin}`];
  const child = spawn(command, args, { env, stdio: ["pipe", "pipe", 2, "pipe"] });
  child.stdin.end(conf);
  let stdout = "";
  child.stdout.on("data", (text) => {
    stdout += text;
  });
  const closed = new Promise((resolve) => child.on("close", resolve));
  const seen = new Set();
  // "I  00401000,3": the kind of access, the address, how many bytes.
  for await (const line of createInterface({ input: child.stdio[3] })) seen.add(line.slice(3, line.indexOf(",")));
  const status = await closed;
  const addresses = [...seen].map((text) => Number.parseInt(text, 16)).filter((address) => address < end);
  return { status, stdout, kept: addresses.sort((a, b) => a - b) };
}

makeNode(process.argv[2]);
console.log(JSON.stringify(await makeCalls(trace)));
