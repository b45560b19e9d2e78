// What a tuning configuration may say, as one JSON Schema: the document, the type and the check.

const sysctl = {
  type: "object",
  description:
    "settings under /proc/sys/net of the container: name to value; dots or slashes, the first IFNAME is the link",
} as const;
const mac = { type: "string", description: "of the container's link" } as const;
const promisc = {
  type: "boolean",
  description: "IFF_PROMISC on the container's link; false leaves it as it is",
} as const;
const mtu = {
  type: "integer",
  minimum: 0,
  maximum: 0xffffffff,
  errorText: "invalid MTU {value}",
  description: "of the container's link, and of the node's end of its veth pair; 0: left as it is",
} as const;
const allmulti = { type: "boolean", description: "IFF_ALLMULTI on the container's link" } as const;
const txQLen = {
  type: "integer",
  minimum: 0,
  maximum: 0xffffffff,
  errorText: "invalid transmit queue length {value}",
  description: "packets in the transmit queue of the container's link",
} as const;

export const schema = {
  type: "object",
  description:
    "settings of the container's network namespace and of its link, given back on DEL as far as the link's go",
  properties: {
    sysctl,
    mac,
    promisc,
    mtu,
    allmulti,
    txQLen,
    peerMtu: {
      type: "boolean",
      default: true,
      description: "false: mtu is for the container's end of a veth pair alone, and the node's end keeps its own",
    },
    dataDir: { type: "string", description: "where what the link had before is kept; default /run/cni/tuning" },
    args: {
      type: "object",
      properties: {
        cni: {
          type: "object",
          properties: { sysctl, mac, promisc, mtu, allmulti, txQLen },
          description: "wins over everything else",
        },
      },
    },
    runtimeConfig: {
      type: "object",
      properties: { mac: { type: "string", description: "wins over CNI_ARGS, which win over the configuration" } },
    },
  },
} as const;
