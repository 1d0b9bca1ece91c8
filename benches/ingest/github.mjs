// A GitHub that answers at once and knows one pull request, so that the service's own work can be measured.
//
// `node github.mjs PAYLOAD.json` prints its port. It is no test of behaviour: for that there is `plimsoll sandbox`.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";

const { pull_request: pull, repository } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const listed = /\/(files|comments|reviews|commits|check-runs|pulls)$/;
let made = 0;

function answer(method, path) {
  if (path.endsWith("/access_tokens")) {
    return [201, { token: "ghs_loopback", expires_at: new Date(Date.now() + 3600e3).toISOString().slice(0, 19) + "Z" }];
  }
  if (method !== "GET") {
    made += 1;
    return [method === "POST" ? 201 : 200, { id: made, html_url: `${pull.html_url}#${made}` }];
  }
  if (path.endsWith(`/pulls/${pull.number}`)) return [200, pull];
  if (path === `/repos/${repository.full_name}`) return [200, repository];
  if (path.endsWith("/check-runs")) return [200, { total_count: 0, check_runs: [] }];
  if (listed.test(path)) return [200, []];
  return [404, { message: "Not Found" }];
}

createServer((request, response) => {
  request.resume().on("end", () => {
    const [status, body] = answer(request.method, request.url.split("?")[0]);
    response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
    response.end(JSON.stringify(body));
  });
}).listen(0, "127.0.0.1", function () {
  console.log(this.address().port);
});
