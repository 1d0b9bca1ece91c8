// GitHub's own description of its REST interface: which endpoint a request is for, and what its parts may be called.
//
// Knows the description and our list of endpoints. Knows nothing of sockets, nor of what Plimsoll means by a request.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);

/** The description of api.github.com, as GitHub publishes it. */
export function description() {
  return JSON.parse(readFileSync(require.resolve("@octokit/openapi/generated/api.github.com.json"), "utf8"));
}

/**
 * What GitHub's description leaves out: it is of the REST interface. A GraphQL request is let past the validating proxy
 * as it is; its two operations are pinned by the tests of `src/github` and answered by the sandbox only as they are sent.
 */
export const UNDESCRIBED = ["/graphql"];

/**
 * What the descriptions of an App lack, and GitHub has: the permission without which `merge_group` is not sent, and the
 * client id, which other descriptions of the same App do name.
 */
export const APP_DESCRIPTIONS_LACK = [
  /\bpermissions: no field is called merge_queues$/,
  /\bissue\.performed_via_github_app: no field is called client_id$/,
];

/** The endpoints of `tests/endpoints.txt` that are described: `{ method, path }`, method in small letters. */
export function endpoints() {
  const text = readFileSync(new URL("../endpoints.txt", import.meta.url), "utf8");
  return text
    .split("\n")
    .filter((line) => line.trim() && !line.startsWith("#"))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, path]) => !UNDESCRIBED.includes(path))
    .map(([method, path]) => ({ method: method.toLowerCase(), path }));
}

/**
 * The description with only the given endpoints and what they refer to, everything else untouched.
 *
 * The whole takes a validating proxy 8 to 16 seconds and 290 MB to read; this takes one. Throws when an endpoint is not
 * in the description: then our list is wrong.
 */
export function reduced(whole, wanted) {
  const paths = {};
  for (const { method, path } of wanted) {
    const operation = whole.paths[path]?.[method];
    if (!operation) throw new Error(`${method.toUpperCase()} ${path} is not an endpoint of GitHub`);
    const { parameters } = whole.paths[path];
    paths[path] = { ...paths[path], ...(parameters && { parameters }), [method]: operation };
  }
  const kept = { ...whole, paths, components: {} };
  delete kept["x-webhooks"];
  const open = [paths];
  const seen = new Set();
  while (open.length > 0) {
    for (const ref of refs(open.pop())) {
      if (seen.has(ref)) continue;
      seen.add(ref);
      const [, , kind, name] = ref.split("/");
      kept.components[kind] = { ...kept.components[kind], [name]: whole.components[kind][name] };
      open.push(whole.components[kind][name]);
    }
  }
  return kept;
}

function* refs(node) {
  if (node === null || typeof node !== "object") return;
  if (typeof node.$ref === "string") yield node.$ref;
  for (const child of Object.values(node)) yield* refs(child);
}

/** Path parameters whose values may contain slashes, and are then sent with them. */
const WITH_SLASHES = new Set(["path", "ref", "basehead", "branch", "tag", "environment_name"]);

/**
 * The endpoint that a request is for, as `{ method, path, pathname }`, where `pathname` has the slashes inside values
 * escaped, so that the endpoint can be told from the path again. `undefined` when there is none.
 */
export function endpointOf(known, method, pathname) {
  const fitting = known
    .filter((endpoint) => endpoint.method === method.toLowerCase())
    .map((endpoint) => ({ ...endpoint, pathname: fitted(endpoint.path, pathname) }))
    .filter((endpoint) => endpoint.pathname !== undefined);
  // The most words of its own: `commits/{ref}/check-runs` is not the commit `main/check-runs`.
  const own = (endpoint) => endpoint.path.split("/").filter((part) => !part.startsWith("{")).length;
  return fitting.sort((a, b) => own(b) - own(a))[0];
}

function fitted(template, pathname) {
  const names = [];
  const pattern = template.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, (_, name) => {
    names.push(name);
    return WITH_SLASHES.has(name) ? "(.+)" : "([^/]+)";
  });
  const values = new RegExp(`^${pattern}$`).exec(pathname)?.slice(1);
  if (!values) return undefined;
  return template.replace(/\{(\w+)\}/g, () => values.shift().replaceAll("/", "%2F"));
}

/**
 * What a request says that the description does not name: query parameters and fields of the body. A validator lets
 * these pass, and GitHub ignores them silently: a misspelt option would look as if it worked.
 */
export function unknownInRequest(whole, { method, path }, query, body) {
  const operation = whole.paths[path][method];
  const parameters = [...(whole.paths[path].parameters ?? []), ...(operation.parameters ?? [])]
    .map((parameter) => follow(whole, parameter))
    .filter((parameter) => parameter.in === "query")
    .map((parameter) => parameter.name);
  const said = [...new Set(query.keys())]
    .filter((name) => !parameters.includes(name))
    .map((name) => `query: \`${name}\` is not a parameter; there are ${parameters.join(", ") || "none"}`);
  const schema = operation.requestBody && follow(whole, operation.requestBody).content?.["application/json"]?.schema;
  return [...said, ...unknownFields(whole, schema ? [schema] : [], body, "body")];
}

/** Fields of an answer that the description does not name: GitHub would not send them, so nothing may rest on them. */
export function unknownInAnswer(whole, { method, path }, status, body) {
  const response = whole.paths[path][method].responses[status];
  const schema = response && follow(whole, response).content?.["application/json"]?.schema;
  return unknownFields(whole, schema ? [schema] : [], body, "body");
}

/** Names of fields in `value` that none of the schemas has, each with its place; `[]` stands for any element. */
export function unknownFields(whole, schemas, value, at) {
  const flat = schemas.flatMap((schema) => alternatives(whole, schema));
  if (Array.isArray(value)) {
    const items = flat.map((schema) => schema.items).filter(Boolean);
    return [...new Set(value.flatMap((item) => unknownFields(whole, items, item, `${at}[]`)))];
  }
  if (value === null || typeof value !== "object") return [];
  // Something that names no field (`inputs`, `payload`) takes any.
  if (!flat.some((schema) => schema.properties)) return [];
  const others = flat.map((schema) => schema.additionalProperties).filter((other) => other && other !== true);
  const named = (name) => flat.map((schema) => schema.properties?.[name]).filter(Boolean);
  const unknown = others.length > 0 ? [] : Object.keys(value).filter((name) => named(name).length === 0);
  const inside = Object.entries(value)
    .filter(([name]) => !unknown.includes(name))
    .flatMap(([name, inner]) => {
      const schemas = named(name).length > 0 ? named(name) : others;
      return unknownFields(whole, schemas, inner, `${at}.${name}`);
    });
  return [...(unknown.length > 0 ? [`${at}: no field is called ${unknown.join(", ")}`] : []), ...inside];
}

/** A schema and everything it is put together from, without references. */
function alternatives(whole, schema) {
  const plain = follow(whole, schema);
  const parts = [...(plain.allOf ?? []), ...(plain.anyOf ?? []), ...(plain.oneOf ?? [])];
  return [plain, ...parts.flatMap((part) => alternatives(whole, part))];
}

function follow(whole, node) {
  if (!node.$ref) return node;
  const [, , kind, name] = node.$ref.split("/");
  return follow(whole, whole.components[kind][name]);
}
