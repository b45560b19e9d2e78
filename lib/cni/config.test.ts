import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  ConfigFault,
  decode,
  memberOf,
  parseConfig,
  readConfig,
  type FromSchema,
  type Schema,
  type Validator,
} from "./config.ts";
import { CniError } from "./error.ts";
import { JsonNumber } from "./json.ts";

const schema = {
  type: "object",
  properties: {
    bridge: { type: "string", default: "cni0" },
    isGateway: { type: "boolean", default: false },
    mtu: { type: "integer", minimum: 0 },
    task: { type: "string" },
    names: { type: "array", items: { type: "string" } },
    sizes: { type: "array", items: { type: "integer" } },
    flags: { type: "array", items: { type: "boolean" } },
    sets: { type: "array", items: { type: "array", items: { type: "string" } } },
    ipam: { type: "object", properties: { type: { type: "string" }, subnet: { type: "string" } } },
    ranges: { type: "array", items: { type: "object", properties: { subnet: { type: "string" } } } },
    delegate: { type: "object" },
    anything: { type: "array" },
  },
} as const;

/** The members, defaults included, which stand in the prototype. */
function whole<T extends object>(value: T): T {
  const own = {} as T;
  for (const key in value) own[key] = value[key];
  return own;
}

const decoded = (text: string): FromSchema<typeof schema> => whole(decode(schema, parseConfig(text).tree));

function fault(text: string): string {
  try {
    decoded(text);
  } catch (error) {
    if (error instanceof ConfigFault) return error.message;
    throw error;
  }
  throw new Error(`${text} was accepted`);
}

const absent = { bridge: "cni0", isGateway: false };

describe("keys match as Go's match", () => {
  test.each([
    ['{"bridge":"br1"}', { bridge: "br1" }],
    ['{"BRIDGE":"br1"}', { bridge: "br1" }],
    ['{"isgateway":true}', { isGateway: true }],
    ['{"ISGATEWAY":true}', { isGateway: true }],
    ['{"iſGateway":true}', { isGateway: true }],
    ['{"ta\u017fk":"x"}', { task: "x" }],
    ['{"TAS\u212a":"x"}', { task: "x" }],
    ['{"ta\u017f\u212a":"x"}', { task: "x" }],
    ['{"IPAM":{"TYPE":"t","Subnet":"s"}}', { ipam: { type: "t", subnet: "s" } }],
    ['{"Ranges":[{"\u017fUBNET":"s"}]}', { ranges: [{ subnet: "s" }] }],
    ['{"brıdge":"br1"}', {}],
    ['{"BRİDGE":"br1"}', {}],
    ['{"bridge ":"br1"}', {}],
    ['{"is_gateway":true}', {}],
    ['{"unknown":{"bridge":"br1"},"x":[1]}', {}],
  ])("%s gives %j", (text, members) => {
    expect(decoded(text)).toEqual({ ...absent, ...members });
  });

  test.each([
    ['{"bridge":"a","bridge":"b"}', "b"],
    ['{"bridge":"a","BRIDGE":"b"}', "b"],
    ['{"BRIDGE":"a","bridge":"b"}', "b"],
    ['{"bridge":"a","Bridge":"b","bridge":"c","BRIDGE":"d"}', "d"],
    ['{"bridge":"a","BRIDGE":null}', "a"],
    ['{"bridge":null,"BRIDGE":"b"}', "b"],
  ])("of several the last counts: %s is %s", (text, bridge) => {
    expect(decoded(text).bridge).toBe(bridge);
  });

  test("a null at last leaves a scalar as it was, and empties a list or an object", () => {
    const text =
      '{"names":["a"],"ipam":{"type":"t"},"delegate":{"a":1},"mtu":1,"Names":null,"IPAM":null,"Delegate":null,"MTU":null}';
    expect(decoded(text)).toEqual({ ...absent, mtu: 1 });
    expect(decoded('{"ipam":null,"IPAM":{"type":"t"}}').ipam).toEqual({ type: "t" });
  });

  test("any casing of any key is that key", () => {
    const cased = fc.constantFrom("bridge", "isGateway", "task").chain((key) =>
      fc
        .array(fc.constantFrom("lower", "upper", "special"), { minLength: key.length, maxLength: key.length })
        .map((how) => {
          const special: Record<string, string> = { s: "\u017f", k: "\u212a" };
          const letters = [...key.toLowerCase()].map((letter, at) =>
            how[at] === "upper" ? letter.toUpperCase() : how[at] === "special" ? (special[letter] ?? letter) : letter,
          );
          return [key, letters.join("")] as const;
        }),
    );
    fc.assert(
      fc.property(cased, ([key, spelling]) => {
        const value = key === "isGateway" ? true : "x";
        expect(decoded(JSON.stringify({ [spelling]: value }))).toEqual({ ...absent, [key]: value });
        expect(memberOf(parseConfig(JSON.stringify({ [spelling]: value })).tree, key)).toBe(value);
      }),
    );
  });

  test("one member is found as the decoder finds it", () => {
    const find = (text: string) => memberOf(parseConfig(text).tree, "prevResult");
    expect(find('{"prevResult":"a","PREVRESULT":"b"}')).toBe("b");
    expect(find('{"prevRe\u017fult":"a"}')).toBe("a");
    expect(find('{"prevResult":"a","prevresult":null}')).toBeUndefined();
    expect(find('{"prevResult":null}')).toBeUndefined();
    expect(find("{}")).toBeUndefined();
    expect(find('{"prevResult":1.50}')).toEqual(new JsonNumber("1.50"));
  });
});

describe("null is as good as absent", () => {
  test.each([
    ["{}", absent],
    ["null", absent],
    ['{"bridge":null,"isGateway":null,"mtu":null,"names":null,"ipam":null,"delegate":null}', absent],
    ['{"ipam":{"type":null,"subnet":"s"}}', { ...absent, ipam: { subnet: "s" } }],
    ['{"bridge":"","isGateway":false}', { bridge: "", isGateway: false }],
  ])("%s is %j", (text, value) => {
    expect(decoded(text)).toEqual(value);
  });

  test("in a list, where nothing can be absent, it is the empty value", () => {
    expect(
      decoded(
        '{"names":[null,"a"],"sizes":[null],"flags":[null],"sets":[null,["b"]],"ranges":[null],"anything":[null]}',
      ),
    ).toEqual({
      ...absent,
      names: ["", "a"],
      sizes: [0],
      flags: [false],
      sets: [[], ["b"]],
      ranges: [{}],
      anything: [null],
    });
  });
});

describe("nothing is converted", () => {
  test.each([
    ['{"mtu":"1500"}', '"mtu" must be an integer, got "1500"'],
    ['{"mtu":1500.0}', '"mtu" must be an integer, got 1500.0'],
    ['{"mtu":1.5e3}', '"mtu" must be an integer, got 1.5e3'],
    ['{"mtu":1e3}', '"mtu" must be an integer, got 1e3'],
    ['{"mtu":1E3}', '"mtu" must be an integer, got 1E3'],
    ['{"mtu":99999999999999999999}', '"mtu" must be an integer, got 99999999999999999999'],
    ['{"mtu":true}', '"mtu" must be an integer, got true'],
    ['{"mtu":[1500]}', '"mtu" must be an integer, got [1500]'],
    ['{"MTU":"1500"}', '"mtu" must be an integer, got "1500"'],
    ['{"bridge":1}', '"bridge" must be a string, got 1'],
    ['{"bridge":false}', '"bridge" must be a string, got false'],
    ['{"bridge":{"a":1}}', '"bridge" must be a string, got {"a":1}'],
    ['{"isGateway":"true"}', '"isGateway" must be true or false, got "true"'],
    ['{"isGateway":1}', '"isGateway" must be true or false, got 1'],
    ['{"names":"a"}', '"names" must be a list, got "a"'],
    ['{"names":{}}', '"names" must be a list, got {}'],
    ['{"names":["a",1]}', '"names[1]" must be a string, got 1'],
    ['{"sets":[[],["a",true]]}', '"sets[1][1]" must be a string, got true'],
    ['{"ipam":"host-local"}', '"ipam" must be an object, got "host-local"'],
    ['{"ipam":[]}', '"ipam" must be an object, got []'],
    ['{"ipam":{"TYPE":1}}', '"ipam.type" must be a string, got 1'],
    ['{"ranges":[{},{"subnet":10}]}', '"ranges[1].subnet" must be a string, got 10'],
    ['{"delegate":"x"}', '"delegate" must be an object, got "x"'],
    ['{"mtu":1,"mtu":"x"}', '"mtu" must be an integer, got "x"'],
    ['{"mtu":"x","mtu":1}', '"mtu" must be an integer, got "x"'],
  ])("%s: %s", (text, message) => {
    expect(fault(text)).toBe(message);
  });

  test.each([
    ["0", 0],
    ["-1", -1],
    ["4294967295", 4294967295],
  ])("%s is an integer", (text, value) => {
    expect(decoded(`{"mtu":${text}}`).mtu).toBe(value);
  });
});

describe("free-form maps", () => {
  test("their keys keep their case, and the last of equal ones counts", () => {
    expect(decoded('{"DELEGATE":{"A":1,"a":2,"A":3,"mtu":1500.0,"n":null,"Deep":{"B":[1e3]}}}').delegate).toEqual({
      A: 3,
      a: 2,
      mtu: 1500,
      n: null,
      Deep: { B: [1000] },
    });
  });

  test('"__proto__" is a member here, and no key of anything else', () => {
    const { delegate } = decoded('{"delegate":{"__proto__":{"x":1}}}');
    expect(Object.keys(delegate ?? {})).toEqual(["__proto__"]);
    const value = decode(schema, parseConfig('{"__proto__":{"bridge":"br1"},"constructor":1,"toString":"x"}').tree);
    expect(value).toEqual({});
    expect(Object.getPrototypeOf(value)).toEqual(absent);
  });
});

describe("the top of a configuration", () => {
  test.each(["[]", '"a"', "1", "true"])("%s is none", (text) => {
    expect(() => parseConfig(text)).toThrow("cannot read a value that is no object into a network configuration");
  });

  test("its text is kept as it came: a delegate gets these bytes", () => {
    const text = ' {"b":1.50,\t"a":{}} \n';
    expect(parseConfig(text).text).toBe(text);
  });
});

describe("a plugin's configuration", () => {
  const text = { type: "string" } as const;
  const own = {
    type: "object",
    properties: {
      vlan: { type: "integer" },
      mode: { type: "string", errorText: "unknown mode {value}; it is one of a, b" },
      list: { type: "array", items: { type: "object", properties: { id: { type: "integer" }, tag: text } } },
    },
  } as const satisfies Schema;

  function refusal(config: string, validate: Validator): CniError {
    try {
      readConfig(parseConfig(config), own, validate);
    } catch (error) {
      if (error instanceof CniError) return error;
      throw error;
    }
    throw new Error(`${config} was accepted`);
  }
  /** A validator that finds this fault. */
  const finding = (instancePath: string, message?: string): Validator =>
    Object.assign(() => false, { errors: [message === undefined ? { instancePath } : { instancePath, message }] });

  test.each([
    ['{"vlan":4095}', "/vlan", "must be <= 4094", '"vlan" must be <= 4094, got 4095'],
    ['{"list":[{"id":1},{"id":9}]}', "/list/1/id", "must be <= 8", '"list[1].id" must be <= 8, got 9'],
    ['{"list":[]}', "/list", "must NOT have fewer than 1 items", '"list" must NOT have fewer than 1 items, got []'],
    ['{"mode":"c"}', "/mode", "must be equal to one of", 'unknown mode "c"; it is one of a, b'],
    ['{"vlan":1}', "/vlan", undefined, '"vlan" is not valid, got 1'],
  ])("%s, refused at %s: code 7 with the field, the rule and the value", (config, path, rule, message) => {
    const hint = "correct this value in the network configuration";
    expect(refusal(config, finding(path, rule))).toMatchObject({
      code: 7,
      message,
      // The schema's own words need not name the field.
      details: path === "/mode" ? `"mode" must be equal to one of, got "c"; ${hint}` : hint,
    });
  });

  test("a value of the wrong type is code 7 before the validator sees it", () => {
    const never: Validator = () => expect.fail("it was asked");
    expect(refusal('{"vlan":"1"}', never)).toMatchObject({
      code: 7,
      message: 'failed to load netconf: "vlan" must be an integer, got "1"',
    });
  });

  test("the validator is given what was decoded, defaults included", () => {
    const seen: unknown[] = [];
    readConfig(parseConfig('{"BRIDGE":"br1","x":1}'), schema, (value) => seen.push(whole(value as object)) > 0);
    expect(seen).toEqual([{ bridge: "br1", isGateway: false }]);
  });
});
