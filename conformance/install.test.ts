// `weft install` and `weft uninstall` of the built executable, over Go's plugins, while those are being called.
import { expect, test } from "vitest";
import { ours, plugins, reference } from "../testing/binaries.ts";
import { stockConflist } from "../conflists/conflists.ts";
import { describeWith } from "../testing/needs.ts";
import { Cell } from "./cell.ts";
import { kubeFlannel, kubeSubnet } from "./configs.ts";

const directory = "/run/bin";

/** A node whose plugins are Go's, as files. */
async function openNode(): Promise<Cell> {
  const cell = await Cell.open();
  await cell.shell(
    `mkdir ${directory} && cd ${reference} && cp ${plugins.join(" ")} ${directory}; chmod 711 ${directory}/bridge; touch -d @1000000000 ${directory}/*; ${kubeSubnet.shell}`,
  );
  return cell;
}

/** All there is in the directory, to the byte, the mode and the inode. */
const look = (cell: Cell) =>
  cell.shell(`cd ${directory} && find . -printf '%P %y %m %i %n %s %T@\\n' | grep -v '^ ' | sort; sha256sum *`);

const weft = (cell: Cell, ...words: string[]) => cell.run(`${ours}/weft`, words);

/** What a plugin of ours says of itself. */
const introduction = (name: string): RegExp =>
  name === "flannel" ? /^CNI Plugin flannel version v\d/ : new RegExp(`^CNI ${name} plugin v\\d`);

describeWith(["cell", "go", "ip"], "weft install", () => {
  test("puts ours in the place of Go's, and back; the installed weft can do it as well", async () => {
    await using cell = await openNode();
    const before = await look(cell);
    const installed = await weft(cell, "install", directory);
    expect(installed).toMatchObject({ exit: 0, stderr: "" });
    expect(installed.stdout.split("\n").map((line) => line.split(":")[0])).toEqual([...plugins, "weft", ""]);
    for (const name of plugins)
      expect(await cell.run(`${directory}/${name}`), name).toMatchObject({
        exit: 0,
        stderr: expect.stringMatching(introduction(name)),
      });
    const same = `cmp ${ours}/weft ${directory}/weft && stat -c '%i %h %a' ${directory}/* | sort -u -k 2`;
    expect(await cell.shell(same)).toMatch(new RegExp(`^\\d+ 1 755\n\\d+ ${plugins.length} 755\n$`));

    await cell.addPod("pod");
    cell.write("/run/net.d/10.conflist", JSON.stringify(stockConflist("1.0.0")));
    const env = { CNI_PATH: directory, NETCONFPATH: "/run/net.d" };
    for (const verb of ["add", "check", "del"])
      expect(await cell.run(`${directory}/weft`, [verb, "cbr0", "/run/netns/pod"], { env })).toMatchObject({ exit: 0 });

    // An upgrade, by the one that is there.
    expect(await cell.run(`${directory}/weft`, ["install", directory])).toMatchObject({ exit: 0, stderr: "" });
    // A shell stands in the directory, as people do.
    expect(await cell.shell(`cd ${directory} && ./weft uninstall .`)).toMatch(
      /^flannel: put back what was there before\n/,
    );
    expect(await look(cell)).toBe(before);
  });

  test("kube-flannel's DaemonSet, which copies its flannel into the file that is there, reaches no other name", async () => {
    await using cell = await openNode();
    const before = await cell.shell(`cd ${directory} && sha256sum *`);
    await weft(cell, "install", directory);
    await cell.shell(`cp -f ${reference}/flannel ${directory}/flannel`);
    expect((await cell.run(`${directory}/flannel`)).stderr).toContain("CNI flannel plugin version");
    for (const name of plugins.filter((each) => each !== "flannel"))
      expect((await cell.run(`${directory}/${name}`)).stderr).toMatch(introduction(name));
    expect((await weft(cell, "install", directory)).stdout).toContain("flannel: installed; what was there is kept as");
    expect((await cell.run(`${directory}/flannel`)).stderr).toMatch(introduction("flannel"));
    await weft(cell, "uninstall", directory);
    expect(await cell.shell(`cd ${directory} && sha256sum *`)).toBe(before);
  });

  test("what cannot be done is one line that says what to try", async () => {
    await using cell = await openNode();
    await cell.shell("mkdir /run/read-only /run/bound && mount -t tmpfs -o ro none /run/read-only");
    await cell.shell(`cp ${reference}/bridge /run/bound && mount --bind /run/bound/bridge /run/bound/bridge`);
    await cell.shell(`chmod 755 ${directory}`);
    const refused = async (words: readonly string[], said: RegExp, as: readonly string[] = []) => {
      const [command = "", ...rest] = [...as, `${ours}/weft`, ...words];
      const { exit, stdout, stderr } = await cell.run(command, rest);
      expect([exit, stdout, stderr]).toEqual([1, "", expect.stringMatching(said)]);
      expect(stderr.trim().split("\n")).toHaveLength(1);
    };
    await refused(["install", "/run/none"], /^\/run\/none does not exist; make it first: mkdir -p \/run\/none\n/);
    await refused(["install", "/run/flannel/subnet.env"], /is no directory/);
    await refused(["install", "/run/read-only"], /this file system is mounted read-only/);
    await refused(["install", "/run/bound"], /unmount it first/);
    await refused(["uninstall", "/run/bound"], /nothing in \/run\/bound is Weft's/);
    await refused(["install", directory], /run it as root/, ["setpriv", "--reuid=65534", "--clear-groups"]);
    expect(await cell.shell(`ls -A /run/bound ${directory}`)).toBe(
      `${directory}:\n${plugins.toSorted().join("\n")}\n\n/run/bound:\nbridge\n`,
    );
  });

  test("back and forth while plugins are called: no call fails, and all is as it was", async () => {
    await using cell = await openNode();
    const before = await look(cell);
    const workers = ["a", "b", "c"];
    for (const worker of workers) await cell.addPod(worker);
    cell.write("/run/conf", JSON.stringify(kubeFlannel("0.3.1")));
    cell.write(
      "/run/work",
      `
pod=$1 calls=0
export CNI_CONTAINERID=$pod CNI_NETNS=/run/netns/$pod CNI_IFNAME=eth0 CNI_PATH=${directory}
attempt() {
  said=$(CNI_COMMAND=$1 ${directory}/$2 </run/conf 2>&1) || echo "$1 $2: $said"
  calls=$((calls + 1))
}
while test ! -e /run/stop; do
  for plugin in ${plugins.join(" ")}; do attempt VERSION $plugin; done
  attempt ADD flannel
  case $said in *'"10.244.1.'*) ;; *) echo "ADD said: $said" ;; esac
  attempt DEL flannel
done
echo "$calls calls"
`,
    );
    const working = workers.map((worker) => cell.run("/bin/sh", ["/run/work", worker]));
    const until = Date.now() + 8000;
    let rounds = 0;
    for (; rounds < 15 && Date.now() < until; rounds++) {
      for (const verb of ["install", "install", "uninstall"])
        expect(await weft(cell, verb, directory)).toMatchObject({ exit: 0, stderr: "" });
    }
    await cell.shell("touch /run/stop");
    const outcomes = await Promise.all(working);
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(workers.map(() => expect.stringMatching(/^\d+ calls\n$/)));
    // Every worker was at it, and the names did change under it.
    for (const { stdout } of outcomes) expect(Number.parseInt(stdout, 10)).toBeGreaterThan(5);
    expect(rounds).toBeGreaterThan(0);
    expect(await look(cell)).toBe(before);
    expect(await cell.shell("ls /var/lib/cni/networks/cbr0")).not.toContain("10.244.");
  });

  test("killed at any moment, each name is whole", async () => {
    await using cell = await openNode();
    const before = await look(cell);
    const whole = new Set(
      (await cell.shell(`cat ${reference}/*bridge | wc -c; sha256sum ${reference}/* ${ours}/weft`)).match(
        /[0-9a-f]{64}/g,
      ),
    );
    for (let round = 0; round < 24; round++) {
      const verb = round % 4 === 3 ? "uninstall" : "install";
      await cell.run("/bin/sh", [
        "-c",
        `${ours}/weft ${verb} ${directory} >/dev/null 2>&1 & sleep 0.00${round % 10}; kill -9 $!; wait`,
      ]);
      const sums = (await cell.shell(`cd ${directory} && sha256sum ${plugins.join(" ")}`)).match(/[0-9a-f]{64}/g) ?? [];
      expect(sums).toHaveLength(plugins.length);
      expect(sums.filter((sum) => !whole.has(sum))).toEqual([]);
    }
    await weft(cell, "install", directory);
    await weft(cell, "uninstall", directory);
    expect(await look(cell)).toBe(before);
  });
});
