// The payloads that we made ourselves, for what GitHub's examples lack, look like GitHub's.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { webhookCheck } from "./webhooks.mjs";

/** Where GitHub's description is stricter than GitHub: a head whose fork was deleted comes as null. */
const STRICTER_THAN_GITHUB = {
  "pull_request.closed.fork-deleted.json": [
    "/pull_request/head/repo: must be object",
    "/pull_request/head/user: must be object",
  ],
};

test("every payload under tests/fixtures/payloads fits GitHub's description", () => {
  const folder = new URL("../fixtures/payloads/", import.meta.url);
  const check = webhookCheck();
  const files = readdirSync(folder);
  assert.ok(files.length > 10);
  for (const file of files) {
    const payload = JSON.parse(readFileSync(new URL(file, folder), "utf8"));
    assert.deepEqual(check(file.split(".")[0], payload), STRICTER_THAN_GITHUB[file] ?? [], file);
  }
});

test("what is wrong with a payload is said", () => {
  const check = webhookCheck();
  assert.deepEqual(check("pull_request", { action: "sang" }), ["GitHub has no `pull_request` with action `sang`"]);
  assert.match(check("push", { ref: 7 }).join(), /\/ref: must be string/);
});
