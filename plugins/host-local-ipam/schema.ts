// host-local's configuration: keys of the network configuration that this plugin reads.
const text = { type: "string" } as const;
const range = {
  type: "object",
  properties: {
    subnet: {
      type: "string",
      description: "the subnet the addresses come from, as address/length; its host bits are zero",
    },
    rangeStart: { type: "string", description: "first address handed out; the subnet's second unless told" },
    rangeEnd: { type: "string", description: "last address handed out; the subnet's last usable one unless told" },
    gateway: { type: "string", description: "the gateway that results name; the subnet's second address unless told" },
  },
} as const;
const rangeSets = {
  type: "array",
  description: "range sets, each yielding one address; the ranges in a set are alternatives",
  items: { type: "array", items: range },
} as const;
const ips = { type: "array", items: text, description: "requested addresses; a prefix length is ignored" } as const;
const integer = { type: "integer", minimum: 0, maximum: 4294967295 } as const;

export const schema = {
  type: "object",
  description: "addresses out of ranges, one file for each on the local disk",
  properties: {
    name: { type: "string", default: "", description: "the network's name, which names the directory of its store" },
    cniVersion: { type: "string", default: "", description: "version of the CNI specification; 0.1.0 unless told" },
    ipam: {
      type: "object",
      properties: {
        type: text,
        ...range.properties,
        ranges: rangeSets,
        routes: {
          type: "array",
          description: "routes the result carries",
          items: {
            type: "object",
            properties: {
              dst: text,
              gw: text,
              mtu: integer,
              advmss: integer,
              priority: integer,
              table: integer,
              scope: { type: "integer", minimum: 0, maximum: 255 },
            },
          },
        },
        dataDir: {
          type: "string",
          default: "",
          description: "parent of the network's directory; /var/lib/cni/networks unless told",
        },
        resolvConf: {
          type: "string",
          default: "",
          description: "a resolv.conf(5) whose content becomes the result's dns",
        },
      },
    },
    runtimeConfig: { type: "object", properties: { ipRanges: rangeSets, ips } },
    args: { type: "object", properties: { cni: { type: "object", properties: { ips } } } },
  },
} as const;
