// Stands between the service and a GitHub, and has everything that passes judged by GitHub's own description.
//
//   service -> front -> prism (the validating proxy) -> back -> the sandbox
//
// `front` and `back` carry the very bytes of both sides around prism, which would rewrite them, and escape for it the
// slashes inside path parameters. The verdict on both directions comes back in prism's `sl-violations` header. What prism
// lets pass (parameters and fields that nobody named) is looked for here.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { APP_DESCRIPTIONS_LACK, UNDESCRIBED, description, endpointOf, endpoints, reduced, unknownInAnswer, unknownInRequest } from "./openapi.mjs";

const require = createRequire(import.meta.url);
const HOST = "127.0.0.1";
/** Refusals that any endpoint may give, whether or not its description lists them. */
const ANY_ENDPOINT_MAY = [401, 403, 404, 422, 429, 500, 502, 503];
/** Where GitHub's description is at odds with GitHub's documentation, and the documentation is right. */
const DESCRIPTION_ERRS = [
  // "created within the given date-time range", in the search syntax: `>=2026-01-01T00:00:00Z`.
  (path, what) => path.endsWith("/runs") && what.startsWith("query.created: ") && what.includes('format "date-time"'),
];

/** Starts a judge before the GitHub at `upstream`; `{ url, exchanges, close }` once it listens. */
export async function judge(upstream) {
  const whole = description();
  const known = endpoints();
  const exchanges = [];
  const folder = mkdtempSync(join(tmpdir(), "plimsoll-conformance-"));
  const file = join(folder, "openapi.json");
  writeFileSync(file, JSON.stringify(reduced(whole, known)));

  const back = await listening((request, response) => toUpstream(exchanges, upstream, request, response));
  const prism = await startPrism(file, back.port);
  const front = await listening((request, response) => {
    fromService({ whole, known, exchanges, upstream, prism: prism.port }, request, response);
  });
  const close = () => {
    prism.child.kill();
    front.server.close();
    back.server.close();
    front.server.closeAllConnections();
    back.server.closeAllConnections();
    rmSync(folder, { recursive: true });
  };
  return { url: `http://${HOST}:${front.port}`, exchanges, close };
}

/** What the exchanges broke: `[{ method, path, where, what, count, url }]`, each kind once. */
export function violations(exchanges) {
  const kinds = new Map();
  for (const exchange of exchanges) {
    for (const { where, what } of exchange.violations) {
      const path = exchange.endpoint?.path ?? exchange.url;
      const key = JSON.stringify([exchange.method, path, where, what]);
      const kind = kinds.get(key) ?? { method: exchange.method, path, where, what, count: 0, url: exchange.url };
      kinds.set(key, { ...kind, count: kind.count + 1 });
    }
  }
  return [...kinds.values()];
}

async function fromService({ whole, known, exchanges, upstream, prism }, request, response) {
  const { method, url, headers } = request;
  const { pathname, search, searchParams } = new URL(url, `http://${HOST}`);
  const body = await bytes(request);
  const endpoint = endpointOf(known, method, pathname);
  const exchange = { method, url, headers, body, endpoint, violations: [], answer: undefined };
  exchanges.push(exchange);
  const breaks = (where, what) => exchange.violations.push({ where, what });

  if (!headers["user-agent"]) breaks("request", "header: GitHub refuses requests without `User-Agent`");
  if (!headers.authorization) breaks("request", "header: nobody is signed in");
  if (UNDESCRIBED.includes(pathname)) {
    // Nothing is known of it that it could be held against.
  } else if (!endpoint) {
    breaks("request", "this endpoint is not in tests/endpoints.txt");
  } else {
    unknownInRequest(whole, endpoint, searchParams, json(body)).forEach((what) => breaks("request", what));
  }
  const through = endpoint ? { host: HOST, port: prism, path: endpoint.pathname + search } : at(upstream, url);
  const mark = { "x-conformance": String(exchanges.length - 1) };
  try {
    const verdict = await send({ ...through, method, headers: plain({ ...headers, ...(endpoint && mark) }) }, body);
    if (!endpoint) exchange.answer = verdict;
    else {
      const just = ({ what }) => !DESCRIPTION_ERRS.some((errs) => errs(endpoint.path, what));
      verdictOf(verdict).filter(just).forEach(({ where, what }) => breaks(where, what));
    }
    if (!exchange.answer && verdict.status < 500) breaks("request", `not passed on: ${verdict.body}`);
  } catch {
    // Nobody answered: the sandbox may be playing exactly that.
  }
  if (!exchange.answer) return response.destroy();
  const { status, headers: answered, body: content } = exchange.answer;
  if (endpoint) {
    // GitHub describes its refusals more loosely than it sends them.
    const unknown = status < 300 ? unknownInAnswer(whole, endpoint, status, json(content)) : [];
    const just = (what) => !APP_DESCRIPTIONS_LACK.some((lack) => lack.test(what));
    unknown.filter(just).forEach((what) => breaks("answer", what));
    const described = Object.keys(whole.paths[endpoint.path][endpoint.method].responses).includes(String(status));
    const unchanged = status === 304 && headers["if-none-match"];
    if (!described && !unchanged && !ANY_ENDPOINT_MAY.includes(status)) {
      breaks("answer", `status ${status} is not one of this endpoint's`);
    }
  }
  response.writeHead(status, answered).end(content);
}

/** Prism's verdict, without its remarks on statuses: those are judged above. */
function verdictOf({ headers }) {
  const said = headers["sl-violations"];
  if (!said) return [];
  if (!said.startsWith("[")) return [{ where: "answer", what: said }];
  return JSON.parse(said)
    .filter(({ message }) => !message.startsWith("Unable to match the returned status code"))
    .map(({ location: [side, ...where], message }) => {
      return { where: side === "request" ? "request" : "answer", what: `${where.join(".")}: ${message}` };
    });
}

async function toUpstream(exchanges, upstream, request, response) {
  const exchange = exchanges[Number(request.headers["x-conformance"])];
  await bytes(request);
  try {
    const { method, url, headers, body } = exchange;
    exchange.answer = await send({ ...at(upstream, url), method, headers: plain(headers) }, body);
    response.writeHead(exchange.answer.status, exchange.answer.headers).end(exchange.answer.body);
  } catch {
    response.destroy();
  }
}

function at(upstream, path) {
  const { hostname, port } = new URL(upstream);
  return { host: hostname, port, path };
}

/** Headers that may be passed on: those about the connection are each side's own, and nothing is compressed on the way. */
function plain(headers) {
  const { host, connection, "transfer-encoding": chunked, "accept-encoding": encoding, ...rest } = headers;
  return rest;
}

function send(options, body) {
  return new Promise((resolve, reject) => {
    const headers = body.length > 0 ? { ...options.headers, "content-length": body.length } : options.headers;
    const request = http.request({ ...options, headers, agent: false }, async (response) => {
      try {
        const content = await bytes(response);
        const { connection, "transfer-encoding": chunked, "keep-alive": alive, ...kept } = response.headers;
        resolve({ status: response.statusCode, headers: kept, body: content });
      } catch (error) {
        reject(error);
      }
    });
    request.on("error", reject).end(body);
  });
}

async function bytes(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function json(body) {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    return undefined;
  }
}

function listening(handler) {
  return new Promise((resolve, reject) => {
    const server = http.createServer(handler);
    server.on("error", reject).listen(0, HOST, () => resolve({ server, port: server.address().port }));
  });
}

/** A port that was free a moment ago. */
export async function freePort() {
  const { server, port } = await listening(() => {});
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startPrism(file, upstreamPort) {
  const port = await freePort();
  const program = join(dirname(require.resolve("@stoplight/prism-cli/package.json")), "dist/index.js");
  const options = ["proxy", file, `http://${HOST}:${upstreamPort}`, "--host", HOST, "--port", String(port)];
  const child = spawn(process.execPath, [program, ...options, "--verboseLevel", "fatal"], { stdio: "ignore" });
  process.on("exit", () => child.kill());
  for (let tries = 0; tries < 300; tries += 1) {
    if (child.exitCode !== null) throw new Error(`prism ended at once with ${child.exitCode}`);
    if (await answers(port)) return { child, port };
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("prism did not start within 30 s");
}

/** Whether something listens: any answer will do, also none after the connection stood. */
function answers(port) {
  return new Promise((resolve) => {
    const request = http.get({ host: HOST, port, path: "/", agent: false }, (response) => resolve(!!response.resume()));
    request.on("error", (error) => resolve(error.code !== "ECONNREFUSED"));
  });
}
