// Plays the scripted story with a judge between the service and the sandbox: `node run.mjs PATH/TO/plimsoll`.
//
// Ends with `requests N, webhooks M, violations V`; exit 1 unless V is 0, the story came to its end, and there was
// something to judge. Every violation is listed with the endpoint, the side that broke it, and where.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, judge, violations } from "./judge.mjs";
import { endpoints } from "./openapi.mjs";
import { webhookCheck } from "./webhooks.mjs";

const STORY_MINUTES_MAX = 10;

const program = process.argv[2];
if (!program) {
  console.error("usage: node run.mjs PATH/TO/plimsoll");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "plimsoll-story-"));
const port = await freePort();
const court = await judge(`http://127.0.0.1:${port}`);
const recorded = join(folder, "webhooks.jsonl");
const story = await told([
  ...["sandbox", "--script", "street", "--fast"],
  ...["--port", String(port)],
  ...["--api-url", court.url],
  ...["--record-webhooks", recorded],
]);
const lines = existsSync(recorded) ? readFileSync(recorded, "utf8").split("\n").filter(Boolean) : [];
const webhooks = lines.map((line) => JSON.parse(line));
court.close();
rmSync(folder, { recursive: true });

const broken = [...violations(court.exchanges), ...brokenWebhooks(webhooks)];
if (story.code !== 0) console.log(story.output);
for (const { method, path, where, what, count, url } of broken) {
  console.log(`${method} ${path}: ${where} ${what}${count > 1 ? ` (${count} times)` : ""}${url ? `, as in ${url}` : ""}`);
}
const count = broken.reduce((sum, { count }) => sum + count, 0);
console.log(unused(court.exchanges));
console.log(`requests ${court.exchanges.length}, webhooks ${webhooks.length}, violations ${count}`);
if (story.code !== 0) console.log(`the story ended with ${story.code}`);
const silent = court.exchanges.length === 0 || webhooks.length === 0;
if (silent) console.log("nothing was said that could be judged");
process.exit(count > 0 || story.code !== 0 || silent ? 1 : 0);

/** Runs the program to its end; its exit code and everything it printed. */
function told(options) {
  return new Promise((resolve) => {
    const child = spawn(program, options, { stdio: ["ignore", "pipe", "pipe"] });
    const chunks = [];
    child.stdout.on("data", (chunk) => chunks.push(chunk));
    child.stderr.on("data", (chunk) => chunks.push(chunk));
    const impatience = setTimeout(() => child.kill(), STORY_MINUTES_MAX * 60_000);
    child.on("error", (error) => chunks.push(Buffer.from(`${program}: ${error.message}\n`)));
    child.on("close", (code, signal) => {
      clearTimeout(impatience);
      resolve({ code: code ?? signal, output: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

function brokenWebhooks(webhooks) {
  const check = webhookCheck();
  const kinds = new Map();
  for (const { event, payload } of webhooks) {
    const path = payload.action ? `${event}.${payload.action}` : event;
    for (const what of check(event, payload)) {
      const key = `${path} ${what}`;
      const kind = kinds.get(key) ?? { method: "WEBHOOK", path, where: "payload", what, count: 0 };
      kinds.set(key, { ...kind, count: kind.count + 1 });
    }
  }
  return [...kinds.values()];
}

/** Which of our endpoints the story did not come by: not wrong, but not proved either. */
function unused(exchanges) {
  const used = new Set(exchanges.map(({ endpoint }) => `${endpoint?.method} ${endpoint?.path}`));
  const rest = endpoints().filter(({ method, path }) => !used.has(`${method} ${path}`));
  if (rest.length === 0) return "the story came by every endpoint";
  return `not in the story: ${rest.map(({ method, path }) => `${method.toUpperCase()} ${path}`).join(", ")}`;
}
