// What a portmap configuration may say, as one JSON Schema: the document, the type and the check. What a schema cannot
// say (addresses, keys that exclude each other, conditions) is in conf.ts and conditions.ts.

const port = { type: "integer", minimum: 1, maximum: 65535 } as const;

const conditions = {
  type: "array",
  items: { type: "string" },
} as const;

export const schema = {
  type: "object",
  description: "ports of the node that lead to the container: chained behind the plugin that gives it its addresses",
  properties: {
    backend: {
      type: "string",
      enum: ["iptables", "nftables"],
      errorText: "unrecognized backend {value}",
      description: "what keeps the rules; absent: iptables, unless that cannot be used and nftables can",
    },
    snat: {
      type: "boolean",
      default: true,
      description: "masquerade what comes from the container itself, its subnet or 127.0.0.1, so that it is answered",
    },
    masqAll: { type: "boolean", default: false, description: "masquerade every source" },
    markMasqBit: {
      type: "integer",
      minimum: 0,
      maximum: 31,
      errorText: "MasqMarkBit must be between 0 and 31",
      description: "iptables: the bit of the packet mark that asks for masquerading; 13 unless told",
    },
    externalSetMarkChain: {
      type: "string",
      description: "iptables: somebody else's chain that marks what is to be masqueraded, in place of ours",
    },
    conditionsV4: { ...conditions, description: "what else a packet must be, in the words of the backend; IPv4" },
    conditionsV6: { ...conditions, description: "the same for IPv6" },
    hostPortConflict: {
      type: "string",
      enum: ["warn", "fail"],
      default: "warn",
      description: "what ADD does where a port leads to another container that lives: say so, or refuse (100)",
    },
    runtimeConfig: {
      type: "object",
      properties: {
        portMappings: {
          type: "array",
          items: {
            type: "object",
            properties: {
              hostPort: { ...port, default: 0, errorText: "Invalid host port number: {value}" },
              containerPort: { ...port, default: 0, errorText: "Invalid container port number: {value}" },
              protocol: { type: "string", default: "", description: "tcp, udp, sctp, dccp or udplite; empty: tcp" },
              hostIP: { type: "string", default: "", description: "the one address of the node; empty: all" },
            },
          },
        },
      },
    },
  },
} as const;
