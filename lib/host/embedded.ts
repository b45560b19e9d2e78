// The embedded engine's system calls, as far as every call needs them; embedded-host.ts has them all.
import { argv, getenv, write } from "host";
import type { Host } from "./host.ts";
import { processOver } from "./process.ts";

export const thisProcess = processOver({ argv, getenv, write });

export async function openHost(): Promise<Host> {
  return (await import("./embedded-host.ts")).openEmbeddedHost();
}
