// The saved delegate configuration through everything that goes wrong between an ADD and its DEL. Go's DEL succeeds in
// many of these cases and leaves the address held; ours converges.
import { chmodSync, existsSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";
import { kubeFlannel, kubeSubnet } from "./configs.ts";
import { containerId, failures, Fleet, type FleetOutcome } from "./fleet.ts";

const conf = (more: Record<string, unknown> = {}) => kubeFlannel("0.4.0", more);
const saved = `/var/lib/cni/flannel/${containerId(0)}`;

async function ours(fleet: Fleet, verb: string, config: unknown = conf()): Promise<FleetOutcome> {
  const [outcome] = await fleet.call({ verb, by: "ours", pods: [0], config: () => config });
  if (outcome === undefined) throw new Error("no outcome");
  return outcome;
}

async function withPod(): Promise<Fleet> {
  const fleet = await Fleet.open(1);
  await fleet.cell.shell(kubeSubnet.shell);
  expect(failures([await ours(fleet, "ADD")])).toEqual([]);
  return fleet;
}

/** A delegate of the test's own: a shell script that is asked each verb. */
function putDelegate(fleet: Fleet, name: string, script: string): void {
  const path = `/run/bin/ours/${name}`;
  fleet.cell.write(path, `#!/bin/sh\necho $CNI_COMMAND >>/run/asked\ncat >/run/given.$CNI_COMMAND\n${script}\n`);
  chmodSync(fleet.cell.path(path), 0o755);
}

describeWith(["cell", "ip"], "flannel's saved configuration", () => {
  describe("DEL frees everything", () => {
    test.for([
      ["the file is gone", `rm ${saved}`],
      ["the file is empty", `: >${saved}`],
      ["the file is torn", `truncate -s 40 ${saved}`],
      ["the file is gone, and so is subnet.env", `rm ${saved} /run/flannel/subnet.env`],
      ["the file is torn, and subnet.env too", `: >${saved}; : >/run/flannel/subnet.env`],
      ["subnet.env has another subnet by now", "sed -i s/244.1/244.7/ /run/flannel/subnet.env"],
    ] as const)("%s", async ([, harm]) => {
      await using fleet = await withPod();
      await fleet.cell.shell(harm);
      expect(failures([await ours(fleet, "DEL"), await ours(fleet, "DEL")])).toEqual([]);
      expect(await fleet.left()).toEqual([]);
    });

    test("the configuration cannot be read any more", async () => {
      await using fleet = await withPod();
      expect(failures([await ours(fleet, "DEL", conf({ delegate: { type: 7 } }))])).toEqual([]);
      expect(await fleet.left()).toEqual([]);
    });

    test("the network has another name, the delegate another type: what ADD saved counts", async () => {
      await using fleet = await withPod();
      expect(failures([await ours(fleet, "DEL", conf({ name: "renamed", delegate: { type: "ptp" } }))])).toEqual([]);
      expect(await fleet.left()).toEqual([]);
    });
  });

  test("a delegate that cannot delete keeps its configuration until it can", async () => {
    await using fleet = await Fleet.open(1);
    await fleet.cell.shell(kubeSubnet.shell);
    putDelegate(
      fleet,
      "stubborn",
      'test $CNI_COMMAND = DEL && test ! -e /run/free && exit 1; echo \'{"cniVersion":"0.4.0"}\'',
    );
    const config = conf({ delegate: { type: "stubborn" } });
    expect(failures([await ours(fleet, "ADD", config)])).toEqual([]);
    expect(await ours(fleet, "DEL", config)).toMatchObject({ exit: 1 });
    expect(existsSync(fleet.cell.path(saved))).toBe(true);
    await fleet.cell.shell("touch /run/free");
    expect(failures([await ours(fleet, "DEL", config)])).toEqual([]);
    expect(existsSync(fleet.cell.path(saved))).toBe(false);
    expect(readFileSync(fleet.cell.path("/run/given.DEL"), "utf8")).toContain('"subnet":"10.244.1.0/24"');
  });

  describe("a failed ADD", () => {
    test("asks the delegate to delete, and keeps nothing", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell(kubeSubnet.shell);
      putDelegate(fleet, "failing", 'test $CNI_COMMAND = DEL || { echo \'{"code":104,"msg":"no"}\'; exit 1; }');
      const { exit, stdout } = await ours(fleet, "ADD", conf({ delegate: { type: "failing" } }));
      expect([exit, JSON.parse(stdout)]).toMatchObject([1, { code: 104, msg: "failed to delegate add: no" }]);
      expect(readFileSync(fleet.cell.path("/run/asked"), "utf8")).toBe("ADD\nDEL\n");
      expect(await fleet.left()).toEqual([]);
    });

    test("of an attachment that is there leaves it as it was", async () => {
      await using fleet = await withPod();
      const before = [await fleet.left(), readFileSync(fleet.cell.path(saved), "utf8")];
      const { exit, stdout } = await ours(fleet, "ADD");
      expect([exit, JSON.parse(stdout)]).toMatchObject([1, { msg: expect.stringContaining("already exists") }]);
      expect([await fleet.left(), readFileSync(fleet.cell.path(saved), "utf8")]).toEqual(before);
    });

    test("on a full disk says so, and keeps nothing", async () => {
      await using fleet = await Fleet.open(1);
      await fleet.cell.shell(
        `${kubeSubnet.shell}; mkdir -p /var/lib/cni; mount -t tmpfs -o size=16k full /var/lib/cni; dd if=/dev/zero of=/var/lib/cni/fill bs=4k 2>/dev/null || true`,
      );
      const { exit, stdout } = await ours(fleet, "ADD");
      expect([exit, JSON.parse(stdout)]).toMatchObject([
        1,
        { code: 5, msg: expect.stringContaining("no space left on device") },
      ]);
      expect((await fleet.left()).filter((each) => each !== "/var/lib/cni/fill")).toEqual([]);
    });
  });

  test("two interfaces of one container are two attachments, each with its own", async () => {
    await using fleet = await withPod();
    const env = `CNI_CONTAINERID=${containerId(0)} CNI_NETNS=/run/netns/pod0 CNI_PATH=/run/bin/ours`;
    const second = (verb: string) =>
      fleet.cell.shell(
        `${env} CNI_IFNAME=net1 CNI_COMMAND=${verb} /run/bin/ours/flannel <<'EOF'\n${JSON.stringify(conf())}\nEOF`,
      );
    await second("ADD");
    expect(existsSync(fleet.cell.path(`${saved}-net1`))).toBe(true);
    expect(failures([await ours(fleet, "DEL")])).toEqual([]);
    expect((await fleet.ip("link", 0)).map(({ ifname }) => ifname)).toEqual(["lo", "net1"]);
    await second("DEL");
    expect(await fleet.left()).toEqual([]);
  });
});
