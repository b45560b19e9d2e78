// The last step of the embedded build: the blank executable makes its heap once, here, and a copy carries it from then on
// (host/src/image.rs, docs/host.md).
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { homeTarget } from "./engine.mjs";

/** How an executable for a target can be run here; undefined where it cannot. */
function runnerFor(target) {
  if (target === homeTarget) return [];
  const emulator = [`qemu-${target}-static`, `qemu-${target}`].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );
  return emulator && [emulator, "-0", "write-image"];
}

/** The section's address, how many of its bytes nothing uses, and its content, as the blank executable prints them. */
function writtenBy(blank, runner, env) {
  const [command, ...args] = [...runner, blank];
  const { status, stdout, stderr } = spawnSync(command, args, { argv0: "write-image", env, maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`the executable cannot make its heap image: ${stdout}${stderr}`);
  return { address: stdout.readBigUInt64LE(0), unused: stdout.readBigUInt64LE(8), content: stdout.subarray(16) };
}

/** Where an address is in an ELF file. elf.h: Elf64_Ehdr, Elf64_Phdr. */
function offsetOf(address, elf) {
  const [table, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  for (let at = table; at < table + size * count; at += size) {
    const [offset, start, length] = [8, 16, 32].map((field) => elf.readBigUInt64LE(at + field));
    const isLoaded = elf.readUInt32LE(at) === 1;
    if (isLoaded && address >= start && address < start + length) return Number(offset + address - start);
  }
  throw new Error("the executable has no heap image section");
}

/**
 * Writes a copy of the blank executable with its heap image. The image is made twice, the stack and the environment
 * elsewhere, and must be the same to the bit: a word that differs is an address or a time that no other process may see.
 * Where the target cannot be run the copy stays blank, which is slower and nothing else.
 */
export function writeImage(blank, target, executable) {
  const bytes = readFileSync(blank);
  const runner = runnerFor(target);
  if (runner === undefined) {
    console.log(`no qemu-${target} here: each start makes its heap anew, some milliseconds a call`);
  } else {
    const [image, again] = [{}, { PAD: "x".repeat(4000) }].map((env) => writtenBy(blank, runner, env));
    if (!image.content.equals(again.content)) throw new Error("two runs made different heap images: see docs/host.md");
    image.content.copy(bytes, offsetOf(image.address, bytes));
    const megabytes = (bytes) => (Number(bytes) / 1e6).toFixed(2);
    console.log(`a heap image of ${megabytes(image.content.length)} MB, ${megabytes(image.unused)} of them unused`);
  }
  writeFileSync(executable, bytes, { mode: 0o755 });
}
