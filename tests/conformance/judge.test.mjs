// The judge, judged: a made-up GitHub that is wrong on purpose. `node --test tests/conformance/`

import assert from "node:assert/strict";
import http from "node:http";
import { after, before, test } from "node:test";
import { judge, violations } from "./judge.mjs";

let answer;
let asked;
let server;
let court;

before(async () => {
  server = http.createServer((request, response) => {
    asked.push(request.url);
    const { status = 200, headers = {}, body } = answer;
    response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
    response.end(body === undefined ? undefined : JSON.stringify(body));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  court = await judge(`http://127.0.0.1:${server.address().port}`);
});

after(() => {
  court.close();
  server.close();
});

test("a right request with a right answer breaks nothing", async () => {
  const right = { permission: "write", role_name: "write", user: null };
  assert.deepEqual(await said("GET", "/repos/a/b/collaborators/ada/permission", { body: right }), []);
});

test("an answer without a required field is found", async () => {
  const found = await said("GET", "/repos/a/b/collaborators/ada/permission", { body: { permission: "write" } });
  assert.match(found.join(), /answer body.*role_name/);
});

test("an answer with a field that GitHub does not have is found", async () => {
  const body = { permission: "write", role_name: "write", user: null, mood: "good" };
  const found = await said("GET", "/repos/a/b/collaborators/ada/permission", { body });
  assert.deepEqual(found, ["answer body: no field is called mood"]);
});

test("a query parameter and a field of the body that GitHub does not know are found", async () => {
  const query = await said("GET", "/repos/a/b/collaborators/ada/permission?per_pgae=3", { status: 404, body: NOT_FOUND });
  assert.deepEqual(query, ["request query: `per_pgae` is not a parameter; there are none"]);
  const body = await said("POST", "/repos/a/b/check-runs", { status: 404, body: NOT_FOUND }, {
    name: "x", head_sha: "y", conclusoin: "success", output: { title: "t", summary: "s", test: "?" },
  });
  assert.deepEqual(body, ["request body: no field is called conclusoin", "request body.output: no field is called test"]);
});

test("a body of the wrong type is found, and free fields stay free", async () => {
  const path = "/repos/a/b/actions/workflows/deploy.yml/dispatches";
  const free = await said("POST", path, { status: 204 }, { ref: "main", inputs: { anything: "goes" } });
  assert.deepEqual(free, []);
  const wrong = await said("POST", path, { status: 204 }, { ref: 7 });
  assert.match(wrong.join(), /request body\.ref: .*string/);
});

test("slashes inside a parameter do not hide the endpoint, and reach the other side as they were", async () => {
  const missing = { status: 404, body: NOT_FOUND };
  assert.deepEqual(await said("GET", "/repos/a/b/contents/.github/plimsoll.yml?ref=main", missing), []);
  assert.deepEqual(asked, ["/repos/a/b/contents/.github/plimsoll.yml?ref=main"]);
  assert.deepEqual(await said("GET", "/repos/a/b/commits/topic/one", missing), []);
  assert.deepEqual(await said("GET", "/repos/a/b/commits/topic%2Fone", missing), []);
});

test("an endpoint that is not ours is found, and still passed on", async () => {
  const found = await said("DELETE", "/repos/a/b", { status: 204 });
  assert.deepEqual(found, ["request this endpoint is not in tests/endpoints.txt"]);
  assert.deepEqual(asked, ["/repos/a/b"]);
});

test("an unchanged answer needs the question whether it changed", async () => {
  const path = "/repos/a/b/actions/runs/1";
  assert.deepEqual(await said("GET", path, { status: 304 }), ["answer status 304 is not one of this endpoint's"]);
  assert.deepEqual(await said("GET", path, { status: 304 }, undefined, { "if-none-match": '"x"' }), []);
});

const NOT_FOUND = { message: "Not Found", documentation_url: "https://docs.github.com/rest", status: "404" };

/** What the judge said about one exchange. */
async function said(method, path, answered, body, headers = {}) {
  [answer, asked] = [answered, []];
  const before = court.exchanges.length;
  const response = await fetch(court.url + path, {
    method,
    headers: { authorization: "Bearer x", ...(body && { "content-type": "application/json" }), ...headers },
    body: body && JSON.stringify(body),
  });
  assert.equal(response.status, answered.status ?? 200);
  await response.arrayBuffer();
  return violations(court.exchanges.slice(before)).map(({ where, what }) => `${where} ${what}`);
}
