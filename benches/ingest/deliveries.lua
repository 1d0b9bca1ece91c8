-- For wrk: signed deliveries as GitHub sends them, each with a GUID of its own.
--
-- From the environment: BODY (a file), EVENT, SIGNATURE. Ends with one line of JSON.

local head, tail

local function hex(digits)
  local text = {}
  for at = 1, digits do
    text[at] = string.format("%x", math.random(0, 15))
  end
  return table.concat(text)
end

local run = ""
local sent = 0

-- The first two groups are drawn, as GitHub's look, so that keys come in no order; the rest makes them unique.
local function guid()
  sent = sent + 1
  return string.format("%08x-%04x-4%s-%012x", math.random(0, 0x7fffffff) * 2, math.random(0, 0xffff), run, sent)
end

function init()
  math.randomseed(os.time() + tonumber(os.getenv("SEED") or "0"))
  run = hex(3) .. "-8" .. hex(3)
  local file = assert(io.open(os.getenv("BODY"), "rb"))
  local body = file:read("*a")
  file:close()
  head = table.concat({
    "POST " .. wrk.path .. " HTTP/1.1",
    "Host: " .. wrk.host .. ":" .. wrk.port,
    "User-Agent: GitHub-Hookshot/ingest",
    "Accept: */*",
    "Content-Type: application/json",
    "X-GitHub-Event: " .. os.getenv("EVENT"),
    "X-GitHub-Hook-ID: 1",
    "X-GitHub-Hook-Installation-Target-ID: 1",
    "X-GitHub-Hook-Installation-Target-Type: integration",
    "X-Hub-Signature-256: " .. os.getenv("SIGNATURE"),
    "Content-Length: " .. #body,
    "X-GitHub-Delivery: ",
  }, "\r\n")
  tail = "\r\n\r\n" .. body
end

function request()
  return head .. guid() .. tail
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.3f,"p50_us":%d,"p99_us":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.status, errors.connect + errors.read + errors.write + errors.timeout
  ))
end
