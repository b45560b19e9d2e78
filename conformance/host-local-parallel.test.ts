// Many calls at one time on one store, half of them Go's: the lock and the exclusive creation of files are one and the
// same for both.
import * as fs from "node:fs";
import { expect, test } from "vitest";
import { ours, reference } from "../testing/binaries.ts";
import { describeWith } from "../testing/needs.ts";
import { Cell, type Outcome } from "./cell.ts";

const store = "/var/lib/cni/networks/net";
const count = 30;
const ids = Array.from({ length: count }, (_, at) => `c${at}`);

describeWith(["cell", "go"], "host-local beside Go's on one store", () => {
  /** One verb for every container at once; the containers whose number has this remainder are Go's. */
  async function all(cell: Cell, verb: string, subnet: string, goes: 0 | 1): Promise<Outcome[]> {
    const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "net", ipam: { type: "host-local", subnet } });
    return Promise.all(
      ids.map((id, at) =>
        cell.run(`${at % 2 === goes ? reference : ours}/host-local`, [], {
          stdin,
          env: {
            CNI_COMMAND: verb,
            CNI_CONTAINERID: id,
            CNI_IFNAME: "eth0",
            CNI_NETNS: "/run/netns/pod",
            CNI_PATH: "/opt",
          },
        }),
      ),
    );
  }
  const addressIn = ({ stdout }: Outcome): string => JSON.parse(stdout).ips[0].address.split("/")[0];
  const held = (cell: Cell): Record<string, string> =>
    Object.fromEntries(
      fs
        .readdirSync(cell.path(store))
        .filter((name) => name !== "lock" && name !== "last_reserved_ip.0")
        .map((name) => [name, fs.readFileSync(cell.path(`${store}/${name}`), "utf8")]),
    );

  test("no address twice, each held by whom it was told, all free after the other's DEL", async () => {
    await using cell = await Cell.open();
    for (const goes of [0, 1] as const) {
      const done = await all(cell, "ADD", "10.9.0.0/24", goes);
      expect(done.filter(({ exit }) => exit !== 0)).toEqual([]);
      const expected = Object.fromEntries(done.map((each, at) => [addressIn(each), `${ids[at]}\r\neth0`]));
      expect(Object.keys(expected)).toHaveLength(count);
      expect(held(cell)).toEqual(expected);
      const gone = await all(cell, "DEL", "10.9.0.0/24", goes === 0 ? 1 : 0);
      expect(gone.filter(({ exit }) => exit !== 0)).toEqual([]);
      expect(held(cell)).toEqual({});
    }
  });

  test("more callers than addresses: every address is given, and the others are told so", async () => {
    await using cell = await Cell.open();
    const done = await all(cell, "ADD", "10.9.0.0/28", 0);
    const given = done.filter(({ exit }) => exit === 0).map(addressIn);
    expect(given).toHaveLength(13);
    expect(Object.keys(held(cell)).sort()).toEqual(given.sort());
    for (const { exit, stdout } of done)
      if (exit !== 0)
        expect(JSON.parse(stdout).msg).toBe(
          "failed to allocate for range 0: no IP addresses available in range set: 10.9.0.1-10.9.0.14",
        );
  });
});
