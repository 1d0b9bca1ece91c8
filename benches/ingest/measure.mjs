// Starts Plimsoll and a Probot app in turn, sends both the same deliveries, and prints what each cost.
//
// Every round starts every server anew, so that slow drifts of the machine touch all alike. Nothing leaves 127.0.0.1,
// and every wait has an end.
import { execFileSync, spawn } from "node:child_process";
import { createHmac, generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { createServer } from "node:net";
import { availableParallelism, tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));
const START_MS_MAX = 20_000;
const STOP_MS_MAX = 10_000;
const DRAIN_MS_MAX = 60_000;
const TICK_US = 1e6 / Number(execFileSync("getconf", ["CLK_TCK"]));

const { values: chosen } = parseArgs({
  options: {
    plimsoll: { type: "string", default: join(HERE, "../../target/release/plimsoll") },
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "3" },
    connections: { type: "string", default: "64" },
    crowd: { type: "string", default: "256" },
    help: { type: "boolean", default: false },
  },
});
if (chosen.help) {
  console.log(`usage: run [--rounds 3] [--seconds 3] [--connections 64] [--crowd 256] [--plimsoll PATH]

  --seconds      of load in each measurement
  --connections  at which CPU for each delivery is measured
  --crowd        connections at which the peak of memory is measured`);
  process.exit(0);
}
const rounds = Number(chosen.rounds);
const seconds = Number(chosen.seconds);

/** Every program that was started and has not ended. */
const running = new Set();
const folder = mkdtempSync(join(tmpdir(), "plimsoll-ingest-"));
const secret = randomBytes(16).toString("hex");
const key = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "pem" },
  privateKeyEncoding: { type: "pkcs1", format: "pem" },
}).privateKey;

const body = join(folder, "body.json");
writeFileSync(body, payload());
const signature = `sha256=${createHmac("sha256", secret).update(readFileSync(body)).digest("hex")}`;

/** The largest `pull_request.opened` of an App among GitHub's published examples, as GitHub sends it: without spaces. */
function payload() {
  const file = join(HERE, "node_modules/@octokit/webhooks-examples/api.github.com/index.json");
  const pulls = JSON.parse(readFileSync(file, "utf8")).find((event) => event.name === "pull_request");
  const opened = pulls.examples.filter((example) => example.action === "opened" && example.installation);
  return opened.map((example) => JSON.stringify(example)).sort((a, b) => b.length - a.length)[0];
}

/** One core for the server and another for the load, where the machine has two and can say so. */
const cores = availableParallelism();
const pinned = cores > 1 && existsSync("/usr/bin/taskset");
const on = (core, command) => (pinned ? ["taskset", "-c", String(core), ...command] : command);

const plimsoll = (name, more) => ({
  name,
  path: "/github/webhook",
  command: [resolve(chosen.plimsoll), "serve"],
  environment: (port) => ({
    PLIMSOLL_LISTEN: `127.0.0.1:${port}`,
    PLIMSOLL_DATABASE: join(folder, `${name.replaceAll(" ", "-")}.db`),
    PLIMSOLL_APP_ID: "1",
    PLIMSOLL_PRIVATE_KEY: key,
    PLIMSOLL_WEBHOOK_SECRET: secret,
    PLIMSOLL_LOG_LEVEL: "error",
    ...more,
  }),
});
const github = await loopbackGitHub();
const keeping = plimsoll("plimsoll keeping", { PLIMSOLL_WORKERS: "0", PLIMSOLL_GITHUB_API_URL: "http://127.0.0.1:9" });
const working = plimsoll("plimsoll working", { PLIMSOLL_GITHUB_API_URL: `http://127.0.0.1:${github.port}` });
const probot = {
  name: "probot",
  path: "/webhook",
  command: [process.execPath, join(HERE, "probot.mjs")],
  environment: (port) => ({
    PORT: String(port),
    HOST: "127.0.0.1",
    APP_ID: "1",
    PRIVATE_KEY: key,
    WEBHOOK_SECRET: secret,
    WEBHOOK_PATH: "/webhook",
    NODE_ENV: "production",
    LOG_LEVEL: "fatal",
  }),
};
const all = [keeping, working, probot];

// Asked to end, it leaves nothing behind.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    for (const child of running) child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
    process.exit(130);
  });
}

// Each wait has its end; should one be missed, so has the whole.
const late = setTimeout(() => {
  console.error("this takes too long; ended");
  process.kill(process.pid, "SIGTERM");
}, (rounds * all.length * (2 * seconds + 180) + 60) * 1_000);
late.unref();

const found = new Map(all.map((server) => [server, []]));
try {
  // The database that later starts find: made now, and every round leaves it larger.
  for (const server of [keeping, working]) await stop((await start(server)).child);
  for (let round = 1; round <= rounds; round++) {
    for (const server of all) {
      const figures = await measure(server);
      found.get(server).push(figures);
      const { cpu_us, rate } = figures;
      console.error(`round ${round}, ${server.name}: ${cpu_us.toFixed(1)} µs, ${rate.toFixed(0)} a second`);
    }
  }
  report();
} finally {
  await stop(github.child);
  rmSync(folder, { recursive: true, force: true });
}

async function measure(server) {
  const { child, port, start_ms } = await start(server);
  try {
    if (server === working) await workedOff(port);
    await pause(500);
    const idle_mb = memory(child.pid, "VmRSS");
    const before = cpu(child.pid);
    const load = await wrk(server, port, Number(chosen.connections));
    let after = cpu(child.pid);
    if (server === working) {
      // What has been taken in must be worked off before its cost is known.
      await workedOff(port);
      after = cpu(child.pid);
    }
    await wrk(server, port, Number(chosen.crowd));
    // Nor is anything of this round to be left to the next.
    if (server === working) await workedOff(port);
    return {
      cpu_us: ((after - before) * TICK_US) / load.requests,
      rate: load.requests / load.seconds,
      p99_ms: load.p99_us / 1e3,
      idle_mb,
      peak_mb: memory(child.pid, "VmHWM"),
      start_ms,
    };
  } finally {
    await stop(child);
  }
}

/** Starts a server and waits for its first 2xx to a delivery. */
async function start(server) {
  const port = await freePort();
  const began = performance.now();
  const environment = { PATH: process.env.PATH, HOME: folder, ...server.environment(port) };
  // A folder of its own: neither of them is to find settings of somebody else.
  mkdirSync(join(folder, "cwd"), { recursive: true });
  const log = openSync(join(folder, "log"), "a");
  const child = launch(on(0, server.command), { env: environment, cwd: join(folder, "cwd"), stdio: ["ignore", log, log] });
  while (performance.now() - began < START_MS_MAX && child.exitCode === null) {
    const status = await deliver(port, server.path).catch(() => 0);
    if (status >= 200 && status < 300) return { child, port, start_ms: performance.now() - began };
    if (status > 0) break;
    await pause(1);
  }
  await stop(child);
  throw new Error(`${server.name} did not start:\n${readFileSync(join(folder, "log"), "utf8").slice(-2_000)}`);
}

function deliver(port, path) {
  const headers = {
    "content-type": "application/json",
    "x-github-event": "pull_request",
    "x-github-delivery": randomUUID(),
    "x-hub-signature-256": signature,
  };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(5_000);
    const asked = request({ host: "127.0.0.1", port, path, method: "POST", headers, agent: false, signal });
    // An answer that breaks off ends in `close` alone.
    asked.on("response", (answer) => {
      answer.resume().on("end", () => resolve(answer.statusCode)).on("error", reject);
      answer.on("close", () => reject(new Error("half an answer")));
    });
    asked.on("error", reject);
    asked.end(readFileSync(body));
  });
}

async function wrk(server, port, connections) {
  const url = `http://127.0.0.1:${port}${server.path}`;
  const options = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "10s", "-s", join(HERE, "deliveries.lua")];
  const seed = String(Math.floor(Math.random() * 1e6));
  const env = { ...process.env, BODY: body, EVENT: "pull_request", SIGNATURE: signature, SEED: seed };
  const child = launch(on(cores - 1, ["wrk", ...options, url]), { env, stdio: ["ignore", "pipe", "inherit"] });
  const cut = setTimeout(() => child.kill("SIGKILL"), (seconds + 30) * 1_000);
  let text = "";
  for await (const piece of child.stdout) text += piece;
  clearTimeout(cut);
  const load = JSON.parse(text.trim().split("\n").at(-1));
  const bad = load.refused + load.broken;
  if (bad > 0) console.error(`${server.name}: ${bad} of ${load.requests} deliveries were not taken`);
  return load;
}

async function workedOff(port) {
  const end = performance.now() + DRAIN_MS_MAX;
  while (performance.now() < end) {
    const asked = await fetch(`http://127.0.0.1:${port}/metrics`, { signal: AbortSignal.timeout(5_000) });
    const text = await asked.text();
    const count = (name) => Number(text.match(new RegExp(`^plimsoll_${name} (\\d+)$`, "m"))?.[1] ?? 1);
    if (["deliveries_unsorted", "arrivals_waiting", "effects_planned", "effects_in_flight"].every((n) => count(n) === 0)) {
      return;
    }
    await pause(250);
  }
  console.error("not everything was worked off; the figure is too small");
}

async function loopbackGitHub() {
  const child = launch([process.execPath, join(HERE, "github.mjs"), body], { stdio: ["ignore", "pipe", "inherit"] });
  const port = await new Promise((resolve) => child.stdout.once("data", (text) => resolve(Number(text))));
  return { child, port };
}

async function stop(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await ended;
  clearTimeout(late);
}

/** As `spawn`, remembered until it has ended. */
function launch(command, options) {
  const child = spawn(command[0], command.slice(1), options);
  running.add(child);
  child.once("exit", () => running.delete(child));
  return child;
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Ticks of CPU that a process has used, all its threads together. */
function cpu(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return Number(fields[11]) + Number(fields[12]);
}

function memory(pid, what) {
  return Number(readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`${what}:\\s+(\\d+)`))[1]) / 1024;
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

function report() {
  const columns = [
    ["cpu_us", "CPU µs each", 1],
    ["rate", "a second", 0],
    ["p99_ms", "p99 ms", 1],
    ["idle_mb", "idle MB", 1],
    ["peak_mb", "peak MB", 1],
    ["start_ms", "start ms", 0],
  ];
  const line = (name, cells) => console.log(name.padEnd(28) + cells.map((cell) => cell.padStart(12)).join(""));
  const middle = (server, field) => median(found.get(server).map((figures) => figures[field]));
  console.log(`\nmedians of ${rounds} rounds; node ${process.version}; ${readFileSync(body).length} bytes a delivery`);
  line("", columns.map(([, title]) => title));
  for (const server of all) {
    line(server.name, columns.map(([field, , digits]) => middle(server, field).toFixed(digits)));
  }
  for (const server of [keeping, working]) {
    // Each round's own ratio, then the middle one: a machine that slows down slows both.
    const ratio = (field) => median(found.get(server).map((figures, n) => figures[field] / found.get(probot)[n][field]));
    line(`${server.name} / probot`, columns.map(([field]) => ratio(field).toFixed(2)));
  }
}
