// Every system call of every verb fails in turn, over the real kernel; and the process is killed before each of them. A
// failed ADD leaves nothing, a DEL that says it is done is done, and the next one always is.
import { afterEach, beforeEach, expect, test } from "vitest";
import { EIO, everyFault, oneInThree, type Fault, type Faults } from "../../testing/faults.ts";
import { pathWith, saved } from "../../testing/iptables.ts";
import { describeWith } from "../../testing/needs.ts";
import { nft } from "../../testing/nft.ts";
import { makePortNode, type PortNode } from "../../testing/ports.ts";
import type { Call } from "../../testing/runtime.ts";

const ips = ["10.1.0.5/24", "fd00:1::5/64"];
const mappings = [
  { hostPort: 8080, containerPort: 80, protocol: "tcp" },
  { hostPort: 5353, containerPort: 53, protocol: "udp" },
];
const variants = [
  ["nftables", { backend: "nftables" }, "nft"],
  ["iptables, with rules in nf_tables", { backend: "iptables" }, "nft"],
  ["iptables, with rules in its older tables", { backend: "iptables" }, "legacy"],
] as const;

for (const [name, backend, variant] of variants)
  describeWith(
    ["cell", "ip", "nft", "iptables", "legacy iptables"],
    `portmap over ${name}, every system call struck`,
    () => {
      let on: PortNode;
      let path: ReturnType<typeof pathWith>;
      beforeEach(async () => {
        on = await makePortNode();
        path = pathWith(variant);
      });
      afterEach(async () => {
        path.remove();
        await on.close();
      });

      const conf = { ...backend, runtimeConfig: { portMappings: mappings } };
      const request = (verb: string): Call => ({
        verb,
        netns: on.pods.a,
        searchPath: path.path,
        conf: on.after(conf, "a", ips),
      });
      const call = (verb: string) => on.runtime.call(request(verb));
      const collection = (): Call => ({
        verb: "GC",
        searchPath: path.path,
        conf: { cniVersion: "1.1.0", "cni.dev/valid-attachments": [] },
      });
      /** What there is of the container in any table. */
      const left = async () => {
        const older = variant === "legacy" ? [...(await saved("legacy", 4)), ...(await saved("legacy", 6))] : [];
        return [...(await nft("list ruleset")).split("\n"), ...older].filter((line) =>
          /CNI-DN|10\.1\.0\.5|"c0"/.test(line),
        );
      };
      const added = (verb: string) => async () => {
        await call("ADD");
        return verb === "GC" ? collection() : request(verb);
      };
      const every = (faults: Omit<Faults, "runtime" | "step">) =>
        everyFault({ ...faults, runtime: on.runtime, step: oneInThree });
      /** Another DEL finishes what this one did not. */
      const recovers = async () => {
        await call("DEL");
        expect(await left()).toEqual([]);
      };

      test("ADD on a node without rules, and on one with", async () => {
        for (const clean of [true, false])
          await every({
            call: async () => {
              await call("DEL");
              if (clean) await on.shell("nft flush ruleset; sysctl -qw net.ipv4.conf.br0.route_localnet=0");
              return request("ADD");
            },
            fault: EIO,
            judge: async (error) => {
              // Flows that cannot be forgotten are no reason to fail.
              if (error !== undefined) expect(await left()).toEqual([]);
              else await call("CHECK");
              await recovers();
            },
          });
      });

      test("DEL and GC say they are done only when they are", async () => {
        for (const verb of ["DEL", "GC"])
          await every({
            call: added(verb),
            fault: EIO,
            judge: async (error) => {
              if (error === undefined) expect(await left()).toEqual([]);
              await recovers();
            },
          });
      });

      test("CHECK changes nothing, and is not content where it could not look", async () => {
        await call("ADD");
        const before = await left();
        await every({
          call: async () => request("CHECK"),
          fault: EIO,
          judge: async (error) => {
            expect(error).toBeDefined();
            expect(await left()).toEqual(before);
          },
        });
      });

      test("killed before any call of any verb", async () => {
        // What comes last, to forget flows, may fail in silence, and so may it end.
        const judge = async () => {
          await recovers();
          await call("ADD");
          await call("CHECK");
          await recovers();
        };
        const killed: Fault = "killed";
        await every({ call: async () => request("ADD"), fault: killed, judge });
        await call("DEL");
        await every({ call: added("DEL"), fault: killed, judge });
        await every({ call: added("GC"), fault: killed, judge });
      });
    },
  );
