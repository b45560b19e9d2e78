#!/usr/bin/env node
// node bench/order.mjs
//
// Writes host/order.ld: what calls touch of the executable, in the order of the calls that count. Builds the executable with
// the linker's map, has each call run under valgrind (trace.mjs), and finds in the map which of the compilers' sections
// that was: one for each function, table and variable. Wants valgrind, strace and GNU's linker.
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { modernNode, root, unshareFlags } from "../build/bootstrap.mjs";

const order = join(root, "host/order.ld");
const work = join(root, ".cache/bench");
const map = join(work, "map");

function run(command, args, options = {}) {
  const { status, stdout } = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
    maxBuffer: 1 << 28,
    ...options,
  });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: exit status ${status}`);
  return stdout;
}

/** The sections that the linker was given and where it put them, by address: " .text.main  0x00404e80  0xa6  a.rlib(main.o)". */
function sectionsOf(text) {
  const rows = /^ (\.\S+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+)\s+(\S.*)$/gm;
  const sections = [...text.matchAll(rows)].map(([, name, start, size, file]) => {
    return { name, start: Number.parseInt(start, 16), size: Number.parseInt(size, 16), file };
  });
  return sections.filter(({ start, size }) => start > 0 && size > 0).sort((a, b) => a.start - b.start);
}

/** Those that addresses lie in; both are sorted. */
function touched(sections, addresses) {
  let at = 0;
  return sections.filter(({ start, size }) => {
    while (addresses[at] < start) at++;
    return addresses[at] < start + size;
  });
}

/**
 * How the linker's script names a section. What a compiler makes up, and makes up anew in another version, is left open: Rust's
 * hashes, numbers. Constants without a name are taken together, and texts, of which the linker keeps one where many have
 * it. A section without a name of its own is that of its file.
 */
function patternOf({ name, file }) {
  if (/\.str1\.\d+$/.test(name)) return "*(.rodata*.str1.*)";
  const open = name
    .replace(/(?<=Cs)[0-9A-Za-z]+(?=_)/g, "*")
    .replace(/^\.rodata\.\.L.*/, ".rodata..L*")
    .replace(/\.\d+(?=\.|$)/g, ".*");
  if (/^\.\w+\.|\*/.test(open)) return `*(${open})`;
  const member = /\(([^()]+)\)$/.exec(file);
  return `*${member ? `:${member[1]}` : basename(file)}(${open})`;
}

const kinds = [
  // Code and constants, which lie in one segment.
  { output: ".text.first", inputs: /^\.(text|rodata)/, place: "BEFORE .text" },
  // Variables, next to those that have values; what is big needs no company.
  { output: ".data.first", inputs: /^(\.bss|\.data(?!\.rel)|COMMON)/, limit: 1024, place: "AFTER .data" },
];

/** The script's part for one kind of sections; those of a call are those that no call before it touched. */
function part({ output, inputs, limit = Infinity, place }, sections, traced) {
  const here = sections.filter(({ name, size }) => inputs.test(name) && size <= limit);
  const known = new Set();
  const lines = traced.flatMap(([call, addresses]) => {
    const patterns = new Set(touched(here, addresses).map(patternOf));
    const added = [...patterns].filter((pattern) => !known.has(pattern)).sort();
    for (const pattern of added) known.add(pattern);
    return added.length === 0 ? [] : [`/* ${call} */`, ...added];
  });
  return `SECTIONS {\n  ${output} : {\n${lines.map((line) => `    ${line}\n`).join("")}  }\n} INSERT ${place};\n`;
}

const head = `/*
 * What calls touch comes first, in the order of the calls that count, so that it lies on few pages. Made by
 * bench/order.mjs; docs/host.md says what it saves. What a build does not have under these names is not missed.
 */
`;
const tail = `/* Last of what the file holds: the build cuts off what of it nothing uses. */
SECTIONS { .image : { *(.image) } } INSERT BEFORE .bss;
`;

mkdirSync(work, { recursive: true });
run("node", ["build.mjs", "--engine", "embedded"], { env: { ...process.env, WEFT_MAP: map } });
const inside = [modernNode(), "--no-warnings", join(root, "bench/trace.mjs"), join(root, "dist/bin/weft")];
const traced = JSON.parse(run("unshare", [...unshareFlags(), ...inside]));
const sections = sectionsOf(readFileSync(map, "utf8").split("Linker script and memory map")[1]);
writeFileSync(order, head + kinds.map((kind) => part(kind, sections, traced)).join("") + tail);
