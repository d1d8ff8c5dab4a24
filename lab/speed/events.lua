-- For wrk: one ended call a request, each with ids of its own.
-- Arguments: the file of bodies, the Authorization header, "close" for a new connection each.

local thread_number = 0

function setup(thread)
  thread:set("number", thread_number)
  thread_number = thread_number + 1
end

local random, format, gsub = math.random, string.format, string.gsub

local function call_id()
  count = count + 1
  return format("c-%08x-%08x-%04x-4%03x-%04x-%04x%08x", account, random(0, 2147483647),
    random(0, 65535), random(0, 4095), random(32768, 49151), number * 4096 + run, count)
end

local function error_id()
  return format("%08x-%04x-4%03x-%04x-%012x", random(0, 2147483647), random(0, 65535),
    random(0, 4095), random(32768, 49151), count)
end

function init(args)
  math.randomseed(os.time() * 1000000 + math.floor(os.clock() * 1e6) + number * 7919)
  account, run, count = random(0, 2147483647), random(0, 4095), 0
  requests = {}
  for body in io.lines(args[1]) do
    local _, times = gsub(body, "@CALL_ID@", "")
    local length = #body + times * (47 - 9) + (body:find("@ERROR_ID@", 1, true) and 36 - 10 or 0)
    local head = "POST " .. wrk.path .. " HTTP/1.1\r\nHost: " .. wrk.host
      .. "\r\nUser-Agent: BandwidthAPI\r\nAccept: */*\r\nContent-Type: application/json; charset=utf-8"
      .. "\r\nAuthorization: " .. args[2] .. "\r\nContent-Length: " .. length
      .. (args[3] == "close" and "\r\nConnection: close" or "") .. "\r\n\r\n"
    requests[#requests + 1] = head .. body
  end
end

function request()
  local text = requests[count % #requests + 1]
  local id = call_id()
  text = gsub(text, "@CALL_ID@", id)
  return (gsub(text, "@ERROR_ID@", error_id))
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(format('{"answered": %d, "seconds": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "failed": %d}\n',
    summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
