// Whether webhooks that the sandbox makes up look like GitHub's, by GitHub's own description of them.
//
// Knows shapes only: whether an event comes at the right moment is for the tests of the sandbox.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import Ajv from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { APP_DESCRIPTIONS_LACK, unknownFields } from "./openapi.mjs";

const require = createRequire(import.meta.url);

/** Where GitHub's description lacks what GitHub sends: the same run has a title before and after. */
const DESCRIPTION_LACKS = ["workflow_run.in_progress payload.workflow_run: no field is called display_title"];

/** Where it is stricter than GitHub: the address of an App's commits, `49699333+dependabot[bot]@users.noreply.github.com`. */
const isAppAddress = ({ keyword, data }) => keyword === "format" && String(data).endsWith("[bot]@users.noreply.github.com");

/** An App's list of events, too, is older than some of GitHub's events. */
const YOUNG_EVENTS = ["deployment_protection_rule", "merge_group"];
const isYoungEvent = ({ keyword, instancePath, data }) =>
  keyword === "enum" && /app\/events\/\d+$/.test(instancePath) && YOUNG_EVENTS.includes(data);

/**
 * Makes the check: `(event, payload) => ["what is wrong", ...]`, empty when all is well. A field that GitHub's description
 * does not name is wrong too: GitHub would not send it, so nothing may rest on it.
 */
export function webhookCheck() {
  const whole = JSON.parse(readFileSync(require.resolve("@octokit/openapi-webhooks/generated/api.github.com.json"), "utf8"));
  const ajv = new Ajv.default({ strict: false, allErrors: true, verbose: true, code: { optimize: false } });
  addFormats.default(ajv);
  // Words of OpenAPI around the schemas would be taken for schemas; only the schemas themselves are.
  ajv.addSchema({ $id: "webhooks", components: { schemas: whole.components.schemas } });
  const compiled = new Map();
  return (event, payload) => {
    const name = [event, payload.action].filter(Boolean).join("-").replaceAll("_", "-");
    const described = whole.webhooks[name];
    if (!described) return [`GitHub has no \`${event}\`${payload.action ? ` with action \`${payload.action}\`` : ""}`];
    const { schema } = described.post.requestBody.content["application/json"];
    if (!compiled.has(name)) compiled.set(name, ajv.compile({ $ref: `webhooks${schema.$ref}` }));
    const valid = compiled.get(name);
    valid(payload);
    const errors = (valid.errors ?? []).filter((error) => !isAppAddress(error) && !isYoungEvent(error));
    const wrong = errors.map(({ instancePath, message, params }) => {
      const extra = params.additionalProperty ? ` (\`${params.additionalProperty}\`)` : "";
      return `${instancePath || "/"}: ${message}${extra}`;
    });
    const unknown = unknownFields(whole, [schema], payload, "payload");
    const lacks = (what) => APP_DESCRIPTIONS_LACK.some((lack) => lack.test(what));
    const just = (what) => !lacks(what) && !DESCRIPTION_LACKS.includes(`${event}.${payload.action} ${what}`);
    return [...wrong, ...unknown.filter(just)];
  };
}
