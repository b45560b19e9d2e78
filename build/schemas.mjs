// From each plugin's schema: the published document, and the check that ajv compiles from it. The compiler stays here,
// on the build machine; the product carries only what it wrote.
import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import Ajv from "ajv";
import standaloneCode from "ajv/dist/standalone/index.js";
import { root } from "./bootstrap.mjs";

/** Writes only what changed, so that nothing after it is built again in vain. */
function writeIfChanged(file, text) {
  let before;
  try {
    before = readFileSync(file, "utf8");
  } catch {
    // Not there so far.
  }
  if (before === text) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

/** The folder's name is the type's, but for IPAM plugins, whose folders say that they are. */
const typeOf = (file) => basename(dirname(file)).replace(/-ipam$/, "");

/** Parts of ajv's errors that nobody reads: place and message are enough. */
const unread = /schemaPath:"[^"]*",keyword:"[^"]*",params:\{[^{}]*\},/g;

const silent = new Set(["type", "description", "default", "errorText"]);

/**
 * What is left for ajv to check once the decoder (lib/cni/config.ts) has seen to the types: members of which the schema
 * says nothing but a type are left out. A list's items stay, because the decoder lets null through. A plugin's own rules
 * are a tenth of its schema, and code that checks the rest would be half of what an ADD reads.
 */
function rulesOf(schema) {
  const { properties = {}, items, ...rest } = schema;
  const members = Object.entries(properties).map(([name, member]) => [name, rulesOf(member)]);
  const ruled = members.filter(([, member]) => Object.keys(member).some((keyword) => !silent.has(keyword)));
  return {
    ...rest,
    ...(ruled.length > 0 ? { properties: Object.fromEntries(ruled) } : {}),
    ...(items === undefined ? {} : { items: rulesOf(items) }),
  };
}

const declaration = 'export declare const validate: import("../lib/cni/config.ts").Validator;\n';

export async function writeValidators() {
  const ajv = new Ajv({ code: { source: true, esm: true }, strict: true, allErrors: false });
  ajv.addKeyword("errorText");
  for (const file of globSync("plugins/*/schema.ts", { cwd: root })) {
    const { schema } = await import(pathToFileURL(join(root, file)).href);
    const type = typeOf(file);
    const published = { $schema: "http://json-schema.org/draft-07/schema#", title: `CNI plugin ${type}`, ...schema };
    ajv.addSchema(rulesOf(schema), type);
    const code = standaloneCode.default(ajv, { validate: type }).replaceAll(unread, "");
    writeIfChanged(join(root, "generated", `${type}.validate.js`), code);
    writeIfChanged(join(root, "generated", `${type}.validate.d.ts`), declaration);
    writeIfChanged(join(root, "dist/schemas", `${type}.schema.json`), `${JSON.stringify(published, undefined, 2)}\n`);
  }
}

if (process.argv[1] === import.meta.filename) await writeValidators();
