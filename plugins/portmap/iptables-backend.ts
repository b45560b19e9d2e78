// The iptables backend: not there yet.
import { CniError } from "../../lib/cni/error.ts";
import type { RulesBackend } from "./backend.ts";

const refuse = (): never => {
  throw new CniError(
    "unsupportedField",
    'unsupported field "backend": iptables: this build maps ports by nftables only',
    {
      hint: 'set "backend" to nftables',
    },
  );
};

export const iptables: RulesBackend = {
  ensure: refuse,
  compare: refuse,
  remove: () => {},
  removeStale: () => {},
  checkUsable: refuse,
};
