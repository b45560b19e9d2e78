// flannel's configuration: keys of the network configuration that this plugin reads itself.
export const schema = {
  type: "object",
  description: "the node's share of a flannel network, handed on to a delegate",
  properties: {
    cniVersion: {
      type: "string",
      default: "",
      description: "version of the CNI specification; the delegate's too. 0.1.0 unless told",
    },
    subnetFile: {
      type: "string",
      default: "",
      description: "what flanneld writes; /run/flannel/subnet.env unless told",
    },
    dataDir: {
      type: "string",
      default: "",
      description: "where the delegates' configurations are kept; /var/lib/cni/flannel unless told",
    },
    delegate: { type: "object", description: "base of the delegate's configuration; neither name nor ipam" },
    ipam: { type: "object", description: "base of the delegate's ipam; ranges and routes are added" },
    runtimeConfig: { type: "object", description: "handed on to the delegate" },
  },
} as const;
