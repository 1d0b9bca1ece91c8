// Compares what a sandbox said with GitHub's own description: `node answers.mjs FILE`, a line a fault, exit 1 if any.
//
// FILE is `{ answers: [{ method, route, asked, status, body }], events: [{ event, payload }] }`; `route` is the path as
// GitHub's description writes it, but for `...` after the name of a parameter whose value may contain slashes.

import { readFileSync } from "node:fs";
import Ajv from "ajv";
import addFormats from "ajv-formats";
import { APP_DESCRIPTIONS_LACK, UNDESCRIBED, description, unknownInAnswer } from "./openapi.mjs";
import { webhookCheck } from "./webhooks.mjs";

/** Refusals that any endpoint may give, whether or not its description lists them. */
const ANY_ENDPOINT_MAY = [401, 403, 404, 422];
/** Routes that GitHub describes under another name. */
const DESCRIBED_AS = { "/repos/{owner}/{repo}/contents": "/repos/{owner}/{repo}/contents/{path}" };

const { answers, events } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const faults = [...answers.flatMap(answerFaults(description())), ...events.flatMap(eventFaults(webhookCheck()))];
const kinds = new Set(faults);
for (const fault of kinds) console.log(fault);
process.exit(kinds.size > 0 ? 1 : 0);

function answerFaults(whole) {
  const ajv = new Ajv.default({ strict: false, allErrors: true, code: { optimize: false } });
  addFormats.default(ajv);
  ajv.addSchema({ $id: "github", ...asJsonSchema({ components: { schemas: whole.components.schemas } }) });
  const compiled = new Map();
  const validator = (schema) => {
    const key = JSON.stringify(schema);
    if (!compiled.has(key)) compiled.set(key, ajv.compile(absolute(asJsonSchema(schema))));
    return compiled.get(key);
  };
  return ({ method, route, asked, status, body }) => {
    if (UNDESCRIBED.includes(route)) return [];
    const endpoint = { method: method.toLowerCase(), path: DESCRIBED_AS[route] ?? route?.replaceAll("...}", "}") };
    const say = (what) => `${method} ${asked}: ${what}`;
    const operation = whole.paths[endpoint.path]?.[endpoint.method];
    if (!operation) return [say("GitHub has no such endpoint")];
    const described = operation.responses[status];
    if (!described) return ANY_ENDPOINT_MAY.includes(status) ? [] : [say(`status ${status} is not one of its own`)];
    const response = described.$ref ? whole.components.responses[described.$ref.split("/").pop()] : described;
    const schema = response.content?.["application/json"]?.schema;
    // A refusal always says why, also where its description has no words for it.
    if (!schema) return body === null || status >= 400 ? [] : [say(`${status} comes without a body`)];
    if (body === null) return [say(`${status} comes with a body`)];
    const valid = validator(schema);
    valid(body);
    const wrong = (valid.errors ?? []).map(({ instancePath, message }) => say(`${status} ${instancePath || "/"}: ${message}`));
    // GitHub describes its refusals more loosely than it sends them.
    const just = (what) => !APP_DESCRIPTIONS_LACK.some((lack) => lack.test(what));
    const unnamed = status < 300 ? unknownInAnswer(whole, endpoint, status, body).filter(just) : [];
    const unknown = unnamed.map((what) => say(`${status} ${what}`));
    return [...wrong, ...unknown];
  };
}

function eventFaults(check) {
  return ({ event, payload }) => {
    const name = [event, payload.action].filter(Boolean).join(".");
    return check(event, payload).map((what) => `webhook ${name}: ${what}`);
  };
}

/** OpenAPI 3.0 says `nullable` where JSON Schema says that a value may also be null. */
function asJsonSchema(node) {
  if (Array.isArray(node)) return node.map(asJsonSchema);
  if (node === null || typeof node !== "object") return node;
  const { nullable, example, examples, ...rest } = node;
  const plain = Object.fromEntries(Object.entries(rest).map(([name, inner]) => [name, asJsonSchema(inner)]));
  // A field may also be called so: then it is a schema and no word about one.
  for (const [name, inner] of Object.entries({ nullable, example, examples })) {
    if (inner?.type || inner?.$ref) plain[name] = asJsonSchema(inner);
  }
  return nullable === true ? { anyOf: [plain, { type: "null" }] } : plain;
}

/** References inside of a schema that stands alone lead into the description. */
function absolute(node) {
  if (Array.isArray(node)) return node.map(absolute);
  if (node === null || typeof node !== "object") return node;
  const entries = Object.entries(node);
  return Object.fromEntries(entries.map(([name, inner]) => [name, name === "$ref" ? `github${inner}` : absolute(inner)]));
}
