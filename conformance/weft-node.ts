// A node with kube-flannel's list, for `weft` and cnitool beside each other.
import { ours, reference } from "../testing/binaries.ts";
import { Cell } from "./cell.ts";
import { kubeSubnet } from "./configs.ts";
import { placeRecorders, recorderPath } from "./recorder.ts";

/** Who makes a call. */
export type Tool = "weft" | "cnitool";
const tools: Record<Tool, string> = { weft: `${ours}/weft`, cnitool: `${reference}/cnitool` };
/** Where results are kept. */
export const results = "/var/lib/cni/results";

/** A node of kube-flannel's with this list, two pods, and recorders in front of the list's plugins. */
export async function openNode(conflist: string): Promise<Cell> {
  const cell = await Cell.open();
  for (const pod of ["pod", "other"]) await cell.addPod(pod);
  await cell.shell(kubeSubnet.shell);
  cell.write("/run/net.d/10-flannel.conflist", conflist);
  placeRecorders(cell, ["flannel", "portmap"], ours);
  // Delegates are flannel's affair.
  await cell.shell(`ln -s ${ours}/bridge ${ours}/host-local ${recorderPath}`);
  return cell;
}

/** One call by a tool, on that node. */
export const call = (cell: Cell, tool: Tool, words: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  cell.run(tools[tool], words, { env: { CNI_PATH: recorderPath, NETCONFPATH: "/run/net.d", ...env } });
