// A netns path that leads to the node's own: the container's process ended, and one of the node's has its number now.
// Whatever is asked, the node stays as it is, and the answer is code 8.
import { expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { hostLocal, kubeBridge, kubeFlannel, kubeSubnet } from "./configs.ts";
import { failures, Fleet } from "./fleet.ts";
import { observeFiles } from "./observe.ts";

const confs: Readonly<Record<string, Record<string, unknown>>> = {
  flannel: kubeFlannel("1.0.0"),
  bridge: kubeBridge("1.0.0"),
  "host-local": hostLocal({ subnet: "10.9.0.0/24" }),
  loopback: { cniVersion: "1.0.0", name: "lo", type: "loopback" },
};
const env = { CNI_NETNS: "/run/netns/node" };

describeWith(["cell", "ip"], "the node's own netns", () => {
  test.for(Object.keys(confs))("%s: ADD, CHECK and DEL are refused, and nothing is changed", async (program) => {
    await using fleet = await Fleet.open(1);
    await fleet.cell.shell(`${kubeSubnet.shell}\nip link set lo up`);
    const call = (verb: string, prevResult?: unknown, more = env as Record<string, string>) =>
      fleet.call({
        verb,
        program,
        by: "ours",
        pods: [0],
        config: () => ({ ...confs[program], prevResult }),
        env: more,
      });
    const look = async () => ({
      // Detection of duplicates may end while one looks.
      links: (await fleet.ip("addr")).map(({ ifname, flags, addr_info }) => ({
        ifname,
        flags,
        addrs: (addr_info as Record<string, unknown>[]).map(({ tentative: _, ...addr }) => addr),
      })),
      files: Object.entries(observeFiles(fleet.cell)).filter(([path]) => !path.startsWith("/run/calls/")),
      forwarding: await fleet.cell.shell("cat /proc/sys/net/ipv4/ip_forward"),
    });
    const refused = async (verb: string, prevResult?: unknown) => {
      const [{ exit, stdout } = { exit: 0, stdout: "" }] = await call(verb, prevResult);
      expect({ verb, exit, ...(JSON.parse(stdout) as object) }).toMatchObject({ verb, exit: 1, code: 8 });
    };

    const clean = await look();
    for (const verb of ["ADD", "CHECK", "DEL"]) await refused(verb);
    expect(await look()).toEqual(clean);

    // An attachment that is there keeps its links; what the node holds for it goes, so that the runtime can go on.
    const added = await call("ADD", undefined, {});
    expect(failures(added)).toEqual([]);
    const result: unknown = JSON.parse(added[0]?.stdout ?? "");
    const before = await look();
    for (const verb of ["ADD", "CHECK"]) await refused(verb, result);
    expect(await look()).toEqual(before);
    await refused("DEL", result);
    expect((await look()).links.find(({ ifname }) => ifname === "lo")).toEqual(
      before.links.find(({ ifname }) => ifname === "lo"),
    );
    expect((await fleet.left()).filter((path) => path.startsWith("/var/lib/cni/"))).toEqual([]);
  });
});
