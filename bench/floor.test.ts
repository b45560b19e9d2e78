// The floor leaves in the packet filter what ours leaves: the time of the one is what the kernel takes for the other's rules.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, expect, test } from "vitest";
import { root } from "../build/bootstrap.mjs";
import { ours } from "../testing/binaries.ts";
import { pathWith } from "../testing/iptables.ts";
import { describeWith } from "../testing/needs.ts";
import { makeNode } from "../testing/node.ts";

type Backend = "nftables" | "iptables";

/** As portmap-rows.mjs and rows.mjs have them. */
const portmap = (backend: Backend, count: number) => ({
  cniVersion: "1.0.0",
  name: "cbr0",
  type: "portmap",
  backend,
  runtimeConfig: {
    portMappings: Array.from({ length: count }, (_, at) => ({
      hostPort: 8000 + at,
      containerPort: 80,
      protocol: "tcp",
    })),
  },
  prevResult: {
    cniVersion: "1.0.0",
    interfaces: [{ name: "eth0", sandbox: "/run/netns/p0" }],
    ips: [{ interface: 0, address: "10.244.1.77/24" }],
  },
});
const bridge = (backend: Backend, dataDir: string) => ({
  cniVersion: "1.0.0",
  name: "cbr0",
  type: "bridge",
  isDefaultGateway: true,
  ipMasq: true,
  ipMasqBackend: backend,
  ipam: { type: "host-local", dataDir, ranges: [[{ subnet: "10.244.1.0/24" }]] },
});

describeWith(["cell", "ip", "nft", "iptables", "gcc"], "the floor's rules are ours", () => {
  let directory: string;
  const { path, remove } = pathWith("nft");
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), "weft-floor-"));
    for (const plugin of ["portmap", "bridge"])
      await execa("gcc", ["-O1", "-Wall", "-Werror", join(root, "bench/floor.c"), "-o", join(directory, plugin)]);
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
    remove();
  });

  /** A container's chain and its hash are called otherwise, and what chains have counted so far is nobody's rule. */
  const named = (rules: string) =>
    rules
      .replace(/CNI-(DN-)?[\da-f]{21,24}/g, "CHAIN")
      .replace(/-[\da-f]{16}, net:/g, "-HASH, net:")
      .replace(/\[\d+:\d+\]/g, "");

  /** The rules before, and after each verb: of ours first, so that what all share is there. */
  async function outcomes(
    backend: Backend,
    plugin: "portmap" | "bridge",
    conf: (store: string) => object,
    floor: object,
  ): Promise<{ ours: string[]; floor: string[]; left: string }> {
    const node = await makeNode();
    try {
      const netns = await node.container("pod");
      const rules = async () =>
        named(await (backend === "nftables" ? node.run("nft", "list", "ruleset") : node.run("iptables-nft-save")))
          .split("\n")
          .filter((line) => !line.startsWith("#"))
          .join("\n");
      const call = async (bin: string, verb: string) => {
        const store = join(directory, node.name, bin === ours ? "ours" : "floor");
        const env = {
          CNI_COMMAND: verb,
          CNI_CONTAINERID: "c0ffee".padStart(64, "0"),
          CNI_NETNS: netns,
          CNI_IFNAME: "eth0",
          CNI_PATH: ours,
          PATH: path,
          FLOOR_STORE: join(store, "cbr0"),
          FLOOR_SUBNET: "10.244.1.0/24",
          ...floor,
        };
        await execa(join(bin, plugin), { env, extendEnv: false, input: JSON.stringify(conf(store)) });
        return rules();
      };
      await node.run("ip", "link", "add", "cni0", "type", "bridge");
      await node.run("ip", "addr", "add", "10.244.1.1/24", "dev", "cni0");
      await node.run("ip", "link", "set", "cni0", "up");
      await node.run("mkdir", "-p", join(directory, node.name, "floor/cbr0"));
      const own = [await call(ours, "ADD"), await call(ours, "DEL")];
      return {
        ours: own,
        floor: [await call(directory, "ADD"), await call(directory, "DEL")],
        left: own[1] ?? "",
      };
    } finally {
      await node.close();
    }
  }

  const backends = ["nftables", "iptables"] as const;

  test.each(backends.flatMap((backend) => [0, 1, 10, 200].map((count) => [count, backend] as const)))(
    "portmap with %i mapped, %s",
    async (count, backend) => {
      const found = await outcomes(backend, "portmap", () => portmap(backend, count), {
        FLOOR_BACKEND: backend,
        FLOOR_PORTS: String(count),
      });
      expect(found.floor).toEqual(found.ours);
      expect(found.ours[0] === found.left).toBe(count === 0);
    },
  );

  test.each(backends)("bridge with ipMasq, %s", async (backend) => {
    const found = await outcomes(backend, "bridge", (store) => bridge(backend, store), { FLOOR_BACKEND: backend });
    expect(found.floor).toEqual(found.ours);
    expect(found.ours[0]).not.toBe(found.left);
  });
});
