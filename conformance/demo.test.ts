// `npm run demo`, as a newcomer runs it.
import { join } from "node:path";
import { execa } from "execa";
import { expect, test } from "vitest";
import { describeWith } from "../testing/needs.ts";

const root = join(import.meta.dirname, "..");
const engine = process.env.WEFT_TEST_ENGINE ?? "embedded";
const demo = ["node", join(root, "demo.mjs"), "--engine", engine];

/** In one shell line, in namespaces made by these flags. */
const inside = (flags: readonly string[], script: string) =>
  execa("unshare", [...flags, "sh", "-ec", `${script}\nexec "$@"`, "sh", ...demo], { reject: false });

/** Every step has its time in front. */
const stepPattern = /^ *\d+\.\d ms {2}(.*)$/gm;

/** Where the machine was asked for a thing it refuses: one line, and the switch by its name. */
async function expectRefusal(flags: readonly string[], script: string, said: string): Promise<void> {
  const { exitCode, stdout, stderr } = await inside(flags, script);
  expect([exitCode, stdout, stderr]).toEqual([1, "", `demo: this system forbids making network namespaces: ${said}`]);
}

describeWith(["cell"], "the demo", () => {
  const shown = [
    /^written: .*subnet\.env/,
    /^made: two empty network namespaces, pod-a and pod-b$/,
    /^weft add cbr0 \/run\/netns\/pod-a: 10\.244\.1\.2$/,
    /^weft add cbr0 \/run\/netns\/pod-b: 10\.244\.1\.3$/,
    /^the node as the kernel shows it$/,
    /^TCP, pod to pod and pod to gateway$/,
    /^weft check cbr0 \/run\/netns\/pod-a: /,
    /^weft check cbr0 \/run\/netns\/pod-b: /,
    /^weft del cbr0 \/run\/netns\/pod-a$/,
    /^weft del cbr0 \/run\/netns\/pod-b$/,
    /^nothing is left: /,
    /^in all$/,
  ];

  test.for([
    { name: "as it is", flags: ["--net"] },
    {
      name: "in a user namespace, as an ordinary user has it",
      flags: ["--user", "--map-root-user", "--net", "--mount"],
    },
  ])("$name: attaches, sends, checks, deletes, and shows it", async ({ flags }) => {
    const { exitCode, stdout, stderr } = await inside(flags, "");
    expect([exitCode, stderr]).toEqual([0, ""]);
    const steps = [...stdout.matchAll(stepPattern)].map(([, text]) => text);
    expect(steps).toEqual(shown.map((pattern) => expect.stringMatching(pattern)));
    expect(stdout).toMatch(/^ +cni0 {2}mtu 1450 {2}10\.244\.1\.1\/24/m);
    for (const [pod, address] of [
      ["a", 2],
      ["b", 3],
    ])
      expect(stdout).toMatch(
        new RegExp(`^ +├─ veth[0-9a-f]{8} ── eth0 in pod-${pod} {2}mtu 1450 {2}10\\.244\\.1\\.${address}/24$`, "m"),
      );
    // The listener says whom it heard: the pod's own address, so the packets took the pod's own way.
    expect(stdout).toMatch(/^ +pod-a → pod-b +"hello 10\.244\.1\.2" in /m);
    expect(stdout).toMatch(/^ +pod-a → gateway +"hello 10\.244\.1\.2" in /m);
  });

  test("leaves nothing where it was run", async () => {
    const script = `
ip -o link >/tmp/links.$$; ls -A /run /var/lib >/tmp/files.$$
"$@" >/dev/null
ip -o link | diff - /tmp/links.$$ >&2; ls -A /run /var/lib | diff - /tmp/files.$$ >&2
rm /tmp/links.$$ /tmp/files.$$
exit 0`;
    const { exitCode, stdout, stderr } = await inside(["--net", "--mount"], script);
    expect([exitCode, stdout, stderr]).toEqual([0, "", ""]);
  });

  test("says which switch forbids what it needs", async () => {
    // These switches are the user namespace's own: nothing outside of it is changed.
    const own = ["--user", "--map-root-user"];
    await expectRefusal(own, "echo 0 >/proc/sys/user/max_net_namespaces", "sysctl user.max_net_namespaces is 0");
    await expectRefusal(own, "echo 0 >/proc/sys/user/max_mnt_namespaces", "sysctl user.max_mnt_namespaces is 0");
  });
});
