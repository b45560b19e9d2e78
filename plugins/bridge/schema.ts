// What a bridge configuration may say, as one JSON Schema: the document, the type and the check. What a schema cannot
// say (trunk bounds, keys that exclude each other) is in conf.ts.

export const schema = {
  type: "object",
  description: "a container on a bridge: the bridge where missing, a veth pair, and with IPAM its addresses and routes",
  properties: {
    bridge: { type: "string", default: "cni0", description: "name of the bridge link on the node; made where missing" },
    isGateway: {
      type: "boolean",
      default: false,
      description: "give the bridge the gateway's address and turn on forwarding",
    },
    isDefaultGateway: {
      type: "boolean",
      default: false,
      description: "isGateway, and a default route by way of it where IPAM gives none",
    },
    forceAddress: {
      type: "boolean",
      default: false,
      description: "replace an address of the bridge that is in the way, unless other ports are attached",
    },
    ipMasq: { type: "boolean", default: false, description: "masquerade what leaves the subnet" },
    ipMasqBackend: {
      type: "string",
      description: "iptables or nftables; absent: iptables where that can be used, as the Go plugin chooses",
    },
    mtu: { type: "integer", default: 0, description: "of a new bridge and of both ends of the pair; 0: the kernel's" },
    hairpinMode: { type: "boolean", default: false, description: "let frames leave by the port they came in by" },
    promiscMode: { type: "boolean", default: false, description: "IFF_PROMISC on the bridge; never cleared" },
    vlan: {
      type: "integer",
      default: 0,
      minimum: 0,
      maximum: 4094,
      errorText: "invalid VLAN ID {value} (must be between 0 and 4094)",
      description: "VLAN of the port's untagged frames; 0: none",
    },
    vlanTrunk: {
      type: "array",
      items: {
        type: "object",
        properties: {
          id: {
            type: "integer",
            minimum: 1,
            maximum: 4094,
            errorText: "incorrect trunk id parameter {value}",
            description: "one VLAN",
          },
          minID: {
            type: "integer",
            minimum: 1,
            maximum: 4094,
            errorText: "incorrect trunk minID parameter {value}",
            description: "first of a range; needs maxID",
          },
          maxID: {
            type: "integer",
            minimum: 1,
            maximum: 4094,
            errorText: "incorrect trunk maxID parameter {value}",
            description: "last of a range; needs minID",
          },
        },
      },
      description: "tagged VLANs of the port; given, even empty, a new bridge keeps VLANs apart",
    },
    preserveDefaultVlan: {
      type: "boolean",
      default: false,
      description: "keep the VLAN a bridge gives every new port, beside those of vlan and vlanTrunk",
    },
    macspoofchk: { type: "boolean", default: false, description: "drop frames with another source address" },
    acceptRa: {
      type: "boolean",
      default: false,
      description: "with IPv6 from IPAM: take addresses and routes from routers, too, if the kernel's default does",
    },
    enabledad: { type: "boolean", default: false, description: "IPv6 duplicate address detection in the container" },
    disableContainerInterface: { type: "boolean", default: false, description: "leave the container's link down" },
    portIsolation: { type: "boolean", default: false, description: "isolated ports reach no other isolated port" },
    ipam: {
      type: "object",
      properties: { type: { type: "string", default: "", description: "the IPAM plugin; empty: no addresses" } },
    },
    dns: {
      type: "object",
      properties: {
        nameservers: { type: "array", items: { type: "string" } },
        domain: { type: "string" },
        search: { type: "array", items: { type: "string" } },
        options: { type: "array", items: { type: "string" } },
      },
      description: "given, it replaces IPAM's in the result",
    },
    args: {
      type: "object",
      properties: {
        cni: {
          type: "object",
          properties: { mac: { type: "string", default: "", description: "of the container's link" } },
        },
      },
    },
    runtimeConfig: {
      type: "object",
      properties: { mac: { type: "string", default: "", description: "of the container's link; wins over args" } },
    },
  },
} as const;
