import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatPrefix } from "../ip/prefix.ts";
import { parseSubnetEnv, SubnetEnvFault } from "./subnet-env.ts";

const path = "/run/flannel/subnet.env";
const v4 = ["FLANNEL_NETWORK=10.244.0.0/16", "FLANNEL_SUBNET=10.244.1.1/24"];
const v6 = ["FLANNEL_IPV6_NETWORK=fd00:10:244::/48", "FLANNEL_IPV6_SUBNET=fd00:10:244:1::1/64"];
const rest = ["FLANNEL_MTU=1450", "FLANNEL_IPMASQ=true"];

/** What was read, prefixes as text. */
function read(...lines: string[]) {
  const { networks, subnets, mtu, ipMasq } = parseSubnetEnv(lines.join("\n"), path);
  return { networks: networks.map(formatPrefix), subnets: subnets.map(formatPrefix), mtu, ipMasq };
}

function fault(...lines: string[]): string {
  try {
    read(...lines);
  } catch (error) {
    if (error instanceof SubnetEnvFault) return error.message;
    throw error;
  }
  throw new Error("it was accepted");
}

const whole = { networks: ["10.244.0.0/16"], subnets: ["10.244.1.0/24"], mtu: 1450, ipMasq: true };
const wholeV6 = { ...whole, networks: ["fd00:10:244::/48"], subnets: ["fd00:10:244:1::/64"] };

describe("what flanneld writes", () => {
  test("IPv4, and host bits are masked", () => {
    expect(read(...v4, ...rest, "")).toEqual(whole);
  });

  test("IPv6", () => {
    expect(read(...v6, ...rest, "")).toEqual(wholeV6);
  });

  test("both: IPv4 comes first however they are written", () => {
    const both = {
      ...whole,
      networks: [...whole.networks, ...wholeV6.networks],
      subnets: [...whole.subnets, ...wholeV6.subnets],
    };
    expect(read(...v4, ...v6, ...rest, "")).toEqual(both);
    expect(read(...rest, ...v6.toReversed(), ...v4.toReversed())).toEqual(both);
  });

  test("several networks, each once, in order", () => {
    expect(
      read("FLANNEL_NETWORK=10.245.0.0/16,10.244.0.0/16,10.245.9.9/16", v4[1] as string, ...rest).networks,
    ).toEqual(["10.245.0.0/16", "10.244.0.0/16"]);
  });
});

describe("lines", () => {
  test.each<[string, string[], Partial<ReturnType<typeof read>>]>([
    ["an unknown key is passed over", ["FLANNEL_SOMETHING=1", "OTHER=2"], {}],
    ["so is a line that is no pair", ["", "# a comment", "flannel", " "], {}],
    ["of several the last counts", ["FLANNEL_MTU=9000", "FLANNEL_MTU=1400"], { mtu: 1400 }],
    ["a later network takes the place of all before", ["FLANNEL_NETWORK=10.9.0.0/16"], { networks: ["10.9.0.0/16"] }],
    ["only the first = splits", ["OTHER=a=b"], {}],
    [
      "lines may end as on another system",
      ["FLANNEL_MTU=1400\r", "FLANNEL_NETWORK=10.9.0.0/16\r"],
      { mtu: 1400, networks: ["10.9.0.0/16"] },
    ],
    ["a key with a blank before it is another key", [" FLANNEL_MTU=9000"], {}],
    ["a key in other letters is another key", ["flannel_mtu=9000"], {}],
    ["a prototype's name is an unknown key", ["__proto__=1", "constructor=2"], {}],
  ])("%s", (_name, lines, differs) => {
    expect(read(...v4, ...rest, ...lines)).toEqual({ ...whole, ...differs });
  });

  test("a known key without = is reported, which crashes Go", () => {
    expect(fault(...v4, "FLANNEL_MTU", ...rest)).toBe(`${path}: the line "FLANNEL_MTU" has no "="`);
  });
});

describe("masquerading is exactly the word true", () => {
  test.each([
    ["true", true],
    ["false", false],
    ["TRUE", false],
    ["1", false],
    ["", false],
    ['"true"', false],
    ["true ", false],
    ["true\r", true],
    ["true\r\r", false],
  ])("%j is %j", (text, ipMasq) => {
    expect(read(...v4, "FLANNEL_MTU=1450", `FLANNEL_IPMASQ=${text}`).ipMasq).toBe(ipMasq);
  });
});

describe("a file that cannot be used", () => {
  const networks = "FLANNEL_NETWORK, FLANNEL_IPV6_NETWORK";
  const subnets = "FLANNEL_SUBNET, FLANNEL_IPV6_SUBNET";
  test.each([
    [[], `${path} is missing ${networks}, ${subnets}, FLANNEL_MTU, FLANNEL_IPMASQ`],
    [[v4[0], ...rest], `${path} is missing ${subnets}`],
    [[v6[1], ...rest], `${path} is missing ${networks}`],
    [[...v4, rest[0]], `${path} is missing FLANNEL_IPMASQ`],
    [[...v6, rest[1]], `${path} is missing FLANNEL_MTU`],
    [["FLANNEL_NETWORK=10.244.0.0", v4[1], ...rest], `${path}: FLANNEL_NETWORK: invalid CIDR address: 10.244.0.0`],
    [["FLANNEL_NETWORK=", v4[1], ...rest], `${path}: FLANNEL_NETWORK: invalid CIDR address: `],
    [["FLANNEL_NETWORK=10.0.0.0/8, 10.1.0.0/16"], `${path}: FLANNEL_NETWORK: invalid CIDR address:  10.1.0.0/16`],
    [
      [v4[0], "FLANNEL_SUBNET=10.244.1.1/24,10.244.2.1/24"],
      `${path}: FLANNEL_SUBNET: invalid CIDR address: 10.244.1.1/24,10.244.2.1/24`,
    ],
    [[...v4, "FLANNEL_MTU=", rest[1]], `${path}: FLANNEL_MTU must be a number, got ""`],
    [[...v4, "FLANNEL_MTU=-1", rest[1]], `${path}: FLANNEL_MTU must be a number, got "-1"`],
    [[...v4, "FLANNEL_MTU=1450.0", rest[1]], `${path}: FLANNEL_MTU must be a number, got "1450.0"`],
    [[...v4, "FLANNEL_MTU=0x5aa", rest[1]], `${path}: FLANNEL_MTU must be a number, got "0x5aa"`],
    [[...v4, "FLANNEL_MTU=1450 ", rest[1]], `${path}: FLANNEL_MTU must be a number, got "1450 "`],
  ] as [string[], string][])("%j: %s", (lines, message) => {
    expect(fault(...lines)).toBe(message);
  });
});

test("a file torn anywhere is read as a whole one, or refused: never anything but a fault", () => {
  const text = [...v4, ...v6, ...rest, ""].join("\n");
  fc.assert(
    fc.property(fc.nat(text.length), (length) => {
      try {
        const { mtu, subnets } = parseSubnetEnv(text.slice(0, length), path);
        expect([mtu, subnets.length]).toEqual([1450, 2]);
      } catch (error) {
        expect(error).toBeInstanceOf(SubnetEnvFault);
      }
    }),
    { numRuns: text.length * 2 },
  );
});
