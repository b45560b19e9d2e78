// The part of the host that a call cannot do without, VERSION included. The rest (open.ts) is read when it is needed.
import type { Process } from "./host.ts";
import type { Sys } from "./sys.ts";

export function processOver(sys: Pick<Sys, "argv" | "getenv" | "write">): Process {
  return {
    argv: sys.argv(),
    env: (name) => sys.getenv(name),
    writeStdout: (text) => sys.write(1, text),
    log(line) {
      try {
        sys.write(2, `${line}\n`);
      } catch {
        // Nobody reads our standard error; that must not change what we do.
      }
    },
  };
}
