// The last step of the embedded build: the blank executable makes its heap once, here, and a copy carries it from then on
// (host/src/image.rs, docs/host.md).
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { homeTarget } from "./engine.mjs";
import { planFrom } from "./rehearsal/plan.mjs";

/** What runs another machine's executables here; undefined where nothing does. */
const emulatorOf = (target) =>
  [`qemu-${target}-static`, `qemu-${target}`].find(
    (name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0,
  );

/** Rehearses calls by what was recorded of them, and plans the image's layout by what they use. */
export function planFor(blank, target, rehearsal) {
  const { left, plan } = planFrom(printedBy(blank, target, "rehearse", { input: rehearsal }).toString());
  if (left.some((answers) => answers > 0))
    console.log("a call asks the kernel for something else than when it was recorded: npm run record, to keep it fast");
  return plan;
}

/** What the blank executable prints when it is called by a name. */
function printedBy(blank, target, name, options) {
  const [command, ...args] = target === homeTarget ? [blank] : [emulatorOf(target), "-0", name, blank];
  const { status, stdout, stderr } = spawnSync(command, args, { argv0: name, maxBuffer: 1 << 28, ...options });
  if (status !== 0) throw new Error(`the executable cannot make its heap image: ${stdout}${stderr}`);
  return stdout;
}

/** The section's address, how many of its bytes nothing uses, and its content, as the blank executable prints them. */
function writtenBy(blank, target, options) {
  const stdout = printedBy(blank, target, "write-image", options);
  return { address: stdout.readBigUInt64LE(0), unused: stdout.readBigUInt64LE(8), content: stdout.subarray(16) };
}

/**
 * The executable with the section's content, up to the page where nothing uses it any more: the kernel finds zeros there
 * as in .bss, which comes next. elf.h: Elf64_Ehdr, Elf64_Phdr, Elf64_Shdr; little-endian, as every target is.
 */
function withSection(elf, { address, unused, content }) {
  const table = (start, size, count) => {
    const rows = Array.from({ length: elf.readUInt16LE(count) }, (_, row) => row * elf.readUInt16LE(size));
    return rows.map((row) => elf.subarray(Number(elf.readBigUInt64LE(start)) + row));
  };
  const cut = unused - (unused % 4096n);
  const shrink = (header, field) => header.writeBigUInt64LE(header.readBigUInt64LE(field) - cut, field);
  const end = address + BigInt(content.length);
  const segment = table(32, 54, 56).find((header) => {
    const [start, length] = [16, 32].map((field) => header.readBigUInt64LE(field));
    return header.readUInt32LE(0) === 1 && start <= address && start + length === end;
  });
  if (segment === undefined) throw new Error("the executable's data do not end with the section of its heap image");
  const at = Number(segment.readBigUInt64LE(8) + address - segment.readBigUInt64LE(16));
  const after = at + content.length;
  shrink(segment, 32);
  for (const section of table(40, 58, 60)) {
    if (section.readBigUInt64LE(16) === address) shrink(section, 32);
    else if (section.readBigUInt64LE(24) >= BigInt(after)) shrink(section, 24);
  }
  shrink(elf, 40);
  return Buffer.concat([elf.subarray(0, at), content.subarray(0, content.length - Number(cut)), elf.subarray(after)]);
}

/**
 * Writes a copy of the blank executable with its heap image. The image is made twice, the stack and the environment
 * elsewhere, and must be the same to the bit: a word that differs is an address or a time that no other process may see.
 * What the calls of a rehearsal (bytecode of build/rehearsal/answers.js) use lies together in it. Where the target cannot be
 * run the copy stays blank, which is slower and nothing else.
 */
export function writeImage(blank, target, executable, rehearsal) {
  let bytes = readFileSync(blank);
  if (target !== homeTarget && emulatorOf(target) === undefined) {
    console.log(`no qemu-${target} here: each start makes its heap anew, some milliseconds a call`);
  } else {
    const input = rehearsal === undefined ? "" : planFor(blank, target, rehearsal);
    const [image, again] = [{}, { PAD: "x".repeat(4000) }].map((env) => writtenBy(blank, target, { env, input }));
    if (!image.content.equals(again.content)) throw new Error("two runs made different heap images: see docs/host.md");
    bytes = withSection(bytes, image);
    console.log(`a heap image of ${((image.content.length - Number(image.unused)) / 1e6).toFixed(2)} MB`);
  }
  writeFileSync(executable, bytes, { mode: 0o755 });
}
