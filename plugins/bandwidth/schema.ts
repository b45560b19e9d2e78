// What a bandwidth configuration may say, as one JSON Schema: the document, the type and the check. What a schema cannot say
// (a rate needs a burst) is in conf.ts.

const limits = {
  ingressRate: { type: "integer", minimum: 0, default: 0, description: "bits a second to the container; 0: no limit" },
  ingressBurst: { type: "integer", minimum: 0, default: 0, description: "bits to the container at once" },
  egressRate: { type: "integer", minimum: 0, default: 0, description: "bits a second from the container; 0: no limit" },
  egressBurst: { type: "integer", minimum: 0, default: 0, description: "bits from the container at once" },
} as const;

export const schema = {
  type: "object",
  description: "limits to what a container receives and sends, on the node's end of its veth pair",
  properties: {
    ...limits,
    latency: {
      type: "integer",
      minimum: 1,
      maximum: 10_000,
      default: 25,
      description: "milliseconds that a packet may wait before packets are dropped",
    },
    capBurst: {
      type: "boolean",
      default: false,
      description: "no burst is larger than an eighth of a second's traffic, or than ten packets of the link's MTU",
    },
    runtimeConfig: {
      type: "object",
      properties: {
        bandwidth: {
          type: "object",
          properties: limits,
          description: "counts where the configuration has none of the four itself",
        },
      },
    },
  },
} as const;
