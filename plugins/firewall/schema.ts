// What a firewall configuration may say, as one JSON Schema: the document, the type and the check.

export const schema = {
  type: "object",
  description: "lets a container's packets through the node's firewall, and keeps bridges apart",
  properties: {
    backend: {
      type: "string",
      default: "",
      description:
        "iptables or nftables; any other word but firewalld, which is refused: iptables, or nftables on a node without it",
    },
    iptablesAdminChainName: {
      type: "string",
      default: "",
      description: "the chain in which an operator's rules come first, in either backend; CNI-ADMIN unless told",
    },
    firewalldZone: { type: "string", default: "", description: "of the firewalld backend, which this build has not" },
    ingressPolicy: {
      type: "string",
      default: "",
      description: "open: nothing is refused; same-bridge: other such bridges are; isolated: so is the own one",
    },
  },
} as const;
