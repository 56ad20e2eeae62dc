-- Sends the requests of a plan (load.py) in turn and checks every answer. Prints one line of JSON.
-- wrk -t1 -c32 -d5s -s wrk.lua http://127.0.0.1:8000 -- PLAN

local threads = {}
local requests = {}
local sent = 0
local marker
local counts = {}

function setup(thread)
  threads[#threads + 1] = thread
end

function init(args)
  local plan = assert(io.open(args[1], "rb"))
  marker = plan:read("*l")
  for count in plan:read("*l"):gmatch("%d+") do counts[tonumber(count)] = true end
  for size in plan:read("*l"):gmatch("%d+") do
    requests[#requests + 1] = plan:read(tonumber(size))
  end
  plan:close()
end

function request()
  sent = sent % #requests + 1
  return requests[sent]
end

function response(status, _, body)
  local found, at = 0, 1
  while true do
    local first, last = body:find(marker, at, true)
    if not first then break end
    found, at = found + 1, last + 1
  end
  if status < 200 or status > 299 or not counts[found] then
    wrong = status .. " with " .. found .. " items: " .. body:sub(1, 200)
    wrk.thread:stop()
  end
end

function done(summary, latency)
  local errors = summary.errors
  if threads[1]:get("wrong") then
    io.stderr:write(threads[1]:get("wrong"), "\n")
    os.exit(1)
  end
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  if lost > 0 then
    io.stderr:write(lost, " requests without an answer\n")
    os.exit(1)
  end
  io.write(string.format(
    '\n{"requests": %d, "sent": %d, "seconds": %f, "p50": %f, "p95": %f, "p99": %f}\n',
    summary.requests, summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3))
end
